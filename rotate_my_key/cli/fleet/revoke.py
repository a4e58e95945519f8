"""`fleet revoke`: every key of one user is switched off now, in every account; the two `--undo`; and what they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ...core.errors import Denied, Gone, NeedsPerson, NotAllowed, Problem, TryLater, WrongUsage, mask
from ...core.words import number, span, used
from ..app import App
from .common import again, agreed, close, fleet_options, open_audit, open_fleet, problem_json, stamp, stoppable, warn

if TYPE_CHECKING:
    from ...fleet.model import AwsAccount, FleetKey
    from ...fleet.revoke import Cause, RevokeContext, SwitchResult
    from ...fleet.users import UserLook

# By the cause.
_WHO = {
    "enforce": "by enforce",
    "revoke": "by revoke",
    "others": "by somebody else, or it is not known by whom",
}


def found_text(held: Iterable[UserLook], now: datetime) -> str:
    """Every key of the user, account by account."""
    lines = []
    for each in held:
        if each.problem:
            lines.append(f"  {each.account}: cannot be looked at: {each.problem.message}")
        elif not each.user.keys:
            lines.append(f"  {each.account}: no key")
        lines += [f"  {each.account}: {_key(key, now)}" for key in each.user.keys]
    return "\n".join(["Found:", *lines])


def _key(key: FleetKey, now: datetime) -> str:
    state = "works" if key.active else "switched off"
    use = key.last_use
    last = used(use.at, use.service, use.region, now) if use else "last use not known"
    return f"{mask(key.key_id or '')}, {state}, {span(now - key.created)} old, {last}"


def working_text(held: Iterable[UserLook]) -> str:
    """`3 keys`, "" for none; an account that cannot be looked at may have some."""
    all_held = list(held)
    keys = sum(key.active for each in all_held for key in each.user.keys)
    unknown = sum(each.problem is not None for each in all_held)
    return number(keys, "key") if keys else ("what there is" if unknown else "")


def own_key_text(held: UserLook, key: FleetKey) -> str:
    """Before the question, where the key that signs this run is among those that would go."""
    return (
        f"{mask(key.key_id or '')} of {held.user.name} in {held.account} signs this run: it is switched off last, and "
        "somebody else must sign to take that back"
    )


def revoked_text(user: str, held: Sequence[UserLook], switched: Sequence[SwitchResult], undo: str) -> str:
    """What became of it; `undo` says how to take it back."""
    lines = [_line(each, "switched off") for each in switched]
    off = sum(each.key is not None and each.problem is None for each in switched)
    if not switched:
        return f"No key of {user} works in {number(len(held), 'account')}."
    total = f"{number(off, 'key')} of {user} switched off."
    return "\n".join([*lines, f"{total} {undo}" if off else total])


def _line(each: SwitchResult, word: str) -> str:
    what = f"{mask(each.key.key_id or '')} in {each.account}" if each.key else str(each.account)
    return f"  {what}: {f'NOT {word}: {each.problem.message}' if each.problem else word}"


def sessions_text(user: str, command: str) -> str:
    """What is not ended by it."""
    return (
        f"Sessions that were made from these keys live on, up to 36 hours. To end what {user}'s own may do, in his "
        f"account:\n    {command}\nSessions of roles that he took on: revoke them at each role (IAM, Roles, Revoke "
        "sessions)."
    )


def restorable_text(held: Iterable[UserLook], cause: Cause, now: datetime) -> str:
    """What would be switched on again, and why the others are not."""
    from ...fleet.revoke import restorable

    lines = []
    for each in held:
        if each.problem:
            lines.append(f"  {each.account}: cannot be looked at: {each.problem.message}")
            continue
        mine = restorable(each, cause)
        lines += [f"  {each.account}: {_key(key, now)}: to be switched on again" for key in mine]
        lines += [
            f"  {each.account}: {_key(key, now)}: {_left(each, key)}" for key in each.user.keys if key not in mine
        ]
    return "\n".join(["Found:", *lines])


def _left(held: UserLook, key: FleetKey) -> str:
    from ...fleet.revoke import cause_of

    if key.active:
        return "nothing to undo"
    return f"left: {held.facts.unsure or f'switched off {_WHO[cause_of(held.known(key.key_id)).value]}'}"


def undone_text(switched: Sequence[SwitchResult]) -> str:
    """What became of it."""
    if not switched:
        return "There is nothing to undo."
    return "\n".join(_line(each, "switched on again").lstrip() for each in switched)


def warn_notes(app: App, switched: Iterable[SwitchResult]) -> None:
    """What could not be written down."""
    for note in dict.fromkeys(f"{each.account}: {note}" for each in switched for note in each.notes):
        warn(app, note)


# JSON


def revoked_json(held: Iterable[UserLook], switched: Iterable[SwitchResult], command: str) -> dict[str, Any]:
    """The object of `fleet revoke --json`."""
    return {**undone_json(held, switched), "end_sessions": command}


def undone_json(held: Iterable[UserLook], switched: Iterable[SwitchResult]) -> dict[str, Any]:
    """The object of the two `--undo`."""
    return {
        "found": [_held_json(each) for each in held],
        "switched": [
            {
                "account": each.account.number,
                "key_id": each.key.key_id if each.key else None,
                "notes": list(each.notes),
                "problem": problem_json(each.problem),
            }
            for each in switched
        ],
    }


def _held_json(held: UserLook) -> dict[str, Any]:
    from ...fleet.revoke import cause_of

    return {
        "account": held.account.number,
        "user": held.user.name,
        "problem": problem_json(held.problem),
        "keys": [
            {
                "key_id": key.key_id,
                "active": key.active,
                "created": stamp(key.created),
                "switched_off_by": None if key.active else cause_of(held.known(key.key_id)).value,
            }
            for key in held.user.keys
        ],
    }


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
    from ...fleet.revoke import end_sessions, own_key, revoke

    with stoppable(app, "nothing was changed"):
        tools, found = _find(app, user, account, uses=not yes, quick=True)
    if not as_json or not yes:
        app.say(found_text(found, tools.now()))
    own = own_key(tools, found)
    if own:
        warn(app, own_key_text(*own))
    works = working_text(found)
    if works and not yes and not agreed(app, f"Switch off {works} now?"):
        return 4
    with stoppable(app, "some of the keys may still work"), app.waiting("switching off"):
        done = revoke(tools, found, why)
    code = _end(app, tools, [each.problem for each in done])
    command = end_sessions(user, tools.now())
    if as_json:
        app.json(revoked_json(found, done, command))
    else:
        app.out(revoked_text(user, found, done, _undo(app, own=own is not None)))
        app.say(sessions_text(user, command))
    warn_notes(app, done)
    return code


def take_back(app: App, user: str, account: Sequence[str], *, yes: bool, as_json: bool, revoked: bool) -> int:
    """`--undo` of revoke and of enforce: each takes back what it did, and no more."""
    from ...fleet import revoke as engine

    cause = engine.Cause.REVOKE if revoked else engine.Cause.ENFORCE
    with stoppable(app, "nothing was changed"):
        tools, found = _find(app, user, account)
    keys = [(held, key) for held in found for key in engine.restorable(held, cause)]
    if not as_json or not yes:
        app.say(restorable_text(found, cause, tools.now()))
    if keys and not yes and not agreed(app, "Switch on again?"):
        return 4
    with stoppable(app, "some of the keys may be on already"), app.waiting("switching on"):
        done = engine.take_back(tools, found, cause) if keys else []
    problems = [held.problem for held in found] if not keys else [each.problem for each in done]
    code = _end(app, tools, problems)
    if as_json:
        app.json(undone_json(found, done))
    else:
        app.out(undone_text(done))
    warn_notes(app, done)
    return code


def _find(
    app: App, user: str, numbers: Sequence[str], *, uses: bool = True, quick: bool = False
) -> tuple[RevokeContext, list[UserLook]]:
    """Raises Gone if there is no such user anywhere, Problem too if he is in no account that could be looked at."""
    from ...fleet.revoke import RevokeContext, find
    from ...fleet.users import accounts_named

    if strange := [number for number in numbers if not (number.isdecimal() and len(number) == 12)]:
        raise WrongUsage(f"{strange[0]!r} is not an account number", "write the twelve digits, like 123456789012")
    settings, assembly = open_fleet(app)
    audit = open_audit(app, assembly, "revoke")
    tools = RevokeContext(assembly.organization, settings, audit, assembly.now, signs=assembly.signing_key())
    accounts = accounts_named(_all(app, tools) if not numbers else (), numbers)
    with app.waiting(f"looking for {user} in {len(accounts)} account{'s' if len(accounts) != 1 else ''}"):
        found = find(tools, accounts, user, uses=uses, quick=quick)
    if not numbers and not settings.accounts.role:
        warn(app, f"only account {accounts[0]} was looked at: no role is set in [accounts] of the fleet's settings")
    if found and all(held.problem for held in found):
        raise _nowhere(app, user, found)
    if not found:
        where = "there" if len(accounts) == 1 else f"in any of {len(accounts)} accounts"
        raise Gone(f"there is no user {user} {where}", "aws iam list-users")
    return tools, found


def _nowhere(app: App, user: str, broken: Sequence[UserLook]) -> Problem:
    """Found in no account, and some could not be looked at: each of them is named."""
    from ...fleet.survey import first_code

    problems = [held.problem for held in broken if held.problem]
    for held in broken:
        warn(app, f"{held.account}: {held.problem.message if held.problem else ''}")
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
        warn(app, f"only the accounts of the settings are looked at: {denied.message}")
        return accounts_of(tools.organization, chosen)


def _end(app: App, tools: RevokeContext, problems: Sequence[Problem | None]) -> int:
    """Close the audit; gives the exit code."""
    from ...fleet.survey import first_code

    failures = [problem.code for problem in problems if problem]
    numbers = {"Switched": float(len(problems) - len(failures)), "Failed": float(len(failures))}
    return first_code([*failures, close(app, tools.audit, numbers)])
