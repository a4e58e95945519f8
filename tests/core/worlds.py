"""Worlds for the tables: alice rotates OLD, which she wrote into two profiles; NEW is made for it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rotate_my_key.core.model import AccessKey, Identity, Place
from rotate_my_key.core.plan import Note, PlaceState, World

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
OLD, NEW, OTHER = "AKIAOLD", "AKIANEW", "AKIAOTHER"
HOME = Place("/home/alice/.aws/credentials", "default")
WORK = Place("/home/alice/.aws/credentials", "work")
ALICE = Identity("123456789012", "arn:aws:iam::123456789012:user/alice")
WANTED, UNWANTED, TORN, ELSE = PlaceState.WANTED, PlaceState.UNWANTED, PlaceState.TORN, PlaceState.OTHER
EMPTY, AWAY, OWN = PlaceState.EMPTY, PlaceState.AWAY, PlaceState.OWN


def seconds(count: float) -> timedelta:
    """So many seconds."""
    return timedelta(seconds=count)


def key(key_id: str, age: timedelta = timedelta(0), status: str = "Active") -> AccessKey:
    """A key made `age` ago."""
    return AccessKey(key_id, status, NOW - age)


OLD_KEY = key(OLD, timedelta(days=98))
NEW_KEY = key(NEW, seconds(30))

NOTE = Note(
    name=OLD,
    identity=ALICE,
    endpoint="aws",
    unwanted=OLD,
    known=(OLD,),
    places=(HOME, WORK),
    began=NOW - seconds(60),
    switch_off_at=NOW - seconds(60),
    delete_at=NOW - seconds(60),
)
MADE = replace(NOTE, wanted=NEW)
BACK = MADE.swapped()
MERGE = replace(NOTE, wanted=NEW, known=(OLD, NEW))


def world(
    note: Note | None = NOTE,
    *keys: AccessKey,
    home: PlaceState = UNWANTED,
    work: PlaceState | None = None,
    secrets: tuple[str, ...] = (OLD, NEW),
    **facts: Any,
) -> World:
    """A world a minute after the note, looked at 20 seconds ago and listed just now; without keys, OLD is there."""
    listed = {k.key_id: k for k in keys or (OLD_KEY,)}
    places = {HOME: home, WORK: work or home}
    for name in ("gone", "used", "unused", "proven", "checked", "denied"):
        facts[name] = frozenset(facts.get(name, ()))
    facts = {"first_look": NOW - seconds(20), "listed_at": NOW} | facts
    return World(OLD, listed, places, note=note, secrets=frozenset(secrets), **facts)
