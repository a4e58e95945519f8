"""`fleet recall`: IT asks for every key that was made before now; and what it shows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from ...core.errors import Gone, Problem, WrongUsage
from ...core.hints import Hint
from ...core.model import Recall
from ...core.policy import clock, mask, number, old
from ...fleet import recall as engine
from ...fleet.actions import Notifier
from ...fleet.judge import addresses
from ...fleet.messages import Renderer
from ...fleet.notices import some
from ...fleet.notify import channels_of
from ...fleet.recall import RecalledUser, RecallScope, RecallState
from ...fleet.revoke import RevokeContext
from ...fleet.survey import first_code, resolved
from ...settings.fleet import FleetSettings
from ..app import App
from .common import agreed, check_accounts, fleet, open_audit, open_fleet, problem_json, stoppable, warn

Broken = Sequence[tuple[str, Problem]]  # an account, and why it could not be looked at
_LISTED = 30  # lines of a list; --json has all


def recall(
    app: App,
    *,
    user: str,
    owner: str,
    account: tuple[str, ...],
    every: bool,
    by: str,
    reason: str,
    undo: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Show who is meant, ask, mark them, tell their owners."""
    scope = _scope(user, owner, account, every=every)
    if undo and (by or reason):
        raise WrongUsage("--undo takes no --by and no --reason", app.again(but=("by", "reason")))
    if not undo and not (by and reason):
        raise WrongUsage("a recall needs --by and --reason", Hint("fleet", "recall", "--help"))
    said = "" if undo else engine.check_reason(reason)
    settings, assembly = open_fleet(app)
    with stoppable(app, "nothing was changed"), app.waiting("looking at users and keys"):
        own = assembly.organization.me().account  # tells AWS's time, too, by which keys are dated
        now = assembly.now().replace(microsecond=0)
        wanted = None if undo else Recall(now, engine.read_by(by, now, settings), said)
        settings = resolved(assembly.organization, settings)
        tools = RevokeContext(
            assembly.organization, settings, open_audit(app, assembly, "recall"), assembly.now, cloud=assembly.cloud
        )
        found, broken = engine.look_around(tools, scope, addresses(settings.owners), time.sleep)
    if not account and not settings.accounts.role:
        warn(app, f"only account {own} was checked: no role is set in [accounts] of the fleet's settings")
    if not found and not broken:
        raise Gone("nobody there has an access key", fleet(app, "report", "--all"))
    done = engine.plan_recall(found, wanted, now)
    if not as_json or not (yes or dry_run):
        app.say("\n".join(_plan_text(done, wanted, now, settings)))
    acts = [each for each in done if each.value or each.state is RecallState.UNDONE]
    untold, unkept = list[Problem](), list[Problem]()
    if acts and not dry_run:
        if not yes and not agreed(app, "Undo the recall?" if undo else "Recall these keys?"):
            return 4
        with stoppable(app, "some users may be recalled already"), app.waiting("marking users"):
            done, untold, unkept = _marked(app, tools, done, said)
    if as_json:
        app.json(_json(done, broken, untold, wanted, dry_run=dry_run))
    else:
        app.out(_done_text(app, done, acts, wanted, dry_run=dry_run))
    for problem in unkept:
        warn(app, problem.message, problem.hint)
    return _warned(app, done, broken, untold) or first_code(problem.code for problem in unkept)


def _marked(
    app: App, tools: RevokeContext, planned: Sequence[RecalledUser], reason: str
) -> tuple[list[RecalledUser], list[Problem], list[Problem]]:
    """Write the marks, then tell the owners; gives why somebody was not told, and what is not in the audit."""
    settings, (done, unkept) = tools.settings, engine.carry_out(tools, planned, reason)
    problems, unreached = list[Problem](), list[str]()
    try:
        if reason and settings.remind.owners:
            assert tools.cloud
            renderer = Renderer(settings.remind.templates, tools.now())
            notifier = Notifier(channels_of(settings, tools.cloud), settings, renderer, fleet(app, "recall"))
            problems, unreached = engine.tell(tools, done, addresses(settings.owners), notifier)
    except Problem as problem:
        problems.append(problem)
    if reason and not settings.remind.owners:
        warn(app, "nobody was notified: no channel for owners is set in [remind] of the fleet's settings")
    if unreached:
        warn(app, f"{number(len(unreached), 'owner')} could not be notified, as no address is known: {some(unreached)}")
    return done, problems, [unkept] if unkept else []


def _warned(app: App, done: Sequence[RecalledUser], broken: Broken, untold: Sequence[Problem]) -> int:
    """What went wrong; gives the exit code."""
    for about, problem in broken:
        warn(app, f"{about} could not be checked: {problem.message}")
    failed = {each.problem.message: each.problem for each in done if each.problem}
    for problem in failed.values():
        names = [each.found.user.name for each in done if each.problem and each.problem.message == problem.message]
        warn(app, f"{number(len(names), 'user')} not changed ({', '.join(names[:3])}): {problem.message}", problem.hint)
    for problem in untold:
        warn(app, f"somebody was not notified: {problem.message}", problem.hint)
    return first_code(problem.code for problem in (*(each for _, each in broken), *failed.values(), *untold))


def _scope(user: str, owner: str, account: tuple[str, ...], *, every: bool) -> RecallScope:
    check_accounts(account)
    if bool(user) + bool(owner) + every > 1 or not (user or owner or every or account):
        what = "say whose keys: one of --user NAME, --owner ADDRESS, --all, or --account NUMBER for all of an account"
        raise WrongUsage(what, Hint("fleet", "recall", "--help"))
    return RecallScope(account, user, owner)


def _plan_text(
    planned: Sequence[RecalledUser], recall: Recall | None, now: datetime, settings: FleetSettings
) -> Iterator[str]:
    if recall:
        yield f"To be replaced by {clock(recall.by, now)} ({recall.reason}):"
    else:
        yield "Recalls to undo:"
    shown = [each for each in planned if each.state is not RecallState.EXEMPT]
    for each in shown[:_LISTED]:
        before, since = each.before, each.before.at if each.before and each.state is RecallState.AGAIN else now
        keys = ", ".join(
            f"{mask(key.key_id or '')}, {old(now - key.created)}{'' if key.created < since else ' (made since)'}"
            for key in each.keys
        )
        again = f" (already recalled by {clock(before.by, now)}: {before.reason})" if before else ""
        yield f"  {each.found.user.name} in {each.found.account}: {keys}{again}"
    if len(shown) > _LISTED:
        yield f"  and {len(shown) - _LISTED:,} more"
    if not shown:
        yield "  none"
    exempt = [each for each in planned if each.state is RecallState.EXEMPT]
    for each in exempt[:_LISTED]:
        yield f"Skipped: {each.found.user.name} in {each.found.account}: exempt ({each.found.exempt})"
    if len(exempt) > _LISTED:
        yield f"Skipped as exempt: {len(exempt) - _LISTED:,} more"
    marked = (each.found.account for each in planned if each.state in (RecallState.RECALLED, RecallState.AGAIN))
    left = sorted({str(each) for each in marked if recall and each.number not in settings.enforce.accounts})
    if left:
        yield f"note: nothing is deactivated in {some(left)}, which [enforce] accounts does not list"


def _done_text(
    app: App, done: Sequence[RecalledUser], acts: Sequence[RecalledUser], recall: Recall | None, *, dry_run: bool
) -> str:
    if dry_run:
        what = "be recalled" if recall else "have their recall undone"
        return f"Dry run: {number(len(acts), 'user')} would {what}. Nothing was changed."
    if not recall and not done:
        return "Nothing to undo."
    if not recall:
        return f"Recall undone for {number(sum(each.state is RecallState.UNDONE for each in done), 'user')}."
    many = sum(each.state in (RecallState.RECALLED, RecallState.AGAIN) for each in done)
    if not many:
        return "Nobody was recalled."
    return (
        f"{number(many, 'user')} recalled. Computers with the schedule replace the keys within an hour.\n"
        f"To see who has done so: {fleet(app, 'report')} --recalls\n"
        f"To undo: {app.again('--undo', but=('by', 'reason', 'yes', 'as_json'))}"
    )


def _json(
    done: Sequence[RecalledUser], broken: Broken, untold: Sequence[Problem], recall: Recall | None, *, dry_run: bool
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "recall": recall.row if recall else None,
        "users": [
            {
                "account": each.found.account.number,
                "user": each.found.user.name,
                "state": each.state.value,
                "keys": [key.key_id for key in each.keys],
                "problem": problem_json(each.problem),
            }
            for each in done
        ],
        "broken": [{"about": about, "problem": problem_json(problem)} for about, problem in broken],
        "untold": [problem_json(problem) for problem in untold],
    }
