"""Every key: the rows of `status`, looked up; and a key that no place here holds, retired.

A key that AWS refuses and a network that is away are rows, not failures. What a row is, and its verdict, stands in
`core/policy.py`. `delete-key` does one step a call: an active key is switched off, an inactive one deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from ..core.errors import Gone, NotAllowed, Problem
from ..core.hints import Again, Hint
from ..core.model import AccessKey, Credentials, Identity, LastUse, Look, Place, is_exempt, recalled, wanted_by_it
from ..core.parallel import side_by_side
from ..core.plan import Note
from ..core.policy import STATIC, Past, Row, gone, mask, stamp
from .facts import LocalState, is_stranded, listed, readable_notes
from .ports import Account, History
from .unfinished import Unfinished


@dataclass(frozen=True, slots=True)
class Use:
    """What one profile signs in with: `kind` is "static pair", "sso", ...; a static pair has an id and a place. `mixed`
    if it has another way to sign in beside its key."""

    profile: str
    kind: str
    key_id: str | None = None
    place: Place | None = None
    note: str = ""
    mixed: bool = False


def look_at(pair: Credentials, account: Account, here: LocalState) -> Row:
    """Ask AWS about one pair: the facts for its row. Never raises a Problem: what went wrong is in the row."""
    if back := came_back([pair.key_id], here.history):
        return {"seen_at": stamp(account.now()), **back[pair.key_id]}
    try:
        look = account.look([pair])
    except NotAllowed as problem:
        return {"seen_at": stamp(account.now()), "refused": problem.message}
    except Problem as problem:
        return {"seen_at": stamp(account.now()), "unknown": problem.message}
    who, row = look.identity, {"seen_at": stamp(look.now), "account": look.identity.account}
    if not who.is_user:
        return {**row, "refused": f"not a key of an IAM user: {who.arn}"}
    key = listed(look.keys, here.history).get(pair.key_id)
    row["user"] = who.user
    if key is None:
        return {**row, "unknown": f"not listed among the keys of {who.user}"}
    refused = "" if key.active else f"{key.status.lower()} in AWS"
    if key.active and look.dead:
        refused = "the secret stored here is wrong"
    recall = recalled(look.tags, key.created, look.now)
    return {
        **row,
        "created": stamp(key.created),
        "last_use": look.use,
        "exempt": is_exempt(look.tags),
        "wanted": wanted_by_it(look.tags, pair.key_id),
        "recall": recall.row if recall else None,
        "refused": refused,
        "others": [
            {"key_id": other.key_id, "status": other.status, "created": stamp(other.created)}
            for other in listed(look.keys, here.history).values()
            if other.key_id != pair.key_id
        ],
    }


def came_back(key_ids: Iterable[str], history: History) -> dict[str, Row]:
    """Those of these keys that were deleted here, of which AWS need not be asked, with what their rows say."""
    ends = gone(history.entries())
    more = "; an older file has been restored: restore the newer one, or rotate-my-key adopt"
    return {key_id: {"refused": f"{ends[key_id]}{more}"} for key_id in key_ids if key_id in ends}


def look_at_each(
    pairs: Sequence[tuple[str, Credentials]], account_of: Callable[[str], Account], here: LocalState
) -> list[Row]:
    """The facts for the row of each pair, in order, eight at a time; `account_of` leads to the user by a profile."""

    def ask(profile: str, pair: Credentials) -> Row:
        try:
            return look_at(pair, account_of(profile), here)
        except Problem as problem:
            return {"seen_at": stamp(datetime.now(UTC)), "unknown": problem.message}

    return side_by_side([partial(ask, *each) for each in pairs])


def survey(uses: Iterable[Use], facts: Mapping[str, Row]) -> list[Row]:
    """The rows: keys in the order of the files, each once, then profiles without a key of their own."""
    by_id: dict[str, list[Use]] = {}
    others = []
    for use in uses:
        if use.kind == STATIC and use.key_id:
            by_id.setdefault(use.key_id, []).append(use)
        else:
            others.append(use)
    rows = [_key_row(key_id, held, facts.get(key_id, {})) for key_id, held in by_id.items()]
    return rows + [{"profiles": [use.profile], "kind": use.kind, "key_id": None, "note": use.note} for use in others]


def _key_row(key_id: str, held: Sequence[Use], facts: Row) -> Row:
    return {
        "profiles": list(dict.fromkeys(use.profile for use in held)),
        "kind": STATIC,
        "key_id": key_id,
        "account": None,
        "user": None,
        "created": None,
        "last_use": None,
        "used_by_others": None,
        "mixed": [use.profile for use in held if use.mixed],
        "places": [use.place.json() for use in held if use.place],
        **facts,
    }


def unheld(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Each further key of a user of these rows that nothing here holds or waits for, with the row of the user's key."""
    known = {row.get("key_id") for row in rows}
    found: dict[str, tuple[Row, Row]] = {}
    for row in rows:
        for other in row.get("others") or () if not row.get("unfinished") else ():
            if other["key_id"] not in known:
                found.setdefault(other["key_id"], (row, other))
    return list(found.values())


def with_notes(rows: Sequence[Row], notes: Sequence[Unfinished]) -> list[Row]:
    """The rows, with what earlier runs began: keys of an unfinished rotation are marked, kept old keys get a row."""
    marked = [dict(row) for row in rows]
    for found in notes:
        note = found.note
        mine = [row for row in marked if row.get("key_id") in found.ids]
        kept = note is not None and is_kept(note)
        for row in mine:
            if not kept or (note and row["key_id"] == note.unwanted):
                row |= _unfinished(found)
        if note and kept and not any(row["key_id"] == note.unwanted for row in mine):
            marked.append(_kept_row(note))
        elif not mine:
            marked.append(_lost_row(found))
    return marked


def is_kept(note: Note) -> bool:
    """Whether nothing is left to do but to wait: the old key was to be kept for a while."""
    return note.wanted is not None and not note.back and note.delete_at > note.began


def _kept_row(note: Note) -> Row:
    return {
        "profiles": list(dict.fromkeys(place.profile for place in note.places)),
        "kind": STATIC,
        "key_id": note.unwanted,
        "account": note.identity.account,
        "user": note.identity.user,
        "switched_off_until": stamp(note.delete_at),
        "works_until": stamp(note.switch_off_at) if note.overlaps else None,
        "note": f"replaced by {mask(note.wanted or '')}",
    }


def _lost_row(found: Unfinished) -> Row:
    who = found.note.identity if found.note else None
    return {
        "profiles": [],
        "kind": STATIC,
        "key_id": found.name,
        "account": who.account if who else None,
        "user": who.user if who else None,
        **_unfinished(found),
    }


def _unfinished(found: Unfinished) -> Row:
    """How it comes to an end; `told` if no run can bring it there, which was said."""
    if found.problem:
        return {"unfinished": found.problem.message}
    if found.note and found.note.told:
        return {"unfinished": "cannot be finished; see rotate-my-key doctor", "told": True}
    return {"unfinished": "rotate-my-key finishes it"}


@dataclass(frozen=True, slots=True)
class Retirement:
    """What would be done: `key` is switched off if it is active, else deleted."""

    key: AccessKey
    identity: Identity
    last_use: LastUse | None

    @property
    def deletes(self) -> bool:
        """Whether this call deletes it."""
        return not self.key.active


def find_key(asked: str, look: Look, here: LocalState) -> AccessKey:
    """The user's key that is meant: its id, or the last characters of it (four or more), if they fit just one. Raises
    Problem."""
    who = look.identity
    keys = listed(look.keys, here.history).values()
    fitting = [key for key in keys if key.key_id == asked] or [
        key for key in keys if len(asked) >= 4 and key.key_id.endswith(asked.upper())
    ]
    if not fitting:
        known = " and ".join(mask(key.key_id) for key in keys) or "none"
        raise Problem(f"{who.user} in {who.account} has no key {asked!r} (has {known})", Hint("status"))
    if len(fitting) > 1:
        raise Problem(f"{asked!r} matches two keys of {who.user}", Hint("status", "--json"))
    return fitting[0]


def plan_retirement(asked: str, look: Look, account: Account, here: LocalState) -> Retirement:
    """Which key, and what would be done to it. Raises Problem for a key that is in use here, or the last one."""
    if not look.identity.is_user:
        raise Problem(f"{look.identity.arn} is not an IAM user", Hint("status"))
    key = find_key(asked, look, here)
    _check_places(key.key_id, here)
    _check_last(key, look, here)
    # A key that a rotation may still put into its places must not go: one that works, or that `undo` switches on; also
    # where only the stored pair is left of that rotation. A kept old one may; and so may any of a rotation whose places
    # all hold other keys by now.
    notes = [note for note in readable_notes(here.notes) if note.wanted == key.key_id and (key.active or note.undo)]
    lost = [name for name in here.staging.names() if name not in here.notes.names()]
    staged = {pair.key_id for name in lost if (pair := here.staging.get(name).get("staged"))}
    if any(not is_stranded(note, here) for note in notes) or (key.active and key.key_id in staged):
        raise Problem(f"key {mask(key.key_id)} belongs to an unfinished rotation", Hint())
    return Retirement(key, look.identity, account.last_use(key.key_id))


def retire(plan: Retirement, account: Account, here: LocalState) -> None:
    """Do it, and write it into the history. The places are searched again first."""
    key_id = plan.key.key_id
    _check_places(key_id, here)
    with suppress(Gone):  # the list has shown it, so somebody else has just deleted it
        account.delete(key_id) if plan.deletes else account.set_active(key_id, False)
    action, deleted = ("deleted", (key_id,)) if plan.deletes else ("switched off", ())
    who = plan.identity
    here.history.add(Past(account.now(), action, who.account, who.arn, key_id, None, deleted))


def _check_last(key: AccessKey, look: Look, here: LocalState) -> None:
    """Deactivated, it could not even sign the call that deletes it, and nobody could activate another one."""
    others = [other for other in listed(look.keys, here.history).values() if other.key_id != key.key_id]
    if key.active and not look.auth_profile and not any(other.active for other in others):
        raise Problem(
            f"key {mask(key.key_id)} is the only active key of {look.identity.user}, who could not sign in without it",
            Again("--auth-profile", "NAME", lead="if you can sign in another way"),
        )


def _check_places(key_id: str, here: LocalState) -> None:
    held = [holding.place for holding in here.places.search([key_id]) if holding.pair]
    if held:
        names = " and ".join(f"{place.profile} in {place.path}" for place in held)
        raise Problem(
            f"key {mask(key_id)} is in use here: {names}",
            Hint("rotate", "--force", profile=held[0].profile) if held[0].is_read else Hint("status"),
        )
