"""What `fleet revoke` and the two `--undo` show: values become sentences, or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ...errors import mask
from ...fleet.model import FleetKey
from ...fleet.one_user import UserKeys
from ...fleet.revoking import Cause, SwitchResult, cause_of
from ...fleet.revoking import restorable as restorable_keys
from ...words import number, span, used
from ..app import App
from ..show import problem_json, stamp

_WHO = {
    Cause.ENFORCE: "by enforce",
    Cause.REVOKE: "by revoke",
    Cause.OTHERS: "by somebody else, or it is not known by whom",
}


def found(held: Iterable[UserKeys], now: datetime) -> str:
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


def working(held: Iterable[UserKeys]) -> str:
    """`3 keys`, "" for none; an account that cannot be looked at may have some."""
    all_held = list(held)
    keys = sum(key.active for each in all_held for key in each.user.keys)
    unknown = sum(each.problem is not None for each in all_held)
    return number(keys, "key") if keys else ("what there is" if unknown else "")


def own(held: UserKeys, key: FleetKey) -> str:
    """Before the question, where the key that signs this run is among those that would go."""
    return (
        f"{mask(key.key_id or '')} of {held.user.name} in {held.account} signs this run: it is switched off last, and "
        "somebody else must sign to take that back"
    )


def done(user: str, held: Sequence[UserKeys], switched: Sequence[SwitchResult], undo: str) -> str:
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


def sessions(user: str, command: str) -> str:
    """What is not ended by it."""
    return (
        f"Sessions that were made from these keys live on, up to 36 hours. To end what {user}'s own may do, in his "
        f"account:\n    {command}\nSessions of roles that he took on: revoke them at each role (IAM, Roles, Revoke "
        "sessions)."
    )


def restorable(held: Iterable[UserKeys], cause: Cause, now: datetime) -> str:
    """What would be switched on again, and why the others are not."""
    lines = []
    for each in held:
        if each.problem:
            lines.append(f"  {each.account}: cannot be looked at: {each.problem.message}")
            continue
        mine = restorable_keys(each, cause)
        lines += [f"  {each.account}: {_key(key, now)}: to be switched on again" for key in mine]
        lines += [
            f"  {each.account}: {_key(key, now)}: {_left(each, key)}" for key in each.user.keys if key not in mine
        ]
    return "\n".join(["Found:", *lines])


def _left(held: UserKeys, key: FleetKey) -> str:
    if key.active:
        return "nothing to undo"
    return f"left: switched off {_WHO[cause_of(held.known(key))]}" if not held.forgetful else f"left: {held.forgetful}"


def undone(switched: Sequence[SwitchResult]) -> str:
    """What became of it."""
    if not switched:
        return "There is nothing to undo."
    return "\n".join(_line(each, "switched on again").lstrip() for each in switched)


def warn(app: App, switched: Iterable[SwitchResult]) -> None:
    """What could not be written down."""
    for note in dict.fromkeys(f"{each.account}: {note}" for each in switched for note in each.notes):
        app.complain(f"{app.style('warning:', fg='yellow')} {note}")


# JSON


def as_json(held: Iterable[UserKeys], switched: Iterable[SwitchResult], command: str) -> dict[str, Any]:
    """The object of `fleet revoke --json`."""
    return {**undone_json(held, switched), "end_sessions": command}


def undone_json(held: Iterable[UserKeys], switched: Iterable[SwitchResult]) -> dict[str, Any]:
    """The object of the two `--undo`."""
    return {
        "found": [_held_json(each) for each in held],
        "switched": [
            {
                "account": each.account.number,
                "key_id": each.key.key_id if each.key else None,
                "notes": list(each.notes),
                "problem": problem_json(each.problem) if each.problem else None,
            }
            for each in switched
        ],
    }


def _held_json(held: UserKeys) -> dict[str, Any]:
    return {
        "account": held.account.number,
        "user": held.user.name,
        "problem": problem_json(held.problem) if held.problem else None,
        "keys": [
            {
                "key_id": key.key_id,
                "active": key.active,
                "created": stamp(key.created),
                "switched_off_by": None if key.active else cause_of(held.known(key)).value,
            }
            for key in held.user.keys
        ],
    }
