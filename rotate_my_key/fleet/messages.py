"""Values become messages through jinja2, and go to people over channels: a dry run shows exactly what a real one sends.

- The templates are ours, or IT's own of the same name in a folder. `NAME.txt.j2` is the subject and the text: its first
  line is `Subject: ...`. `NAME.html.j2` is the page beside it, if there is one. One of ours stays within reach of IT's
  own as `built-in/NAME.txt.j2`; files that begin with `_` are for including.
- A template sees the values it is given and nothing else (a sandbox), HTML is escaped by the engine, and a name that is
  not there is an error. Templates of IT's own are rendered once with an example before anything else (`rehearse`).
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from ..core import policy
from ..core.errors import WrongUsage
from ..core.model import LastUse
from ..core.policy import Verdict, number, span
from ..settings.fleet import FleetSettings
from ..settings.trust import oversized
from .judge import Row, Status
from .model import AccountSurvey, AwsAccount, Message, Owner
from .notices import Digest, DigestCounts, KeyLine, Notice, NoticePlan, PlannedNotice, Remark, Unaddressed, one_line
from .survey import first_code

OURS = os.path.join(os.path.dirname(__file__), "templates")
WIDTH = 72
LONGEST_SUBJECT = 200
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_BLANK, _TWO = re.compile(r"\n[ \t]*\n(?:[ \t]*\n)+"), "\n\n"  # what empty parts leave behind
_HINT = "see docs/it/remind.md for the values that a template may use"


class Renderer:
    """Makes messages. `folder` holds templates of IT's own, "" for none; `now` is the time that ages are told by.
    Raises WrongUsage for a folder that is not there, and for a file in it that overrides nothing."""

    def __init__(self, folder: str, now: datetime) -> None:
        import jinja2  # here: not every command has messages
        from jinja2.sandbox import SandboxedEnvironment

        check_folder(folder)
        ours = jinja2.FileSystemLoader(OURS)
        own: list[jinja2.BaseLoader] = [jinja2.FileSystemLoader(folder)] if folder else []
        loader = jinja2.ChoiceLoader([*own, jinja2.PrefixLoader({"built-in": ours}), ours])
        self.now = now
        self._folder = folder
        self._templates = SandboxedEnvironment(
            loader=loader,
            autoescape=lambda name: bool(name) and name.endswith(".html.j2"),
            undefined=jinja2.StrictUndefined,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            day=day, span=span, used=partial(used, now=now), wrapped=_softly, number=number, one_line=one_line
        )

    def message(self, name: str, values: Mapping[str, Any], to: str = "") -> Message:
        """The message that the templates of this name make. Raises WrongUsage naming template and line."""
        head, _, text = self._render(f"{name}.txt.j2", values).partition("\n")
        word, _, subject = head.partition(":")
        subject = one_line(subject)
        if word.strip().lower() != "subject" or not subject:
            raise WrongUsage(f"{self._shown(f'{name}.txt.j2')}, line 1: the first line is not `Subject: ...`", _HINT)
        page = f"{name}.html.j2"
        there = any(os.path.exists(os.path.join(folder, page)) for folder in (self._folder, OURS) if folder)
        html = self._render(page, values) if there else ""
        text = f"{_BLANK.sub(_TWO, text).strip()}\n"
        lines, rows = text.replace(_SOFT, "\n"), re.sub(f"{_SOFT} *", " ", text)
        return Message(subject[:LONGEST_SUBJECT], lines, html.replace(_SOFT, "\n"), to, rows)

    def _render(self, file: str, values: Mapping[str, Any]) -> str:
        """A template is somebody's program: whatever it raises is a line for them."""
        try:
            return self._templates.get_template(file).render(values)
        except Exception as error:  # noqa: BLE001
            what = self._where(error, file)
        raise WrongUsage(what, _HINT)

    def _where(self, error: Exception, file: str) -> str:
        """File, line and what is wrong. jinja2 puts the template's own lines into the traceback."""
        import jinja2

        if isinstance(error, jinja2.TemplateSyntaxError):
            return f"{self._shown(error.name or file)}, line {error.lineno}: {one_line(error.message or 'no template')}"
        if isinstance(error, jinja2.TemplateNotFound):
            return f"{self._shown(file)}: there is no template {one_line(str(error.message))}"
        line, trace = 0, error.__traceback__
        while trace:
            if trace.tb_frame.f_code.co_filename.endswith(".j2"):
                file, line = os.path.basename(trace.tb_frame.f_code.co_filename), trace.tb_lineno
            trace = trace.tb_next
        what = one_line(str(error)) or type(error).__name__
        return f"{self._shown(file)}, line {line}: {what}" if line else f"{self._shown(file)}: {what}"

    def _shown(self, file: str) -> str:
        """IT's file with its folder, one of ours by its name."""
        own = os.path.join(self._folder, file)
        return own if self._folder and os.path.exists(own) else f"template {file}"


def check_folder(folder: str) -> None:
    """Raises WrongUsage for a folder that cannot be used; "" is none."""
    if not folder:
        return
    try:
        found = [os.path.join(folder, file) for file in sorted(os.listdir(folder)) if file.endswith(".j2")]
        strange = [(path, why) for path in found if (why := oversized(path))]
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        what = f"the template folder {folder} cannot be used: {reason}"
        raise WrongUsage(what, "set templates in [remind]") from None
    for path, why in strange:
        raise WrongUsage(f"{path} is {why}", "put the template into a regular file")
    names = sorted(file for file in os.listdir(OURS) if file.endswith(".j2"))
    for path in found:
        if (file := os.path.basename(path)) not in names and not file.startswith("_"):
            raise WrongUsage(f"{path} does not replace any template", f"the templates are {', '.join(names)}")


# What templates say values with


def day(moment: datetime) -> str:
    """`4 February 2026`, in UTC and in English whatever the locale."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def used(use: LastUse | None, now: datetime) -> str:
    """`last used 3 hours ago by s3 in eu-west-1`. AWS's record lags: absent means never, or not known."""
    return policy.used(use.at, use.service, use.region, now) if use else "last use unknown"


def wrapped(text: str, indent: str = "", width: int = WIDTH) -> str:
    """Lines of at most 72 columns, each beginning with `indent`; a word that is longer (a link) is left whole."""
    return textwrap.fill(
        one_line(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


_SOFT = "\x1f"  # a line that ends here only for want of room


def _softly(text: str, indent: str = "", width: int = WIDTH) -> str:
    return wrapped(text, indent, width).replace("\n", _SOFT)


LISTED = 50  # rows of each list in the digest: it must fit into a chat, and `fleet report` has them all


class Channel(Protocol):
    """A way to tell somebody something. `name` is its name in the settings; `wants_address`: whether a message needs a
    `to` (mail, a mention), or the channel has a fixed audience (a topic, a chat). `personal` as in its settings."""

    name: str
    wants_address: bool
    personal: bool

    def deliver(self, message: Message) -> None:
        """Send it. Raises Problem; neither URL nor token is in the message."""

    def check(self) -> tuple[str, ...]:
        """What a person should know before sending, such as that SES is still in its sandbox; sends nothing."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels: for owners, for admins, and for those who are told when owners do not answer."""

    owners: tuple[Channel, ...] = ()
    admins: tuple[Channel, ...] = ()
    escalate: tuple[Channel, ...] = ()

    @property
    def all(self) -> tuple[Channel, ...]:
        """Each of them once, by name."""
        return tuple({each.name: each for each in (*self.owners, *self.admins, *self.escalate)}.values())

    def reaching(self, owner: Owner) -> tuple[Channel, ...]:
        """Those by which an owner can be told."""
        return tuple(each for each in self.owners if owner.address or not each.wants_address)

    def addressing(self, owner: Owner) -> set[str]:
        """The names of those by which an owner is addressed: only these give a notice before an act."""
        return {each.name for each in self.reaching(owner) if each.personal}


def fitting(channel: Channel, message: Message) -> Message:
    """The message with its address only where the channel wants one."""
    return message if channel.wants_address else replace(message, to="")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one channel. `planned` is what it is about, None for the digest; `escalation`: it goes to others
    than the owner."""

    channel: Channel
    message: Message
    planned: PlannedNotice | None = None
    escalation: bool = False

    @property
    def about(self) -> str:
        """For rows that tell of it."""
        if self.planned is None:
            return f"the digest via {self.channel.name}"
        owner = self.planned.notice.owner
        what = "the escalation about " if self.escalation else ""
        return f"{what}{owner.address or owner.name} via {self.channel.name}"


def letters(plan: NoticePlan, channels: Channels, settings: FleetSettings, renderer: Renderer) -> tuple[Letter, ...]:
    """Everything that this run sends but the digest. Raises WrongUsage for a template that cannot be rendered."""
    found: list[Letter] = []
    for planned in plan.now:
        notice = planned.notice
        values = {"notice": notice, "keys": notice.keys, **values_of(settings)}
        if reachable := channels.reaching(notice.owner):
            message = renderer.message("owner", values, notice.owner.address)
            found += [Letter(each, fitting(each, message), planned) for each in reachable]
        if notice.escalated and channels.escalate:
            message = renderer.message("escalation", values)
            found += [Letter(each, message, planned, escalation=True) for each in channels.escalate]
    return tuple(found)


def digest_letters(
    digest: Digest, channels: Channels, settings: FleetSettings, renderer: Renderer
) -> tuple[Letter, ...]:
    """The digest for the admins; with `digest` off only if there is something to tell."""
    if not channels.admins or not (settings.remind.digest or digest.old or digest.wrong):
        return ()
    values = {"digest": digest, "most": LISTED, "always": settings.remind.digest, **values_of(settings)}
    message = renderer.message("digest", values)
    return tuple(Letter(each, message) for each in channels.admins)


def values_of(settings: FleetSettings) -> dict[str, Any]:
    """What a company says in its notices."""
    return {
        "contact": one_line(settings.contact),
        "link": one_line(settings.remind.link),
        "max_age": settings.policy.max_age,
        "remind_before": settings.policy.remind_before,
    }


def findings_of(surveys: Sequence[AccountSurvey], rows: Sequence[Row], now: datetime) -> Digest:
    """The digest's share of what the survey found besides old keys: what was looked at, and what could not be."""
    users = [user for survey in surveys for user in survey.users]
    counts = DigestCounts(
        accounts=sum(not survey.problem for survey in surveys),
        users=sum(not user.is_root for user in users),
        keys=sum(len(user.keys) for user in users),
        exempt=len({row.user.arn for row in rows if row.exempt and row.key.active}),
        root=sum(row.standing is Status.ROOT for row in rows),
    )
    return Digest(
        now,
        counts,
        broken=tuple(Remark(str(survey.account), survey.problem, survey.hint) for survey in surveys if survey.problem),
        notes=tuple(Remark(str(survey.account), note) for survey in surveys for note in survey.notes),
        code=first_code(survey.code for survey in surveys),
    )


def digest_of(
    plan: NoticePlan, findings: Digest, told: Sequence[PlannedNotice], channels: Channels, renderer: Renderer
) -> Digest:
    """The digest, as if all letters arrived and these owners were `told`. Users whose owner no channel reaches are
    `unaddressed`."""
    lost = [
        each.notice for each in (*plan.now, *plan.quiet) if channels.owners and not channels.reaching(each.notice.owner)
    ]
    unaddressed = {
        Unaddressed(str(line.account), line.user, notice.owner.name, line.root)
        for notice in lost
        for line in notice.keys
    }
    unsure = {Remark(f"{line.user} in {line.account}", line.unsure) for line in plan.old if line.unsure}
    return replace(
        findings,
        at=renderer.now,
        reminds=bool(channels.owners),
        old=plan.old,
        told=tuple(each.notice for each in told),
        quiet=tuple(each.notice for each in plan.quiet) if channels.owners else (),
        unanswered=plan.unanswered if channels.owners else (),
        unaddressed=tuple(sorted(unaddressed)),
        unsure=tuple(sorted(unsure)),
    )


def rehearse(settings: FleetSettings, renderer: Renderer) -> None:
    """Render templates of IT's own with an example of everything; sends nothing. Raises WrongUsage naming the template
    and the line."""
    if not settings.remind.templates:
        return
    now, owner, account = renderer.now, Owner("alice", "alice@example.com", "user name"), "production (123456789012)"
    late, use = now - timedelta(days=8), LastUse(now - timedelta(hours=3), "s3", "eu-west-1")
    there, age = AwsAccount("123456789012", "production"), settings.policy.max_age + timedelta(days=8)
    line = KeyLine(there, "alice", owner.address, "AKIAIOSFODNN7EXAMPLE", Verdict.OVERDUE, age, late, late, use, told=3)
    notice, rows = Notice(owner, (line,), escalated=True), (Remark(account, "an example"),)
    digest = Digest(
        now,
        DigestCounts(1, 1, 1, 1),
        old=notice.keys,
        told=(notice,),
        quiet=(notice,),
        unanswered=notice.keys,
        unaddressed=(Unaddressed(account, "bob", "bob"),),
        undelivered=rows,
        forgotten=rows,
        unsure=rows,
        broken=rows,
        notes=rows,
    )
    said = values_of(settings)
    renderer.message("owner", {"notice": notice, "keys": notice.keys, **said}, owner.address)
    renderer.message("escalation", {"notice": notice, "keys": notice.keys, **said})
    renderer.message("digest", {"digest": digest, "most": LISTED, "always": True, **said})
