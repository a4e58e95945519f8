"""`fleet remind`: the owners of old keys are told, and the admins; and what it shows.

`--json` has ids whole, for an id is not a secret; docs/json.md describes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ...core.errors import Problem, WrongUsage
from ...core.words import join, number
from ..app import App
from .common import agreed, alone, fleet_options, open_fleet, stoppable, surveyed, tell_failed, tell_left_out, warn

if TYPE_CHECKING:
    from ...fleet.assembly import Assembly
    from ...fleet.audit import AuditTrail
    from ...fleet.messages import Channels, Findings, Letter, Renderer
    from ...fleet.notices import Digest, DueKey, KeyLine, NoticePlan, PlannedNotice, Remark, Unaddressed
    from ...fleet.remind import RemindResult
    from ...settings.fleet import FleetSettings


Values = dict[str, Any]


def remind_json(plan: NoticePlan, outcome: RemindResult, channels: Channels, *, dry_run: bool) -> Values:
    """The whole object but its version."""
    digest = outcome.digest
    told = {notice.owner for notice in digest.told}
    return {
        "dry_run": dry_run,
        "at": digest.at.isoformat(timespec="seconds"),
        **remind_numbers(digest),
        "channels": [each.name for each in channels.all],
        "notices": [
            *(_notice(each, outcome.letters, quiet=False, told=each.notice.owner in told) for each in plan.now),
            *(_notice(each, (), quiet=True, told=False) for each in plan.quiet),
        ],
        "digest": {"letters": _letters(letter for letter in outcome.letters if letter[0].planned is None)},
        **{name: _remarks(getattr(digest, name)) for name in _ROWS},
    }


_ROWS = ("undelivered", "unaddressed", "forgotten", "unsure", "broken", "notes")


def remind_numbers(digest: Digest) -> dict[str, int]:
    """The run in numbers."""
    counts = digest.counts
    return {
        "accounts": counts.accounts,
        "users": counts.users,
        "keys": counts.keys,
        "exempt": counts.exempt,
        "root": counts.root,
        "overdue": digest.overdue,
        "due": digest.due,
        "told": len(digest.told),
        "quiet": len(digest.quiet),
        "unanswered": len(digest.unanswered),
    }


def _notice(planned: PlannedNotice, sent: Sequence[tuple[Letter, str]], *, quiet: bool, told: bool) -> Values:
    notice = planned.notice
    return {
        "owner": notice.owner.name,
        "address": notice.owner.address,
        "number": notice.number,
        "escalated": notice.escalated,
        "quiet": quiet,
        "told": told,
        "keys": [_key(case, line) for case, line in zip(planned.cases, notice.keys, strict=True)],
        "letters": _letters(letter for letter in sent if letter[0].planned is planned),
    }


def _key(case: DueKey, line: KeyLine) -> Values:
    use = case.key.last_use
    return {
        "account": case.account.number,
        "account_name": case.account.name,
        "user": line.user,
        "arn": case.user.arn,
        "key_id": case.key.key_id,
        "verdict": line.verdict.value,
        "created": case.key.created.isoformat(timespec="seconds"),
        "age_days": line.age.days,
        "overdue": line.overdue.isoformat(timespec="seconds"),
        "last_used": use.at.isoformat(timespec="seconds") if use and use.at else None,
        "last_use_known": use is not None,
        "told": line.told,
        "unsure": line.unsure,
    }


def _letters(sent: Iterable[tuple[Letter, str]]) -> list[Values]:
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


def _remarks(rows: Iterable[Remark | Unaddressed]) -> list[Values]:
    return [{"about": row.about, "text": row.text} for row in rows]


_LISTED = 20  # owners by name; a company has hundreds


def question_text(outcome: RemindResult, plan: NoticePlan) -> str:
    """What is about to be sent."""
    lines = [_found(outcome.digest)]
    owners = [letter for letter, _ in outcome.letters if letter.planned and not letter.escalation]
    others = [letter for letter, _ in outcome.letters if letter.escalation]
    digests = [letter for letter, _ in outcome.letters if letter.planned is None]
    if owners:
        told = len({letter.planned.notice.owner for letter in owners if letter.planned})
        lines.append(f"{number(told, 'owner')} will be told over {_over(owners)}")
    if plan.quiet:
        lines.append(f"{number(len(plan.quiet), 'owner')} told a short while ago and left in peace")
    if others:
        lines.append(f"{number(len(others), 'escalation')} over {_over(others)}")
    if digests:
        lines.append(f"the digest goes out over {_over(digests)}")
    return "\n".join(lines)


def _found(digest: Digest) -> str:
    counts = digest.counts
    found = f"{number(counts.accounts, 'account')}, {number(counts.users, 'user')}, {number(counts.keys, 'key')}"
    root = f"{counts.root:,} of root, " if counts.root else ""
    return f"{found}: {root}{digest.overdue:,} overdue, {digest.due:,} due"


def _over(letters: list[Letter]) -> str:
    return join(dict.fromkeys(letter.channel.name for letter in letters))


def preview_text(outcome: RemindResult, plan: NoticePlan) -> str:
    """Every message as it would go out."""
    parts = [_message(letter) for letter, _ in outcome.letters]
    for planned in plan.quiet:
        owner = planned.notice.owner
        parts.append(f"--- {owner.address or owner.name} was told a short while ago and is left in peace\n")
    return "\n".join([*parts, f"Nothing was sent. {_found(outcome.digest)}"])


def _message(letter: Letter) -> str:
    to = f" to {letter.message.to}" if letter.message.to else ""
    return f"--- over {letter.channel.name}{to}\nSubject: {letter.message.subject}\n\n{letter.message.text}"


def reminded_text(outcome: RemindResult, plan: NoticePlan) -> str:
    """What became of it."""
    digest = outcome.digest
    lines = [_found(digest)]
    for notice in digest.told[:_LISTED]:
        owner = notice.owner
        keys = number(len(notice.keys), "key")
        lines.append(f"  told {owner.address or owner.name} of {keys}, notice {notice.number}")
    if len(digest.told) > _LISTED:
        lines.append(f"  and told {number(len(digest.told) - _LISTED, 'other owner')}; --json names all")
    digests = [letter for letter, problem in outcome.letters if letter.planned is None and not problem]
    if digests:
        lines.append(f"  the digest went out over {_over(digests)}")
    if not outcome.letters:
        lines.append("Nothing was to be sent.")
    return "\n".join(lines)


def unreached_lines(digest: Digest) -> Iterator[tuple[str, str]]:
    """Whose owners no channel can reach, and what to do about it. Root is nobody's by tag or name."""
    from ...fleet.notices import some

    users = [row.user for row in digest.unaddressed if not row.root]
    if users:
        have = "user has" if len(users) == 1 else "users have"
        line = f"{len(users):,} {have} no address, so nobody is told of their keys: {some(users)}"
        yield line, "set tag, domain or mapping in [owners]; --json names all"
    roots = [row.account for row in digest.unaddressed if row.root]
    if roots:
        of = f"account {roots[0]}" if len(roots) == 1 else f"{len(roots):,} accounts ({some(roots)})"
        yield (
            f"root of {of} has no address, so nobody is told of its key",
            "add <root_account>,ADDRESS to the mapping of [owners]",
        )


def trouble_lines(outcome: RemindResult) -> Iterator[tuple[str, str]]:
    """What did not work and what to do about it, the same fault of many as one."""
    from ...fleet.notices import Remark, alike, some

    digest = outcome.digest
    letters = (Remark(each.about, why, outcome.hints.get(why, "")) for each, why in outcome.letters if why)
    for same in alike(letters):
        whose = f"{len(same.abouts):,} messages ({some(same.abouts)})" if len(same.abouts) > 1 else same.abouts[0]
        yield f"{whose}: {same.text}", same.hint
    for same in alike(digest.forgotten):
        many = len(same.abouts) > 1
        whose = f"{len(same.abouts):,} users ({some(same.abouts)}) were" if many else f"{same.abouts[0]} was"
        yield f"{whose} told, and will be again by the next run: {same.text}", same.hint
    for same in alike(digest.notes):
        yield f"{some(same.abouts)}: {same.text}", same.hint
    for same in alike(digest.unsure):
        yield f"{some(same.abouts)} may be exempt: {same.text} could not be read", ""


@click.command("remind")
@click.option("--dry-run", is_flag=True, help="Show every notice as it would go out; send and remember nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@fleet_options
@click.pass_obj
def command(app: App, /, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Tell the owners of keys that are due or overdue, and send the admins a digest.

    One notice for each owner with all of his keys, repeated until they are replaced. What was sent is remembered in a
    tag of the user. The settings say over which channels.
    """
    from ...fleet.messages import Renderer, rehearse
    from ...fleet.remind import prepare, preview
    from ...fleet.survey import first_code

    settings, assembly = open_fleet(app)
    rehearse(settings, Renderer(settings.remind.templates, assembly.now()))
    channels = _channels(settings, assembly, dry_run)
    with stoppable(app, "nothing was sent"):
        if not dry_run:
            alone(app)
        surveys, mapping, now = surveyed(app, settings, assembly)
    plan, findings = prepare(surveys, settings, mapping, now)
    renderer = Renderer(settings.remind.templates, assembly.now())
    outcome = preview(plan, findings, channels, settings, renderer)
    tell_left_out(app, assembly)
    tell_failed(app, surveys, settings)
    for line, hint in unreached_lines(outcome.digest):
        warn(app, line, hint)
    if dry_run:
        outcome = replace(outcome, code=first_code((outcome.code, *_check(app, channels))))
    elif outcome.letters:
        if not yes:
            app.complain(question_text(outcome, plan))
            if not agreed(app, "Send now?", "Nothing was sent."):
                return 0
        with stoppable(app, "who was told is remembered, and the next run tells the others"):
            outcome = _send(app, plan, findings, channels, settings, assembly, renderer)
    if as_json:
        app.json(remind_json(plan, outcome, channels, dry_run=dry_run))
    else:
        app.out(preview_text(outcome, plan) if dry_run else reminded_text(outcome, plan))
    for line, hint in trouble_lines(outcome):
        warn(app, line, hint)
    return outcome.code


def _channels(settings: FleetSettings, assembly: Assembly, dry_run: bool) -> Channels:
    """The channels of the settings; a dry run also shows what would be sent if there were any."""
    from ...fleet.messages import Channels
    from ...fleet.notify import Unset, channels_of

    if dry_run and not (settings.remind.owners or settings.remind.admins):
        return Channels((Unset("owners", wants_address=True),), (Unset("admins"),))
    return channels_of(settings, assembly.cloud)


def _check(app: App, channels: Channels) -> Iterator[int]:
    """What a person should know of the channels before anything is sent; gives the exit codes of those that cannot
    work: what is wrong with the settings is a problem of the run, as it would be of a real one."""
    said: set[str] = set()
    for channel in channels.all:
        try:
            lines = channel.check()
        except Problem as problem:
            yield Problem.code if isinstance(problem, WrongUsage) else problem.code
            if problem.message not in said:
                named = f"channel {channel.name}" in problem.message
                warn(app, problem.message if named else f"channel {channel.name}: {problem.message}", problem.hint)
            said.add(problem.message)
            continue
        for line in lines:
            warn(app, line)


def _send(
    app: App,
    plan: NoticePlan,
    findings: Findings,
    channels: Channels,
    settings: FleetSettings,
    assembly: Assembly,
    renderer: Renderer,
) -> RemindResult:
    from ...fleet.remind import RemindContext, remind

    audit = _audit(settings, assembly)
    with app.progress() as progress:
        around = RemindContext(
            assembly.organization,
            time.sleep,
            audit,
            progress=lambda done, total: progress("telling owners", done, total),
        )
        outcome = remind(plan, findings, channels, settings, renderer, around)
    return _closed(audit, outcome) if audit else outcome


def _closed(audit: AuditTrail, outcome: RemindResult) -> RemindResult:
    """The audit's last line. What was sent was sent, so that a failure here is the last row of the notes."""
    from ...fleet.notices import Remark
    from ...fleet.survey import first_code

    try:
        audit.close(remind_numbers(outcome.digest))
    except Problem as problem:
        digest = replace(outcome.digest, notes=(*outcome.digest.notes, Remark("the end of the run", problem.message)))
        return replace(outcome, digest=digest, code=first_code((outcome.code, problem.code)))
    return outcome


def _audit(settings: FleetSettings, assembly: Assembly) -> AuditTrail | None:
    """Where the settings say; to tell people something is no act that must be written down."""
    from ...fleet.audit import TextSink

    said = settings.audit
    if not (said.file or said.log_group or said.bucket):
        return None
    return assembly.audit("remind", os.urandom(3).hex(), TextSink(lambda line: None))
