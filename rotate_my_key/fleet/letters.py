"""What goes to whom over which channel, as values: a dry run shows exactly what a real one sends.

Pure but for the templates, which are read from files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..settings.fleet import FleetSettings
from .judge import Row, Status
from .model import AccountSurvey, Message
from .notice_plan import NoticePlan, PlannedNotice
from .notices import Digest, DigestCounts, Remark, Unaddressed, one_line
from .ports import Channel
from .rendering import Renderer
from .survey import first_code

LISTED = 50  # rows of each list in the digest: it must fit into a chat, and `fleet report` has them all


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
            return f"the digest over {self.channel.name}"
        owner = self.planned.notice.owner
        what = "the escalation about " if self.escalation else ""
        return f"{what}{owner.address or owner.name} over {self.channel.name}"


def letters(plan: NoticePlan, outlets: Channels, settings: FleetSettings, renderer: Renderer) -> tuple[Letter, ...]:
    """Everything that this run sends but the digest. Raises WrongUsage for a template that cannot be rendered."""
    return tuple(letter for planned in plan.now for letter in _letters(planned, outlets, settings, renderer))


def _letters(
    planned: PlannedNotice, outlets: Channels, settings: FleetSettings, renderer: Renderer
) -> Iterator[Letter]:
    owner = planned.notice.owner
    values = {"notice": planned.notice, "keys": planned.notice.keys, **values_of(settings)}
    reachable = [each for each in outlets.owners if owner.address or not each.wants_address]
    if reachable:
        message = renderer.message("owner", values, owner.address)
        yield from (
            Letter(each, message if each.wants_address else replace(message, to=""), planned) for each in reachable
        )
    if planned.notice.escalated and outlets.escalate:
        message = renderer.message("escalation", values)
        yield from (Letter(each, message, planned, escalation=True) for each in outlets.escalate)


def digest_letters(
    digest: Digest, outlets: Channels, settings: FleetSettings, renderer: Renderer
) -> tuple[Letter, ...]:
    """The digest for the admins; with `digest` off only if there is something to tell."""
    if not (settings.remind.digest or digest.old or digest.wrong):
        return ()
    values = {"digest": digest, "most": LISTED, "always": settings.remind.digest, **values_of(settings)}
    message = renderer.message("digest", values) if outlets.admins else None
    return tuple(Letter(each, message) for each in outlets.admins if message)


def values_of(settings: FleetSettings) -> dict[str, Any]:
    """What a company says in its notices."""
    return {
        "contact": one_line(settings.contact),
        "link": one_line(settings.remind.link),
        "max_age": settings.policy.max_age,
        "remind_before": settings.policy.remind_before,
    }


@dataclass(frozen=True, slots=True)
class Findings:
    """What the survey found besides old keys: the digest's share of it. `code` is the exit code of what failed."""

    counts: DigestCounts = field(default_factory=DigestCounts)
    broken: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()
    code: int = 0


def findings_of(surveys: Sequence[AccountSurvey], rows: Sequence[Row]) -> Findings:
    """Count what was looked at, and say what could not be."""
    users = [user for survey in surveys for user in survey.users]
    exempt = {row.user.arn for row in rows if row.exempt and row.key.active}
    seen = sum(not survey.problem for survey in surveys)
    keys = sum(len(user.keys) for user in users)
    root = sum(row.standing is Status.ROOT for row in rows)
    return Findings(
        DigestCounts(seen, sum(not user.is_root for user in users), keys, len(exempt), root),
        tuple(Remark(str(survey.account), survey.problem, survey.hint) for survey in surveys if survey.problem),
        tuple(Remark(str(survey.account), note) for survey in surveys for note in survey.notes),
        first_code(survey.code for survey in surveys),
    )


@dataclass(frozen=True, slots=True)
class SentLetters:
    """What became of the letters: what was `told`; rows about what was not delivered, not remembered, not audited."""

    told: tuple[PlannedNotice, ...] = ()
    undelivered: tuple[Remark, ...] = ()
    forgotten: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()


def digest_of(plan: NoticePlan, findings: Findings, sent: SentLetters, outlets: Channels, renderer: Renderer) -> Digest:
    """The digest after the letters were sent, or as if they all had been."""
    return Digest(
        at=renderer.now,
        counts=findings.counts,
        reminds=bool(outlets.owners),
        old=plan.old,
        told=tuple(each.notice for each in sent.told),
        quiet=tuple(each.notice for each in plan.quiet) if outlets.owners else (),
        unanswered=plan.unanswered if outlets.owners else (),
        undelivered=sent.undelivered,
        unaddressed=_unaddressed([*plan.now, *plan.quiet], outlets),
        forgotten=sent.forgotten,
        unsure=tuple(
            sorted({Remark(f"{line.user} in {line.account}", line.unsure) for line in plan.old if line.unsure})
        ),
        broken=findings.broken,
        notes=(*findings.notes, *sent.notes),
    )


def _unaddressed(plans: Sequence[PlannedNotice], outlets: Channels) -> tuple[Unaddressed, ...]:
    """Users with old keys whose owner no channel reaches."""
    if not outlets.owners or not all(each.wants_address for each in outlets.owners):
        return ()
    rows = {
        Unaddressed(str(line.account), line.user, each.notice.owner.name, line.root)
        for each in plans
        if not each.notice.owner.address
        for line in each.notice.keys
    }
    return tuple(sorted(rows))
