"""`fleet revoke`: every key of one user is switched off now, in every account."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ...errors import Denied, Gone, NeedsPerson, NotAllowed, Problem, TryLater, WrongUsage
from ..app import App
from .again import again, stoppable
from .common import fleet_options, open_audit, open_fleet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...fleet.model import AwsAccount
    from ...fleet.one_user import UserKeys
    from ...fleet.revoking import RevokeContext


@click.command("revoke")
@click.argument("user")
@click.option("--account", metavar="NUMBER", multiple=True, help="This account only (repeatable; default: all).")
@click.option("--why", metavar="TEXT", default="asked for", help="The reason, for the audit.")
@click.option("--undo", is_flag=True, help="Switch on again what revoke switched off.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@fleet_options
@click.pass_obj
def command(app: App, /, user: str, account: tuple[str, ...], why: str, undo: bool, yes: bool, as_json: bool) -> int:
    """Switch off every key of USER in all accounts: somebody left, or a key leaked.

    Shows what it found first. Nothing is deleted, and what was off before stays as it was. An account that fails is
    named, and the exit code is not 0. Sessions that were made from the keys live on: it says how to end them.
    """
    if undo:
        return take_back(app, user, account, yes=yes, as_json=as_json, revoked=True)
    from ...fleet.revoking import own_key, revoke
    from ...fleet.sessions import end_sessions
    from . import revoke_shown as shown

    with stoppable(app, "nothing was changed"):
        tools, found = _find(app, user, account, uses=not yes, quick=True)
    if not as_json or not yes:
        app.say(shown.found(found, tools.now()))
    own = own_key(tools, found)
    if own:
        _warn(app, shown.own(*own))
    if (
        shown.working(found)
        and not yes
        and not app.confirm(
            f"Switch off {shown.working(found)} now?",
            default=False,
            flag=again(app, "--yes"),
        )
    ):
        app.say("Nothing was changed.")
        return 4
    with stoppable(app, "some of the keys may still work"), app.waiting("switching off"):
        done = revoke(tools, found, why)
    code = _end(app, tools, [each.problem for each in done])
    command = end_sessions(user, tools.now())
    if as_json:
        app.json(shown.as_json(found, done, command))
    else:
        app.out(shown.done(user, found, done, _undo(app, own=own is not None)))
        app.say(shown.sessions(user, command))
    shown.warn(app, done)
    return code


def take_back(app: App, user: str, account: Sequence[str], *, yes: bool, as_json: bool, revoked: bool) -> int:
    """`--undo` of revoke and of enforce: each takes back what it did, and no more."""
    from ...fleet import revoking
    from . import revoke_shown as shown

    cause = revoking.Cause.REVOKE if revoked else revoking.Cause.ENFORCE
    with stoppable(app, "nothing was changed"):
        tools, found = _find(app, user, account)
    keys = [(held, key) for held in found for key in revoking.restorable(held, cause)]
    if not as_json or not yes:
        app.say(shown.restorable(found, cause, tools.now()))
    if keys and not yes and not app.confirm("Switch on again?", default=False, flag=again(app, "--yes")):
        app.say("Nothing was changed.")
        return 4
    with stoppable(app, "some of the keys may be on already"), app.waiting("switching on"):
        done = revoking.take_back(tools, found, cause) if keys else []
    problems = [held.problem for held in found] if not keys else [each.problem for each in done]
    code = _end(app, tools, problems)
    if as_json:
        app.json(shown.undone_json(found, done))
    else:
        app.out(shown.undone(done))
    shown.warn(app, done)
    return code


def _find(
    app: App, user: str, numbers: Sequence[str], *, uses: bool = True, quick: bool = False
) -> tuple[RevokeContext, list[UserKeys]]:
    """Raises Gone if there is no such user anywhere, Problem too if he is in no account that could be looked at."""
    from ...fleet.one_user import accounts_named
    from ...fleet.revoking import RevokeContext, find

    if strange := [number for number in numbers if not (number.isdecimal() and len(number) == 12)]:
        raise WrongUsage(f"{strange[0]!r} is not an account number", "write the twelve digits, like 123456789012")
    settings, assembly = open_fleet(app)
    audit = open_audit(app, assembly, "revoke")
    tools = RevokeContext(assembly.organization, settings, audit, assembly.now, signs=assembly.signing_key())
    accounts = accounts_named(_all(app, tools) if not numbers else (), numbers)
    with app.waiting(f"looking for {user} in {len(accounts)} account{'s' if len(accounts) != 1 else ''}"):
        found = find(tools, accounts, user, uses=uses, quick=quick)
    if not numbers and not settings.accounts.role:
        _warn(app, f"only account {accounts[0]} was looked at: no role is set in [accounts] of the fleet's settings")
    if found and all(held.problem for held in found):
        raise _nowhere(app, user, found)
    if not found:
        where = "there" if len(accounts) == 1 else f"in any of {len(accounts)} accounts"
        raise Gone(f"there is no user {user} {where}", "aws iam list-users")
    return tools, found


def _nowhere(app: App, user: str, broken: Sequence[UserKeys]) -> Problem:
    """Found in no account, and some could not be looked at: each of them is named."""
    from ...fleet.survey import first_code
    from ...words import number

    problems = [held.problem for held in broken if held.problem]
    for held in broken:
        _warn(app, f"{held.account}: {held.problem.message if held.problem else ''}")
    code = first_code(problem.code for problem in problems)
    kind = {NotAllowed.code: NotAllowed, TryLater.code: TryLater, NeedsPerson.code: NeedsPerson}.get(code, Problem)
    hint = next((problem.hint for problem in problems if problem.hint), "") or again(app)
    return kind(f"{user} was found nowhere; {number(len(broken), 'account')} unknown", hint)


def _undo(app: App, *, own: bool) -> str:
    """What takes it back. A run that switched off its own key needs another one to sign that."""
    but = ("why", "yes", "as_json")
    if own:
        command = again(app, "--undo", "--auth-profile", "NAME", but=(*but, "profile", "auth_profile"))
        return f"To take it back, signed by somebody else's profile NAME: {command}"
    return f"To take it back: {again(app, '--undo', but=but)}"


def _all(app: App, tools: RevokeContext) -> Sequence[AwsAccount]:
    """All accounts that there are, whatever the settings leave out for reports: a thief does not read them."""
    from ...fleet.survey import accounts_of

    chosen = tools.settings.accounts
    try:
        return accounts_of(tools.organization, replace(chosen, only=(), but=()))
    except Denied as denied:
        if not chosen.only:
            raise
        _warn(app, f"only the accounts of the settings are looked at: {denied.message}")
        return accounts_of(tools.organization, chosen)


def _end(app: App, tools: RevokeContext, problems: Sequence[Problem | None]) -> int:
    """Close the audit; gives the exit code."""
    from ...fleet.survey import first_code

    failures = [problem for problem in problems if problem]
    try:
        tools.audit.close({"Switched": float(len(problems) - len(failures)), "Failed": float(len(failures))})
    except Problem as problem:
        failures.append(problem)
        _warn(app, problem.message)
    return first_code(problem.code for problem in failures)


def _warn(app: App, text: str) -> None:
    app.complain(f"{app.style('warning:', fg='yellow')} {text}")
