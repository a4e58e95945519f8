"""`fleet remind`: the owners of old keys are told, and the admins; and what it shows.

`--json` has ids whole, for an id is not a secret.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from ...core.errors import Problem, WrongUsage
from ...core.policy import join, number, stamp
from ...fleet.assembly import Assembly
from ...fleet.handover import finder
from ...fleet.judge import Row
from ...fleet.messages import Channels, Letter, Renderer, rehearse
from ...fleet.notices import Digest, KeyLine, NoticePlan, PlannedNotice, Remark, alike, some
from ...fleet.notify import Unset, channels_of
from ...fleet.remind import RemindContext, RemindResult, prepare, preview
from ...fleet.remind import remind as send
from ...fleet.survey import at_work, first_code, resolved
from ...settings.fleet import FleetSettings
from ..app import App
from .common import Names, agreed, alone, chosen, open_fleet, show_presets, stoppable, surveyed, tell_unseen, warn

_LISTED = 20  # owners by name; a company has hundreds
_ROWS = ("undelivered", "unaddressed", "forgotten", "unsure", "broken", "notes")


def remind(
    app: App, *, preset: str, presets: bool, dry_run: bool, user: Names, account: Names, yes: bool, as_json: bool
) -> int:
    """Show the presets; or look, decide, show what would be sent, ask, send."""
    if presets:
        return show_presets(app, "remind", as_json=as_json)
    settings, assembly = open_fleet(app, preset)
    settings = chosen(app, settings, user, account)
    rehearse(settings, Renderer(settings.remind.templates, assembly.now()))
    if dry_run and not (settings.remind.owners or settings.remind.admins):  # what would be sent if there were any
        channels = Channels((Unset("owners", wants_address=True),), (Unset("admins"),))
    else:
        channels = channels_of(settings, assembly.cloud)
    with stoppable(app, "nothing was sent"):
        if not dry_run:
            alone(app)
        surveys, mapping, now = surveyed(app, settings, assembly, user, account, at_work)
        settings = resolved(assembly.organization, settings)
    places = finder(assembly.cloud, assembly.organization, settings)
    plan, findings = prepare(surveys, settings, mapping, now, places)
    renderer = Renderer(settings.remind.templates, assembly.now())
    outcome = preview(plan, findings, channels, settings, renderer)
    tell_unseen(app, assembly, surveys, settings)
    for line, hint in _unreached_lines(outcome.digest):
        warn(app, line, hint)
    if dry_run:
        outcome = replace(outcome, code=first_code((outcome.code, *_check(app, channels))))
    elif outcome.letters:
        if not yes:
            app.complain(_question_text(outcome, plan))
            if not agreed(app, "Send now?", "Nothing was sent."):
                return 0
        with stoppable(app, "the next run notifies the owners who are left"):
            outcome = _send(app, plan, findings, channels, settings, assembly, renderer)
    if as_json:
        app.json(_json(plan, outcome, channels, dry_run=dry_run))
    else:
        app.out(_preview_text(outcome, plan) if dry_run else _reminded_text(outcome))
    for line, hint in _trouble_lines(outcome):
        warn(app, line, hint)
    return outcome.code


def _check(app: App, channels: Channels) -> Iterator[int]:
    """What a person should know of the channels before anything is sent; gives the exit codes of those that cannot
    work: what is wrong with the settings is a problem of the run, as it would be of a real one."""
    said: set[str] = set()
    for channel in channels.all:
        try:
            for line in channel.check():
                warn(app, line)
        except Problem as problem:
            yield Problem.code if isinstance(problem, WrongUsage) else problem.code
            if problem.message not in said:
                named = f"channel {channel.name}" in problem.message
                warn(app, problem.message if named else f"channel {channel.name}: {problem.message}", problem.hint)
            said.add(problem.message)


def _send(
    app: App,
    plan: NoticePlan,
    findings: Digest,
    channels: Channels,
    settings: FleetSettings,
    assembly: Assembly,
    renderer: Renderer,
) -> RemindResult:
    """It is written down where the settings say: to tell people something is no act that must be. What was sent was
    sent, so that an audit that cannot be ended is the last row of the notes."""
    said = settings.audit
    audit = None
    if said.file or said.log_group or said.bucket:
        audit = assembly.audit("remind", os.urandom(3).hex(), lambda line: None)
    with app.progress() as progress:
        told = lambda done, total: progress("notifying owners", done, total)  # noqa: E731
        around = RemindContext(assembly.organization, time.sleep, audit, progress=told)
        outcome = send(plan, findings, channels, settings, renderer, around)
    try:
        if audit:
            audit.close(_numbers(outcome.digest))
    except Problem as problem:
        digest = replace(outcome.digest, notes=(*outcome.digest.notes, Remark("the end of the run", problem.message)))
        return replace(outcome, digest=digest, code=first_code((outcome.code, problem.code)))
    return outcome


# What is shown


def _found(digest: Digest) -> str:
    counts = digest.counts
    found = f"{number(counts.accounts, 'account')}, {number(counts.users, 'user')}, {number(counts.keys, 'key')}"
    root = f"{counts.root:,} of root, " if counts.root else ""
    recalled = f" ({digest.recalled:,} recalled)" if digest.recalled else ""
    return f"{found}: {root}{digest.overdue:,} overdue{recalled}, {digest.due:,} due"


def _over(letters: Iterable[Letter]) -> str:
    return join(dict.fromkeys(letter.channel.name for letter in letters))


def _question_text(outcome: RemindResult, plan: NoticePlan) -> str:
    lines = [_found(outcome.digest)]
    owners = [letter for letter, _ in outcome.letters if letter.planned and not letter.escalation]
    others = [letter for letter, _ in outcome.letters if letter.escalation]
    digests = [letter for letter, _ in outcome.letters if letter.planned is None]
    if owners:
        told = len({letter.planned.notice.owner for letter in owners if letter.planned})
        lines.append(f"{number(told, 'owner')} will be notified via {_over(owners)}")
    if plan.quiet:
        lines.append(f"{number(len(plan.quiet), 'owner')} notified recently and skipped")
    if others:
        lines.append(f"{number(len(others), 'escalation')} via {_over(others)}")
    if digests:
        lines.append(f"the digest goes out via {_over(digests)}")
    return "\n".join(lines)


def _preview_text(outcome: RemindResult, plan: NoticePlan) -> str:
    """Every message as it would go out."""
    parts = []
    for letter, _ in outcome.letters:
        message = letter.message
        to = f" to {message.to}" if message.to else ""
        parts.append(f"--- via {letter.channel.name}{to}\nSubject: {message.subject}\n\n{message.text}")
    parts += [
        f"--- {each.notice.owner.address or each.notice.owner.name} was notified recently and is skipped\n"
        for each in plan.quiet
    ]
    return "\n".join([*parts, f"Nothing was sent. {_found(outcome.digest)}"])


def _reminded_text(outcome: RemindResult) -> str:
    digest = outcome.digest
    lines = [_found(digest)]
    for notice in digest.told[:_LISTED]:
        who, keys = notice.owner.address or notice.owner.name, number(len(notice.keys), "key")
        lines.append(f"  notified {who} about {keys} (notice {notice.number})")
    if len(digest.told) > _LISTED:
        lines.append(f"  and {number(len(digest.told) - _LISTED, 'other owner')} (--json lists all)")
    digests = [letter for letter, problem in outcome.letters if letter.planned is None and not problem]
    if digests:
        lines.append(f"  the digest went out via {_over(digests)}")
    if not outcome.letters:
        lines.append("Nothing to send.")
    return "\n".join(lines)


def _unreached_lines(digest: Digest) -> Iterator[tuple[str, str]]:
    """Whose owners no channel can reach, and what to do about it. Root is nobody's by tag or name."""
    users = [row.user for row in digest.unaddressed if not row.root]
    if users:
        have = "user has" if len(users) == 1 else "users have"
        line = f"{len(users):,} {have} no address, so nobody is notified about their keys: {some(users)}"
        yield line, "set tag, domain or mapping in [owners] (--json lists all)"
    roots = [row.account for row in digest.unaddressed if row.root]
    if roots:
        of = f"account {roots[0]}" if len(roots) == 1 else f"{len(roots):,} accounts ({some(roots)})"
        yield (
            f"root of {of} has no address, so nobody is notified about its key",
            "add <root_account>,ADDRESS to the mapping of [owners]",
        )


def _trouble_lines(outcome: RemindResult) -> Iterator[tuple[str, str]]:
    """What did not work and what to do about it, the same fault of many as one."""
    digest = outcome.digest
    letters = (Remark(each.about, why, outcome.hints.get(why, "")) for each, why in outcome.letters if why)
    for same in alike(letters):
        whose = f"{len(same.abouts):,} messages ({some(same.abouts)})" if len(same.abouts) > 1 else same.abouts[0]
        yield f"{whose}: {same.text}", same.hint
    for same in alike(digest.forgotten):
        many = len(same.abouts) > 1
        whose = f"{len(same.abouts):,} users ({some(same.abouts)}) were" if many else f"{same.abouts[0]} was"
        yield f"{whose} notified, and will be again by the next run: {same.text}", same.hint
    for same in alike(digest.notes):
        yield f"{some(same.abouts)}: {same.text}", same.hint
    for same in alike(digest.unsure):
        yield f"{some(same.abouts)} may be exempt: {same.text} could not be read", ""


# JSON: docs/json.md describes it

_Values = dict[str, Any]


def _json(plan: NoticePlan, outcome: RemindResult, channels: Channels, *, dry_run: bool) -> _Values:
    digest = outcome.digest
    told = {notice.owner for notice in digest.told}
    return {
        "dry_run": dry_run,
        "at": stamp(digest.at),
        **_numbers(digest),
        "channels": [each.name for each in channels.all],
        "notices": [
            *(_notice(each, outcome.letters, quiet=False, told=each.notice.owner in told) for each in plan.now),
            *(_notice(each, (), quiet=True, told=False) for each in plan.quiet),
        ],
        "digest": {"letters": _letters(letter for letter in outcome.letters if letter[0].planned is None)},
        **{name: [{"about": row.about, "text": row.text} for row in getattr(digest, name)] for name in _ROWS},
    }


def _numbers(digest: Digest) -> dict[str, int]:
    lists = ("told", "quiet", "unanswered")
    counts = {**asdict(digest.counts), "overdue": digest.overdue, "due": digest.due, "recalled": digest.recalled}
    return {**counts, **{name: len(getattr(digest, name)) for name in lists}}


def _notice(planned: PlannedNotice, sent: Sequence[tuple[Letter, str]], *, quiet: bool, told: bool) -> _Values:
    notice = planned.notice
    return {
        "owner": notice.owner.name,
        "address": notice.owner.address,
        "number": notice.number,
        "escalated": notice.escalated,
        "quiet": quiet,
        "told": told,
        "keys": [_key(row, line) for (row, _), line in zip(planned.cases, notice.keys, strict=True)],
        "letters": _letters(letter for letter in sent if letter[0].planned is planned),
    }


def _key(row: Row, line: KeyLine) -> _Values:
    use = row.key.last_use
    return {
        "account": row.account.number,
        "account_name": row.account.name,
        "user": line.user,
        "arn": row.user.arn,
        "key_id": row.key.key_id,
        "verdict": line.verdict.value,
        "created": stamp(row.key.created),
        "age_days": line.age.days,
        "overdue": stamp(line.overdue),
        "last_used": stamp(use.at) if use else None,
        "last_use_known": use is not None,
        "told": line.told,
        "unsure": line.unsure,
        "recall": line.recall.row if line.recall else None,
    }


def _letters(sent: Iterable[tuple[Letter, str]]) -> list[_Values]:
    return [
        {
            "channel": letter.channel.name,
            "to": letter.message.to,
            "escalation": letter.escalation,
            "subject": letter.message.subject,
            "text": letter.message.text,
            "problem": problem,
        }
        for letter, problem in sent
    ]
