"""What a look at a key changes in what is remembered of it: a table of sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key.core.policy import Policy
from rotate_my_key.fleet.memory import LONGEST, KeyMemory, decode, encode, ref
from rotate_my_key.fleet.model import FleetKey
from rotate_my_key.fleet.rules import observed
from tests.fleet.enforce.test_rules import DAY, NOW, TODAY, TOLD, facts, key

OFF = replace(TOLD, off=TODAY - 5 * DAY)
NONE = KeyMemory()
BACK = KeyMemory(back=TODAY)
CASES: list[tuple[str, FleetKey, KeyMemory, KeyMemory]] = [
    ("nothing is known of a key that works", key("B", 10), NONE, NONE),
    ("a key that works keeps its notices", key("B", 80), TOLD, TOLD),
    ("found switched off: from today on", key("B", 80, active=False, used=9), TOLD, replace(TOLD, found_off=TODAY)),
    ("known to be off: nothing changes", key("B", 80, active=False, used=9), OFF, OFF),
    ("used on the day it was switched off is no news", key("B", 80, active=False, used=5), OFF, OFF),
    (
        "used later: somebody switched it on in between, so it counts from today",
        key("B", 80, active=False, used=3),
        OFF,
        replace(TOLD, found_off=TODAY),
    ),
    ("switched on again: all begins anew, notices too", key("B", 99), OFF, BACK),
    ("also what somebody else had switched off", key("B", 99), replace(TOLD, found_off=TODAY), BACK),
    ("also what was revoked", key("B", 99), replace(TOLD, revoked=TODAY), BACK),
    ("who made it stays", key("B", 9), replace(OFF, made=TODAY - 9 * DAY), replace(BACK, made=TODAY - 9 * DAY)),
    (
        "when it was switched on again stays",
        key("B", 60, used=1),
        replace(TOLD, back=TODAY - DAY),
        KeyMemory(back=TODAY - DAY),
    ),
    ("told that it is unused, and used again: the notice is answered", key("B", 60, used=1), TOLD, NONE),
    ("due by its age, use is no answer", key("B", 80, used=1), TOLD, TOLD),
    (
        "a run was about to switch it off, and it is off: the fleet did it",
        key("B", 95, active=False, used=2),
        replace(TOLD, intended=TODAY - DAY),
        replace(TOLD, off=TODAY - DAY, intended=TODAY - DAY),
    ),
    ("and it is not off: nothing was done", key("B", 95), replace(TOLD, intended=TODAY - DAY), TOLD),
    (
        "what somebody else switched off before stays his",
        key("B", 95, active=False, used=9),
        replace(TOLD, found_off=TODAY - DAY, intended=TODAY),
        replace(TOLD, found_off=TODAY - DAY, intended=TODAY),
    ),
    ("a last use that is not known changes nothing", key("B", 60, used="unknown"), TOLD, TOLD),
    ("nor for one that is off", key("B", 60, active=False, used="unknown"), OFF, OFF),
]


@pytest.mark.parametrize(("sentence", "seen", "before", "after"), CASES, ids=[case[0] for case in CASES])
def test_looks(sentence: str, seen: FleetKey, before: KeyMemory, after: KeyMemory) -> None:
    """Each row is a sentence, a key, what was remembered and what is."""
    who = facts(seen, B=before)
    assert observed(who.user, who.memory, Policy(), NOW).get(ref(seen.key_id or ""), NONE) == after


def test_a_key_that_is_gone_is_forgotten() -> None:
    """Of keys that the user no longer has nothing stays in the tag."""
    who = facts(key("B", 80), B=TOLD, C=OFF)
    assert set(observed(who.user, who.memory, Policy(), NOW)) == {ref(who.user.keys[0].key_id or "")}


def test_all_that_can_be_known_of_two_keys_has_room_in_a_tag() -> None:
    """And is read back as it was."""
    dates: dict[str, Any] = dict.fromkeys(
        ("first", "last", "off", "found_off", "made", "revoked", "intended", "back"), TODAY
    )
    memory = {name: KeyMemory(notices=9999, **dates) for name in ("ABCD2345", "EFGH6789")}
    assert len(encode(memory)) <= LONGEST
    assert decode(encode(memory)) == memory


def test_it_is_not_more_than_a_look() -> None:
    """What is remembered is not changed in place."""
    who = facts(key("B", 99), B=OFF)
    observed(who.user, who.memory, Policy(max_age=timedelta(days=90)), NOW)
    assert who.memory[ref(who.user.keys[0].key_id or "")] == OFF
