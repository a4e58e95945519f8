"""Where the rows of `status` come from if the cache will not do: the profile files, the notes, and AWS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from ..core.errors import Problem, mask
from ..core.model import Credentials
from ..core.parallel import side_by_side
from ..core.policy import STATIC, Row
from ..profiles.kinds import ROTATABLE, Kind, ProfileFact, sections
from ..rotation.survey import Use, look_at, survey, with_notes
from ..rotation.unfinished import unfinished
from ..state.cache import Cached, FileCache
from .app import App
from .wiring import Wiring


def cached(app: App, kept: Cached) -> list[Row]:
    """The files as they are now, with what was last seen of their keys."""
    wiring = Wiring.of(app)
    rows = survey([_use(fact, wiring) for fact in sections(wiring.files)], _by_id(kept))
    return with_notes(rows, unfinished(wiring.here, mend=False))


def live(app: App, cache: FileCache, kept: Cached) -> list[Row]:
    """Ask AWS about each distinct pair, eight at a time, and keep what it says. Nobody is asked for an MFA code."""
    wiring = Wiring(app, asks=False)
    facts = sections(wiring.files, wiring.keyring.pair)
    pairs: dict[str, tuple[str, Credentials]] = {}
    for fact in facts:
        if fact.pair and fact.kind in ROTATABLE:
            pairs.setdefault(fact.pair.key_id, (fact.profile, fact.pair))
    with app.waiting("asking AWS"):
        found = dict(zip(pairs, _ask_all(wiring, list(pairs.values())), strict=True))
    uses = [_use(fact, wiring) for fact in facts]
    found |= {use.key_id: _unread(use) for use in uses if use.note and use.key_id and use.key_id not in found}
    lasting = _lasting(app, found, _by_id(kept))
    try:
        cache.save(survey(uses, lasting))
    except Problem as problem:
        app.detail(f"the status could not be kept: {problem.message}")
    away = {key_id: {**lasting[key_id], **{k: v for k, v in row.items() if v}} for key_id, row in found.items()}
    return with_notes(survey(uses, away), unfinished(wiring.here, mend=False))


def _by_id(kept: Cached) -> dict[str, Row]:
    facts = ("account", "user", "created", "last_use", "seen_at", "exempt", "refused", "unknown", "others")
    return {row["key_id"]: {name: row.get(name) for name in facts} for row in kept.rows if row.get("key_id")}


def _lasting(app: App, found: dict[str, Row], kept: dict[str, Row]) -> dict[str, Row]:
    """What is kept: a key's age is known once its CreateDate is, also while the network is away."""
    lasting = {}
    for key_id, row in found.items():
        old = kept.get(key_id, {})
        if row.get("unknown"):
            app.detail(f"{mask(key_id)}: {row['unknown']}")
        lasting[key_id] = old if row.get("unknown") and old.get("created") else row
    return lasting


def _unread(use: Use) -> Row:
    """The row of a key that the keyring does not give out now."""
    return {"seen_at": datetime.now(UTC).isoformat(timespec="seconds"), "unknown": use.note}


def _use(fact: ProfileFact, wiring: Wiring) -> Use:
    key_id = fact.pair.key_id if fact.pair else None
    if fact.kind is Kind.KEYRING and fact.place:
        known = wiring.keyring.index.get(fact.place.profile)
        key_id = key_id or (known.ids[-1] if known and known.ids else None)
        if key_id:
            return Use(fact.profile, STATIC, key_id, fact.place, fact.note)
    note = fact.note or (f"a role, with the key of {fact.source}" if fact.source else "")
    return Use(fact.profile, fact.kind.value, key_id, fact.place, note)


def _ask_all(wiring: Wiring, pairs: Sequence[tuple[str, Credentials]]) -> list[Row]:
    def ask(profile: str, pair: Credentials) -> Row:
        try:
            return look_at(pair, wiring.account(profile), wiring.here)
        except Problem as problem:
            return {"seen_at": datetime.now(UTC).isoformat(timespec="seconds"), "unknown": problem.message}

    return side_by_side([partial(ask, *each) for each in pairs])
