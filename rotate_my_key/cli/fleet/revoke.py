"""`fleet revoke`: every key of one user is switched off now, in every account; the two `--undo`; and what they show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from ...core.errors import Gone, NeedsPerson, NotAllowed, Problem, TryLater, WrongUsage
from ...core.hints import Hint
from ...core.policy import join, mask, number, old, stamp, used
from ...fleet import revoke as engine
from ...fleet.actions import Notifier
from ...fleet.judge import addresses
from ...fleet.messages import Renderer
from ...fleet.model import AwsAccount, FleetKey
from ...fleet.notify import channels_of
from ...fleet.revoke import POLICY, Cause, RevokeContext, SwitchResult, WayIn, cause_of, restorable
from ...fleet.survey import first_code
from ...fleet.users import UserLook
from ..app import App
from .common import Names, agreed, check_accounts, close, fleet, open_audit, open_fleet, problem_json, stoppable, warn

_WHO = {Cause.ENFORCE: "by enforce", Cause.REVOKE: "by revoke", Cause.OTHERS: "by somebody else, or unknown"}


def revoke(
    app: App, *, user: str, owner: str, account: Names, why: str, undo: bool, sign_in: bool, yes: bool, as_json: bool
) -> int:
    """Show what there is, ask, switch off, and say how to take it back."""
    if bool(user) == bool(owner):
        raise WrongUsage("name one user, or --owner ADDRESS", Hint("fleet", "revoke", "USER"))
    if undo:
        return take_back(app, user, account, owner, yes=yes, as_json=as_json, cause=Cause.REVOKE, sign_in=sign_in)
    with stoppable(app, "nothing was changed"):
        tools, found, hidden = _find(app, user, account, owner, uses=not yes, quick=True)
    names = list(dict.fromkeys(each.user.name for each in found if each.user.name))
    user = user or join(names)  # of that owner
    if not as_json or not yes:
        app.say("\n".join([_found_text(found, tools.now()), *(_ways_in(tools, found) if sign_in and not yes else [])]))
    if own := engine.own_key(tools, found):
        held, key = own
        signs = f"{mask(key.key_id or '')} of {held.user.name} in {held.account} signs this run"
        warn(app, f"{signs}. It is deactivated last, and only somebody else can reactivate it")
    keys = sum(key.active for each in found for key in each.user.keys)
    # An account that could not be looked at may have some.
    works = number(keys, "key") if keys else "all keys" if any(each.problem for each in found) else ""
    question = f"Deactivate {works}" if works else ""
    if sign_in:
        ends = f"delete the console password and end the sessions of {user}"
        question = f"{question}, {ends}" if works else ends.capitalize()
    if question and not yes and not agreed(app, f"{question} now?"):
        return 4
    with stoppable(app, "some of the keys may still work"), app.waiting("deactivating keys"):
        done = engine.revoke(tools, found, why, sign_in=sign_in)
    commands = {name: engine.end_sessions(name, tools.now()) for name in names}
    code = _end(app, tools, done, *(each.problem for each in done), hidden)
    if as_json:
        app.json({**_json(found, done), "end_sessions": "\n".join(commands.values())})
    else:
        app.out(_revoked_text(user, found, done, _undo(app, own=own is not None)))
        app.say(_LEFT if sign_in else _left_text(user, found, commands))
    _warn_notes(app, done)
    _tell(app, tools, done, why)
    return code


_ROLES = "For sessions of roles that they assumed, revoke them for each role (IAM, Roles, Revoke sessions)."
_LEFT = f"{_ROLES}\nA deleted password cannot be restored: --undo allows sessions again, and no more."


def _left_text(user: str, found: Sequence[UserLook], sessions: Mapping[str, str]) -> str:
    """What goes on without the keys, and how to end it; with the account where there are several."""
    there = [(each.account, each.user.name) for each in found if each.user.name]
    several = len({account for account, _ in there}) > 1

    def where(commands: Mapping[str, str]) -> str:
        if not several:
            return "\n".join(f"    {command}" for command in commands.values())
        return "\n".join(f"  in {account}:\n    {commands[name]}" for account, name in there)

    return (
        f"Sessions started with these keys still work, for up to 36 hours. To end those of {user}, run this in "
        f"their account:\n{where(sessions)}\n{_ROLES}\nTheir console password, if any, still works. To remove it, run "
        f"this in their account:\n{where({name: engine.end_password(name) for _, name in there})}\n"
        "With --sign-in, revoke does both."
    )


def _ways_in(tools: RevokeContext, found: Sequence[UserLook]) -> list[str]:
    """Whether there is a password, for the question."""
    named = [held for held in found if held.user.name]
    there = engine.asked(tools, named, lambda directory, user: directory.has_password(user))
    words = {True: "will be deleted", False: "none", None: "not known whether there is one"}
    return [
        f"  {held.account}: console password of {held.user.name}: {words[has]}; sessions: will be ended"
        for held, has in zip(named, there, strict=True)
    ]


def _tell(app: App, tools: RevokeContext, done: Sequence[SwitchResult], why: str) -> None:
    """Owners and admins, by the channels of the settings; that it fails changes nothing of what was done."""
    settings, remind = tools.settings, tools.settings.remind
    if not (remind.owners or remind.admins) or not any(each.key and not each.problem for each in done):
        return
    try:
        assert tools.cloud
        renderer = Renderer(remind.templates, tools.now())
        notifier = Notifier(channels_of(settings, tools.cloud), settings, renderer, fleet(app, "revoke"))
        problems = engine.tell(tools, done, why, notifier)
    except Problem as error:
        problems = [error]
    for problem in problems:
        warn(app, f"somebody was not notified: {problem.message}", problem.hint)


def take_back(
    app: App, user: str, account: Names, owner: str, *, yes: bool, as_json: bool, cause: Cause, sign_in: bool = False
) -> int:
    """`--undo` of revoke and of enforce: each takes back what it did, and no more."""
    with stoppable(app, "nothing was changed"):
        tools, found, hidden = _find(app, user, account, owner)
    keys = [key for held in found for key in restorable(held, cause)]
    if not as_json or not yes:
        app.say(_found_text(found, tools.now(), cause))
    lines, barred = _barred(tools, found) if sign_in else ([], False)
    if lines and (not as_json or not yes):
        app.say("\n".join(lines))
    acts = bool(keys or barred)
    question = "Reactivate?" if keys else "Allow sessions again?"
    if acts and not yes and not agreed(app, question):
        return 4
    with stoppable(app, "some of the keys may be active already"), app.waiting("reactivating keys"):
        done = engine.take_back(tools, found, cause, sign_in=sign_in) if acts else []
    seen = done if acts else found
    code = _end(app, tools, done, hidden, *(each.problem for each in seen))
    if as_json:
        app.json(_json(found, done))
    else:
        app.out("\n".join(_line(each, "reactivated").lstrip() for each in done) or "Nothing to undo.")
    _warn_notes(app, done)
    return code


def _barred(tools: RevokeContext, found: Sequence[UserLook]) -> tuple[list[str], bool]:
    """What becomes of sessions and passwords, and whether any session is there to be allowed again, as far as known."""
    named = [held for held in found if held.user.name]
    there = engine.asked(tools, named, lambda directory, user: directory.has_policy(user, POLICY))
    said = {True: "will be allowed again", False: "were not ended by revoke", None: "not known whether they were ended"}
    both = zip(named, there, strict=True)
    lines = [f"  {held.account}: sessions of {held.user.name}: {said[has]}" for held, has in both]
    lines.append("A deleted console password cannot be restored. Create a new one if it is needed.")
    return lines, any(has is not False for has in there)


def _find(
    app: App, user: str, numbers: Sequence[str], owner: str = "", *, uses: bool = True, quick: bool = False
) -> tuple[RevokeContext, list[UserLook], Problem | None]:
    """With why there may be more accounts than were looked at. Raises Gone if there is no such user anywhere, Problem
    too if they are in no account that could be looked at."""
    check_accounts(numbers)
    settings, assembly = open_fleet(app)
    audit = open_audit(app, assembly, "revoke")
    signs, cloud = assembly.signing_key(), assembly.cloud
    tools = RevokeContext(assembly.organization, settings, audit, assembly.now, signs=signs, cloud=cloud)
    accounts, denied = engine.everywhere(tools, numbers)
    if denied:
        warn(app, f"only the accounts in the settings are checked: {denied.message}")
    with app.waiting(f"looking for {user or owner} in {number(len(accounts), 'account')}"):
        if owner:
            mine, broken = engine.owned(tools, accounts, owner, addresses(settings.owners))
            found = [*mine, *broken]
        else:
            found = engine.find(tools, accounts, user, uses=uses, quick=quick)
    if not numbers and not settings.accounts.role:
        warn(app, f"only account {accounts[0]} was checked: no role is set in [accounts] of the fleet's settings")
    if found and all(held.problem for held in found):
        raise _nowhere(app, user or owner, found)
    if not found:
        where = f"in {accounts[0]}" if len(accounts) == 1 else f"in any of {len(accounts)} accounts"
        like = _meant(tools, accounts, user)
        hint = app.again(*like, but=("user", "yes")) if like else fleet(app, "report", "--all")
        raise Gone(f"there is no user {f'of {owner}' if owner else user} {where}", hint)
    return tools, found, denied


def _meant(tools: RevokeContext, accounts: Sequence[AwsAccount], user: str) -> tuple[str, ...]:
    """What to name in the place of somebody whom `revoke` does not find; nothing if that is not known."""
    if not user or "owner" not in click.get_current_context().params:
        return ()
    name = engine.alike(tools, accounts, user)
    return (name,) if name else ("--owner", user) if "@" in user else ()


def _nowhere(app: App, user: str, broken: Sequence[UserLook]) -> Problem:
    """Found in no account, and some could not be looked at: each of them is named."""
    problems = [(held.account, held.problem) for held in broken if held.problem]
    for account, problem in problems:
        warn(app, f"{account}: {problem.message}")
    code = first_code(problem.code for _, problem in problems)
    kind = {NotAllowed.code: NotAllowed, TryLater.code: TryLater, NeedsPerson.code: NeedsPerson}.get(code, Problem)
    hint = next((problem.hint for _, problem in problems if problem.hint), "") or app.again()
    return kind(f"{user} was not found, and {number(len(broken), 'account')} could not be checked", hint)


def _undo(app: App, *, own: bool) -> str:
    """What takes it back. A run that switched off its own key needs another one to sign that."""
    but = ("why", "yes", "as_json")
    if own:
        command = app.again("--undo", "--auth-profile", "NAME", but=(*but, "profile", "auth_profile"))
        return f"To reactivate, signed by the profile NAME of somebody else: {command}"
    return f"To reactivate: {app.again('--undo', but=but)}"


def _end(app: App, tools: RevokeContext, done: Iterable[SwitchResult], *problems: Problem | None) -> int:
    """Close the audit; gives the exit code."""
    failures = [problem.code for problem in problems if problem]
    numbers = {"Switched": float(sum(not each.problem for each in done)), "Failed": float(len(failures))}
    return first_code([*failures, close(app, tools.audit, numbers)])


def _warn_notes(app: App, done: Iterable[SwitchResult]) -> None:
    """What could not be written down."""
    for note in dict.fromkeys(f"{each.account}: {note}" for each in done for note in each.notes):
        warn(app, note)


def _found_text(found: Iterable[UserLook], now: datetime, undo: Cause | None = None) -> str:
    """Every key, account by account; to `undo` a cause: what would be switched on again, and why the others not."""
    lines = ["Found:"]
    for each in found:
        mine = restorable(each, undo) if undo else []
        if each.problem:
            lines.append(f"  {each.account}: could not be checked: {each.problem.message}")
        elif not undo and not each.user.keys:
            lines.append(f"  {each.account}: no key")
        for key in [*mine, *(key for key in each.user.keys if key not in mine)]:
            then = f": {'will be reactivated' if key in mine else _left(each, key)}" if undo else ""
            lines.append(f"  {each.account}: {_key(key, now)}{then}")
    return "\n".join(lines)


def _key(key: FleetKey, now: datetime) -> str:
    state = "active" if key.active else "inactive"
    use = key.last_use
    last = used(use.at, use.service, use.region, now) if use else "last use unknown"
    return f"{mask(key.key_id or '')}, {state}, {old(now - key.created)}, {last}"


def _left(held: UserLook, key: FleetKey) -> str:
    if key.active:
        return "nothing to undo"
    return f"stays inactive: {held.unsure or f'deactivated {_WHO[cause_of(held.known(key.key_id))]}'}"


def _revoked_text(user: str, held: Sequence[UserLook], switched: Sequence[SwitchResult], undo: str) -> str:
    """What became of it; `undo` says how to take it back."""
    lines, keys = [_line(each, "deactivated") for each in switched], [each for each in switched if not each.way]
    off = sum(each.key is not None and each.problem is None for each in keys)
    total = f"{number(off, 'key')} of {user} deactivated."
    if not keys:
        total = f"{user} has no active key in {number(len(held), 'account')}."
    taken = off or any(each.way is WayIn.SESSIONS and not each.problem for each in switched)
    return "\n".join([*lines, f"{total} {undo}" if taken else total])


def _line(each: SwitchResult, word: str) -> str:
    if each.way:
        what = {WayIn.PASSWORD: "console password", WayIn.SESSIONS: "sessions"}[each.way]
        then = f"FAILED: {each.problem.message}" if each.problem else each.state
        return f"  {what} of {each.user} in {each.account}: {then}"
    what = f"{mask(each.key.key_id or '')} in {each.account}" if each.key else str(each.account)
    return f"  {what}: {f'NOT {word}: {each.problem.message}' if each.problem else word}"


def _json(found: Iterable[UserLook], switched: Iterable[SwitchResult]) -> dict[str, Any]:
    """The object of the two `--undo`."""
    return {
        "found": [
            {
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
            for held in found
        ],
        "switched": [
            {
                "account": each.account.number,
                "key_id": each.key.key_id if each.key else None,
                "notes": list(each.notes),
                "problem": problem_json(each.problem),
            }
            for each in switched
            if not each.way
        ],
        "sign_in": [
            {
                "account": each.account.number,
                "user": each.user,
                "what": each.way.value,
                "state": each.state or None,
                "notes": list(each.notes),
                "problem": problem_json(each.problem),
            }
            for each in switched
            if each.way
        ],
    }
