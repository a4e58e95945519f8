"""`status`: every key on this computer, live or from the cache. Changes nothing at AWS and nothing in the files.

`--cached` must stay cheap: what asks AWS, or reads notes, is imported only where it is needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..core import policy
from ..core.errors import Problem
from ..core.hints import Hint
from ..core.policy import STATIC, Row, check, judge, mask
from .app import App
from .layout import table

if TYPE_CHECKING:
    from ..core.model import Credentials
    from ..profiles.kinds import ProfileFact
    from ..rotation.survey import Use
    from ..state.history import Cached, FileCache
    from .wiring import Wiring

_COLOURS = {"fresh": "green", "due": "yellow", "overdue": "red", "unfinished": "yellow", "refused": "red"}
_FIELDS = (
    *("profiles", "kind", "key_id", "account", "user", "created", "age_days", "due", "overdue", "verdict", "why"),
    *("last_use", "used_by_others", "exempt", "recall", "works_until", "switched_off_until", "seen_at", "places"),
)
_HEAD = ("VERDICT", "PROFILES", "KEY", "AGE", "USER", "LAST USE", "")
# What is worst comes first.
_ORDER = (
    *("overdue", "refused", "unfinished", "due", "unknown", "kept", "switched off", "fresh", "exempt", "not rotatable"),
)
_SIGN_IN = {
    "sso": "signs in with SSO",
    "login": "signs in with aws login",
    "process": "gets credentials from a program",
    "web identity": "a role, with a web identity token",
    "session": "temporary credentials, which expire on their own",
    "role": "a role",
    "none": "no key in it",
}


def run(app: App, *, profiles: tuple[str, ...], cached: bool, least: str | None, as_json: bool) -> int:
    """Show every key on this computer: who it belongs to, its age, its last use, and the verdict."""
    now = datetime.now(UTC)
    settings = app.settings
    rows = [judge(row, settings.policy, now) for row in _rows(app, cached)]
    known = {name for row in rows for name in row["profiles"]}
    missing = [name for name in profiles if name not in known]
    if missing:
        raise Problem(f"no key or profile named {', '.join(missing)} is known here", Hint("status"))
    chosen = [row for row in rows if not profiles or set(profiles) & set(row["profiles"])]
    if as_json:
        app.json({"cached": cached, "keys": [_public(row) for row in chosen]})
    elif not (least and app.quiet):  # a script looks at the exit code alone
        chosen.sort(key=lambda row: _ORDER.index(row["verdict"]))
        _print(app, chosen, now)
        _tell_second(app, rows, profiles, now)
        if _under_way(app):
            from ..rotation.facts import readable_notes
            from .wiring import Wiring

            wiring = Wiring(app, asks=False)
            for profile in sorted(
                {place.profile for note in readable_notes(wiring.here.notes) for place in note.places}
            ):
                if command := wiring.put_back(profile):
                    app.say(f"profile {profile} no longer holds its key, which is stored here: {command}")
        _tell_next(app, chosen, profiles)
    if not least:
        return 0
    counted = chosen if profiles else [row for row in chosen if not set(row["profiles"]) & set(settings.exclude)]
    return check(counted, least, settings.policy, now, settings.cache_max_age.total_seconds())


def _rows(app: App, cached: bool) -> list[Row]:
    """The facts: from the cache if that will do, else from the files and from AWS."""
    from . import reminder

    cache = reminder.cache(app)
    kept = cache.load()
    if cached and kept.current and not _under_way(app):
        return kept.rows
    return _from_cache(app, kept) if cached else _live(app, cache, kept)


def _from_cache(app: App, kept: Cached) -> list[Row]:
    """The files as they are now, with what was last seen of their keys."""
    from ..profiles.kinds import sections
    from ..rotation.survey import came_back, survey, with_notes
    from ..rotation.unfinished import unfinished
    from .wiring import Wiring

    wiring = Wiring.of(app)
    uses = [_use(fact, wiring) for fact in sections(wiring.files)]
    back = came_back([use.key_id for use in uses if use.key_id], wiring.history)
    rows = survey(uses, {**_by_id(kept), **back})
    return with_notes(rows, unfinished(wiring.here, mend=False))


def _live(app: App, cache: FileCache, kept: Cached) -> list[Row]:
    """Ask AWS about each distinct pair, eight at a time, and keep what it says. Nobody is asked for an MFA code."""
    from ..profiles.kinds import ROTATABLE, sections
    from ..rotation.survey import look_at_each, survey, with_notes
    from ..rotation.unfinished import unfinished
    from .wiring import Wiring

    wiring = Wiring(app, asks=False)
    facts = sections(wiring.files, wiring.keyring.pair)
    pairs: dict[str, tuple[str, Credentials]] = {}
    for fact in facts:
        if fact.pair and fact.kind in ROTATABLE:
            pairs.setdefault(fact.pair.key_id, (fact.profile, fact.pair))
    with app.waiting("asking AWS"):
        found = dict(zip(pairs, look_at_each(list(pairs.values()), wiring.account, wiring.here), strict=True))
    uses = [_use(fact, wiring) for fact in facts]
    unread = [use for use in uses if use.note and use.key_id not in found]  # what the keyring does not give out now
    seen_at = datetime.now(UTC).isoformat(timespec="seconds")
    found |= {use.key_id: {"seen_at": seen_at, "unknown": use.note} for use in unread if use.key_id}
    lasting = _lasting(app, found, _by_id(kept))
    try:
        cache.save(survey(uses, lasting))
    except Problem as problem:
        app.detail(f"the status could not be kept: {problem.message}")
    away = {key_id: {**lasting[key_id], **{k: v for k, v in row.items() if v}} for key_id, row in found.items()}
    return with_notes(survey(uses, away), unfinished(wiring.here, mend=False))


def _by_id(kept: Cached) -> dict[str, Row]:
    facts = (
        *("account", "user", "created", "last_use", "seen_at", "exempt", "wanted", "recall"),
        *("refused", "unknown", "others"),
    )
    return {
        row["key_id"]: {
            **{name: row.get(name) for name in facts},
            "used_by_others": policy.by_others(row.get("last_use"), row),
        }
        for row in kept.rows
        if row.get("key_id")
    }


def _lasting(app: App, found: dict[str, Row], kept: dict[str, Row]) -> dict[str, Row]:
    """What is kept: a key's age is known once its CreateDate is, also while the network is away."""
    lasting = {}
    for key_id, row in found.items():
        old = kept.get(key_id, {})
        row["used_by_others"] = policy.by_others(row.get("last_use"), old)
        if row.get("unknown"):
            app.detail(f"{mask(key_id)}: {row['unknown']}")
        lasting[key_id] = old if row.get("unknown") and old.get("created") else row
    return lasting


def _use(fact: ProfileFact, wiring: Wiring) -> Use:
    from ..profiles.kinds import Kind
    from ..rotation.survey import Use

    key_id = fact.pair.key_id if fact.pair else None
    if fact.kind is Kind.KEYRING and fact.place:
        known = wiring.keyring.index.get(fact.place.profile)
        key_id = key_id or (known.ids[-1] if known and known.ids else None)
        if key_id:
            return Use(fact.profile, STATIC, key_id, fact.place, fact.note)
    note = fact.note or (f"a role, with the key of {fact.source}" if fact.source else "")
    return Use(fact.profile, fact.kind.value, key_id, fact.place, note, mixed=bool(fact.also))


def _under_way(app: App) -> bool:
    try:
        return bool(os.listdir(os.path.join(app.paths.state_dir, "rotations")))
    except OSError:
        return False


def _public(row: Row) -> Row:
    """A row for --json: every field in every row; what was merely noted on the way to the verdict is left out."""
    return {
        **{name: row.get(name) for name in _FIELDS},
        "exempt": bool(row.get("exempt")),
        "places": row.get("places") or [],
    }


def _print(app: App, rows: Sequence[Row], now: datetime) -> None:
    if not rows:
        app.out("no profile here holds a key")
        return
    head, *lines = table([_HEAD, *(_cells(row, now) for row in rows)], app.width())
    app.out(app.style(head, bold=True))
    for row, line in zip(rows, lines, strict=True):
        colour = _COLOURS.get(row["verdict"])
        app.out(app.style(line, fg=colour) if colour else line)


def _tell_next(app: App, rows: Sequence[Row], profiles: Sequence[str]) -> None:
    """What to type: for the keys whose time has come, and for those that AWS refuses."""
    excluded = () if profiles else app.settings.exclude
    ripe = [row for row in rows if row["verdict"] in ("due", "overdue") and not set(row["profiles"]) & set(excluded)]
    plain = [row for row in ripe if not row.get("mixed")]
    if plain:
        words = policy.join(dict.fromkeys(row["verdict"] for row in plain)).replace("and", "or")
        every = len(plain) > 1 and not profiles
        which = ["--all"] if every else [word for row in plain for word in ("-p", row["profiles"][0])]
        are = "is" if len(plain) == 1 else "are"
        app.say(f"{policy.number(len(plain), 'key')} {are} {words}: {Hint('rotate', *which)}")
    for row in ripe:
        if row.get("mixed"):
            hint = Hint("rotate", "-p", row["mixed"][0], "--mixed")
            app.say(f"{row['profiles'][0]} is {row['verdict']}: {hint}")
    for row in rows:
        if row["verdict"] == "refused" and row["profiles"]:
            name = row["profiles"][0]
            app.say(f"{name} is refused; to see why: {Hint('doctor', '-p', name)}")


def _tell_second(app: App, rows: Sequence[Row], profiles: Sequence[str], now: datetime) -> None:
    """A user has two keys at most: one that nothing here holds takes the room that a rotation needs."""
    if not any(row.get("others") for row in rows):
        return
    from ..rotation.survey import unheld

    for row, other in unheld(rows):
        names = [name for name in row["profiles"] if not profiles or name in profiles]
        if not names:
            continue
        active = other["status"] == "Active"
        state = "active" if active else "inactive"
        age = policy.old(now - datetime.fromisoformat(other["created"]))
        end = "perhaps on another computer" if active else "delete it if nothing needs it"
        command = Hint(*(["doctor"] if active else ["delete-key", other["key_id"]]), "-p", names[0])
        app.say(
            f"{row['user']} has a second key, {mask(other['key_id'])} ({state}, {age}), "
            f"that no profile here has; {end}: {command}"
        )


def _cells(row: Row, now: datetime) -> tuple[str, ...]:
    who = f"{row['user']} in {row['account']}" if row.get("user") else "-"
    verdict = "inactive" if row["verdict"] == "switched off" else row["verdict"]
    for what, until in (("works", row.get("works_until")), ("inactive", row.get("switched_off_until"))):
        if until:
            verdict = f"{what} until {policy.clock(datetime.fromisoformat(until), now)}"
            break
    age = policy.span(now - datetime.fromisoformat(row["created"])) if row.get("created") else "-"
    key = mask(row["key_id"]) if row.get("key_id") else "-"
    use = policy.used_by(row.get("last_use"), row.get("used_by_others"), now)
    use = use.partition(";")[0].removeprefix("last ").removeprefix("used ").removesuffix(" used")
    use = use if row.get("last_use") else "-"
    why = _SIGN_IN.get(row["why"], "") or row["why"] or ""
    if row.get("mixed") and not why:
        why = f"{policy.join(row['mixed'])} can sign in without a key too; SDKs disagree on which one wins"
    return (verdict, policy.join(row["profiles"]) or "-", key, age, who, use, why)
