"""What is done to a user's keys: a table of sentences, each with a user and what becomes of his keys.

What a look at a key changes in what is remembered of it: a table of sentences.

When keys may be touched: weekdays and hours where the people are.
"""

from __future__ import annotations

import zoneinfo
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.core.model import LastUse
from rotate_my_key.core.policy import Policy
from rotate_my_key.fleet.memory import LONGEST, KeyMemory, decode, encode, ref
from rotate_my_key.fleet.model import FleetKey, FleetUser
from rotate_my_key.fleet.rules import Act, Decision, UserFacts, closed, decide, observed
from rotate_my_key.settings.fleet import Enforce, FleetSettings, ReissueSettings, Remind, zone
from tests.fleet.enforce.company import noticed

NOW = datetime.fromisoformat("2026-11-25T12:00:00+00:00")
TODAY = NOW.date()
ACCOUNT = "123456789012"
DAY = timedelta(days=1)
TOLD = noticed(1, TODAY - 10 * DAY, TODAY - 10 * DAY)
RECENT = object()  # a last use an hour ago


def policy(**enforce: Any) -> FleetSettings:
    """Switch off at 90 days, delete 10 days later, in this account."""
    rules = {"deactivate_at": 90 * DAY, "delete_after": 10 * DAY, "accounts": (ACCOUNT,), **enforce}
    return FleetSettings(enforce=Enforce(**rules), remind=Remind(repeat=3 * DAY), reissue=ReissueSettings(enabled=True))


def key(name: str, age: float, *, active: bool = True, used: Any = RECENT) -> FleetKey:
    """A key of that age; `used` is days ago, None for no use on record, "unknown" for not readable."""
    at = NOW - timedelta(hours=1) if used is RECENT else None
    use: LastUse | None = LastUse(at)
    if used == "unknown":
        use = None
    elif isinstance(used, int):
        use = LastUse(NOW - used * DAY)
    return FleetKey(active, NOW - age * DAY, f"AKIA{name:0>16}", use)


def facts(*keys: FleetKey, exempt: str = "", unsure: str = "", root: bool = False, **memory: KeyMemory) -> UserFacts:
    """A user with these keys; memory by the name of the key."""
    arn = f"arn:aws:iam::{ACCOUNT}:{'root' if root else 'user/alice'}"
    known = {ref(f"AKIA{name:0>16}"): each for name, each in memory.items()}
    return UserFacts(FleetUser(ACCOUNT, arn, keys), known, exempt, unsure)


def said(decisions: list[Decision]) -> list[str]:
    """`deactivate A`, `spare A: grace`."""
    words = []
    for each in decisions:
        name = each.key.key_id.lstrip("AKI0") if each.key and each.key.key_id else ""
        words.append(f"{each.kind.value} {name}" if isinstance(each, Act) else f"spare {name}: {each.rule.value}")
    return words


REPLACED = replace(TOLD, reissued=TODAY - 30 * DAY)
LAST = {"reissue_at": 60 * DAY, "deactivate_anyway_at": 90 * DAY}
OFF = replace(TOLD, off=TODAY - 10 * DAY)
CASES: list[tuple[str, UserFacts, dict[str, Any], list[str]]] = [
    ("a fresh key is not named", facts(key("B", 30)), {}, []),
    ("at exactly the age it is switched off", facts(key("B", 90), B=TOLD), {}, ["deactivate B"]),
    ("an hour before it is not", facts(key("B", 89.95), B=TOLD), {}, []),
    ("long after the age it still is: no window is missed", facts(key("B", 400), B=TOLD), {}, ["deactivate B"]),
    ("a key in daily use is switched off by its age", facts(key("B", 90, used=0), B=TOLD), {}, ["deactivate B"]),
    ("without a notice there is one first", facts(key("B", 400)), {}, ["notify B"]),
    ("the notice comes as early as the grace needs", facts(key("B", 83)), {}, ["notify B"]),
    ("and no earlier", facts(key("B", 82.9)), {}, []),
    (
        "a notice of yesterday is not repeated today, and is too young",
        facts(key("B", 90), B=noticed(1, TODAY - DAY, TODAY - DAY)),
        {},
        ["spare B: grace"],
    ),
    (
        "grace ends after the days that are set, whatever the hour",
        facts(key("B", 90), B=noticed(1, TODAY - 7 * DAY, TODAY - 7 * DAY)),
        {},
        ["deactivate B"],
    ),
    (
        "of three notices two are not enough; the third waits for its turn",
        facts(key("B", 90), B=noticed(2, TODAY - 20 * DAY, TODAY - 2 * DAY)),
        {"notices": 3},
        ["spare B: notices"],
    ),
    (
        "and comes when its turn is there",
        facts(key("B", 90), B=noticed(2, TODAY - 20 * DAY, TODAY - 3 * DAY)),
        {"notices": 3},
        ["notify B"],
    ),
    ("three notices begin early enough", facts(key("B", 84)), {"notices": 3, "grace": DAY}, ["notify B"]),
    (
        "a count without a first day is no notice",
        facts(key("B", 90), B=KeyMemory(notices=5, last=TODAY - DAY)),
        {},
        ["spare B: unsure"],
    ),
    (
        "nor is one of a day that has not come",
        facts(key("B", 90), B=noticed(1, TODAY + DAY, TODAY + DAY)),
        {},
        ["spare B: unsure"],
    ),
    ("and before its time nothing is said", facts(key("B", 89), B=noticed(1, TODAY + DAY, TODAY + DAY)), {}, []),
    (
        "off since a day that has not come spares",
        facts(key("B", 900, active=False), B=noticed(1, TODAY - DAY, TODAY - DAY, off=TODAY + 9000 * DAY)),
        {},
        ["spare B: unsure"],
    ),
    ("with no notices asked for it goes at once", facts(key("B", 90)), {"notices": 0}, ["deactivate B"]),
    ("last use unknown spares", facts(key("B", 90, used="unknown"), B=TOLD), {}, ["spare B: last use unknown"]),
    ("no use on record does not", facts(key("B", 90, used=None), B=TOLD), {}, ["deactivate B"]),
    ("without an age nothing is switched off", facts(key("B", 900), B=TOLD), {"deactivate_at": None}, []),
    # Deleting
    ("an active key is never deleted", facts(key("B", 900), B=OFF), {"deactivate_at": None}, []),
    ("after ten days off it is deleted", facts(key("B", 100, active=False, used=11), B=OFF), {}, ["delete B"]),
    ("after nine it is not", facts(key("B", 100, active=False), B=replace(OFF, off=TODAY - 9 * DAY)), {}, []),
    ("with no day written down it is never deleted", facts(key("B", 900, active=False), B=TOLD), {}, []),
    (
        "found switched off counts from that day",
        facts(key("B", 900, active=False), B=replace(TOLD, found_off=TODAY - 10 * DAY)),
        {},
        ["delete B"],
    ),
    ("of two days the later counts", facts(key("B", 900, active=False), B=replace(OFF, found_off=TODAY - DAY)), {}, []),
    (
        "a revoked key is deleted after notices only",
        facts(key("B", 9, active=False), B=KeyMemory(revoked=TODAY - 30 * DAY)),
        {},
        ["notify B"],
    ),
    (
        "last use unknown spares a switched-off key too",
        facts(key("B", 100, active=False, used="unknown"), B=OFF),
        {},
        ["spare B: last use unknown"],
    ),
    (
        "nothing is deleted on its first day",
        facts(key("B", 9, active=False), B=replace(TOLD, off=TODAY)),
        {"delete_after": 0 * DAY},
        [],
    ),
    (
        "half a day is rounded up",
        facts(key("B", 9, active=False), B=replace(TOLD, off=TODAY - DAY)),
        {"delete_after": DAY / 2},
        ["delete B"],
    ),
    (
        "a day and a half is two days",
        facts(key("B", 9, active=False), B=replace(TOLD, off=TODAY - DAY)),
        {"delete_after": 1.5 * DAY},
        [],
    ),
    ("without a time nothing is deleted", facts(key("B", 900, active=False), B=OFF), {"delete_after": None}, []),
    # Unused
    (
        "an unused key goes after notices",
        facts(key("B", 60, used=46), B=TOLD),
        {"unused_for": 45 * DAY},
        ["deactivate B"],
    ),
    (
        "a never used one counts from its making",
        facts(key("B", 45, used=None), B=TOLD),
        {"unused_for": 45 * DAY},
        ["deactivate B"],
    ),
    (
        "used since its notice, it is spared",
        facts(key("B", 60, used=10), B=TOLD),
        {"unused_for": 9 * DAY},
        ["spare B: used"],
    ),
    (
        "unused or not is unknown",
        facts(key("B", 60, used="unknown"), B=TOLD),
        {"unused_for": 45 * DAY},
        ["spare B: last use unknown"],
    ),
    (
        "in use it stays however old it is, where only not being used counts",
        facts(key("B", 400, used=1), B=TOLD),
        {"unused_for": 45 * DAY, "deactivate_at": None},
        [],
    ),
    ("a key in use is not told that it is unused", facts(key("B", 60, used=0)), {"unused_for": 7 * DAY}, []),
    # Who
    ("exempt", facts(key("B", 90), B=TOLD, exempt="tag rotate-my-key=exempt"), {}, ["spare B: exempt"]),
    ("perhaps exempt", facts(key("B", 90), B=TOLD, unsure="the tags of alice"), {}, ["spare B: unsure"]),
    ("another account", facts(key("B", 90), B=TOLD), {"accounts": ("999999999999",)}, ["spare B: account"]),
    ("no account at all", facts(key("B", 90), B=TOLD), {"accounts": ()}, ["spare B: account"]),
    ("who is exempt is told of nothing", facts(key("B", 85), exempt="tag"), {}, []),
    ("root is reported, never touched", facts(key("B", 1), root=True), {}, ["spare : root"]),
    ("root without a key is not named", facts(root=True), {}, []),
    ("a user without keys", facts(), {}, []),
    # Two keys
    (
        "of two that are too old the older goes, the other with a later run",
        facts(key("B", 200), key("C", 100), B=TOLD, C=TOLD),
        {},
        ["deactivate B", "spare C: one at a time"],
    ),
    (
        "whichever stands first in the list",
        facts(key("B", 100), key("C", 200), B=TOLD, C=TOLD),
        {},
        ["deactivate C", "spare B: one at a time"],
    ),
    (
        "not on the same day, even by another run: what breaks must show first",
        facts(key("B", 200, active=False), key("C", 100), B=replace(TOLD, off=TODAY), C=TOLD),
        {},
        ["spare C: one at a time"],
    ),
    (
        "on the next day it may go",
        facts(key("B", 200, active=False), key("C", 100), B=replace(TOLD, off=TODAY - DAY), C=TOLD),
        {},
        ["deactivate C"],
    ),
    ("both are told in one run", facts(key("B", 200), key("C", 100)), {}, ["notify B", "notify C"]),
    (
        "if the older is spared for its last use, the younger may go",
        facts(key("B", 200, used="unknown"), key("C", 100), B=TOLD, C=TOLD),
        {},
        ["spare B: last use unknown", "deactivate C"],
    ),
    (
        "one switched off and one too old: each by its own rule",
        facts(key("B", 200, active=False), key("C", 100), B=OFF, C=TOLD),
        {},
        ["delete B", "deactivate C"],
    ),
    # New keys
    ("at its age IT makes a new key", facts(key("B", 60)), {"reissue_at": 60 * DAY}, ["reissue B"]),
    (
        "where IT makes keys, the old one stays until a younger has reached its user",
        facts(key("B", 95), key("C", 30, used=None), B=TOLD, C=KeyMemory(made=TODAY - 30 * DAY)),
        {"reissue_at": 60 * DAY},
        ["spare B: new key not received"],
    ),
    (
        "one that IT made and that was used has reached him",
        facts(key("B", 95), key("C", 30, used=1), B=TOLD, C=KeyMemory(made=TODAY - 30 * DAY)),
        {"reissue_at": 60 * DAY},
        ["deactivate B"],
    ),
    (
        "whether it was used must be known",
        facts(key("B", 95), key("C", 30, used="unknown"), B=TOLD, C=KeyMemory(made=TODAY - 30 * DAY)),
        {"reissue_at": 60 * DAY},
        ["spare B: new key not received"],
    ),
    (
        "one that he made himself has reached him, used or not",
        facts(key("B", 95), key("C", 30, used=None), B=TOLD),
        {"reissue_at": 60 * DAY},
        ["deactivate B"],
    ),
    (
        "his only key is not switched off where IT makes keys",
        facts(key("B", 95), B=TOLD),
        {"reissue_at": 60 * DAY},
        ["reissue B", "spare B: new key not received"],
    ),
    (
        "a switched-off younger key is no replacement",
        facts(key("B", 95), key("C", 5, active=False), B=TOLD),
        {"reissue_at": 60 * DAY},
        ["spare B: no room", "spare B: new key not received"],
    ),
    (
        "a key that is deleted in this run makes room",
        facts(key("B", 100, active=False), key("C", 65), B=OFF),
        {"reissue_at": 60 * DAY},
        ["delete B", "reissue C"],
    ),
    (
        "no key is made in place of one that was not fetched",
        facts(key("B", 65, used=None), B=KeyMemory(made=TODAY - 65 * DAY)),
        {"reissue_at": 60 * DAY},
        ["spare B: new key not received"],
    ),
    ("nobody without an active key gets one", facts(key("B", 65, active=False)), {"reissue_at": 60 * DAY}, []),
    # The last day
    (
        "one new key is made for a key, and no second where it was not fetched",
        facts(key("B", 70), B=KeyMemory(reissued=TODAY - 8 * DAY)),
        {"reissue_at": 60 * DAY},
        ["spare B: stuck"],
    ),
    (
        "on its last day a key goes, new one or not",
        facts(key("B", 90), B=REPLACED),
        LAST,
        ["spare B: stuck", "deactivate B"],
    ),
    (
        "also with a new one that waits",
        facts(key("B", 90), key("C", 3, used=None), B=REPLACED, C=KeyMemory(made=TODAY - 3 * DAY)),
        LAST,
        ["deactivate B"],
    ),
    (
        "before it, one that waits for its user is left alone",
        facts(key("B", 88), B=TOLD),
        {"reissue_at": 89 * DAY, "deactivate_anyway_at": 95 * DAY},
        [],
    ),
    (
        "and without notices a new one has the grace to be fetched",
        facts(key("B", 95), B=KeyMemory(reissued=TODAY - DAY)),
        {**LAST, "notices": 0},
        ["spare B: stuck", "spare B: grace"],
    ),
    ("its user is told of that day in time", facts(key("B", 84)), LAST, ["reissue B", "notify B"]),
    ("a new one comes first", facts(key("B", 92), B=TOLD), LAST, ["reissue B", "spare B: new key not received"]),
    (
        "and its user gets time to fetch it, often with the old one",
        facts(key("B", 95), B=replace(TOLD, reissued=TODAY - DAY)),
        LAST,
        ["spare B: stuck", "spare B: grace"],
    ),
    (
        "but it does not put it off for ever",
        facts(key("B", 114), B=noticed(1, TODAY - 20 * DAY, TODAY - 20 * DAY)),
        LAST,
        ["reissue B", "deactivate B"],
    ),
    (
        "a notice that did not say what is coming is none",
        facts(key("B", 90), B=KeyMemory(5, TODAY - 30 * DAY, TODAY)),
        {},
        ["notify B"],
    ),
]


@pytest.mark.parametrize(("sentence", "who", "enforce", "expected"), CASES, ids=[case[0] for case in CASES])
def test_decisions(sentence: str, who: UserFacts, enforce: dict[str, Any], expected: list[str]) -> None:
    """Each row is a sentence, a user, the settings, and what is done."""
    assert said(decide(who, policy(**enforce), NOW)) == expected


def test_nothing_is_done_by_the_built_in_settings() -> None:
    """Enforcing is off until an age is set."""
    assert decide(facts(key("B", 5000), B=TOLD), FleetSettings(), NOW) == []


def test_a_notice_tells_what_comes_and_when() -> None:
    """It names the act and the earliest day, which the grace may put off."""
    notice, late = (decide(facts(key("B", age)), policy(), NOW)[0] for age in (83, 200))
    assert isinstance(notice, Act)
    assert isinstance(late, Act)
    assert (notice.coming and notice.coming.value, notice.at) == ("deactivate", NOW + 7 * DAY)
    assert late.at == datetime.fromisoformat("2026-12-02T00:00:00+00:00")


def test_each_decision_gives_its_reason() -> None:
    """Why it is done, or why not, in words with the figures."""
    (act,) = decide(facts(key("B", 97), B=TOLD), policy(), NOW)
    (spare,) = decide(facts(key("B", 97), B=noticed(1, TODAY, TODAY)), policy(), NOW)
    assert act.why == "97 days old, and the limit is 90 days"
    assert spare.why == "first told on 25 November, so not before 2 December"


SWITCHED_OFF = replace(TOLD, off=TODAY - 5 * DAY)
NONE = KeyMemory()
BACK = KeyMemory(back=TODAY)
LOOKS: list[tuple[str, FleetKey, KeyMemory, KeyMemory]] = [
    ("nothing is known of a key that works", key("B", 10), NONE, NONE),
    ("a key that works keeps its notices", key("B", 80), TOLD, TOLD),
    ("found switched off: from today on", key("B", 80, active=False, used=9), TOLD, replace(TOLD, found_off=TODAY)),
    ("known to be off: nothing changes", key("B", 80, active=False, used=9), SWITCHED_OFF, SWITCHED_OFF),
    ("used on the day it was switched off is no news", key("B", 80, active=False, used=5), SWITCHED_OFF, SWITCHED_OFF),
    (
        "used later: somebody switched it on in between, so it counts from today",
        key("B", 80, active=False, used=3),
        SWITCHED_OFF,
        replace(TOLD, found_off=TODAY),
    ),
    ("switched on again: all begins anew, notices too", key("B", 99), SWITCHED_OFF, BACK),
    ("also what somebody else had switched off", key("B", 99), replace(TOLD, found_off=TODAY), BACK),
    ("also what was revoked", key("B", 99), replace(TOLD, revoked=TODAY), BACK),
    (
        "who made it stays",
        key("B", 9),
        replace(SWITCHED_OFF, made=TODAY - 9 * DAY),
        replace(BACK, made=TODAY - 9 * DAY),
    ),
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
    ("nor for one that is off", key("B", 60, active=False, used="unknown"), SWITCHED_OFF, SWITCHED_OFF),
]


@pytest.mark.parametrize(("sentence", "seen", "before", "after"), LOOKS, ids=[case[0] for case in LOOKS])
def test_looks(sentence: str, seen: FleetKey, before: KeyMemory, after: KeyMemory) -> None:
    """Each row is a sentence, a key, what was remembered and what is."""
    who = facts(seen, B=before)
    assert observed(who.user, who.memory, Policy(), NOW).get(ref(seen.key_id or ""), NONE) == after


def test_a_key_that_is_gone_is_forgotten() -> None:
    """Of keys that the user no longer has nothing stays in the tag."""
    who = facts(key("B", 80), B=TOLD, C=SWITCHED_OFF)
    assert set(observed(who.user, who.memory, Policy(), NOW)) == {ref(who.user.keys[0].key_id or "")}


def test_all_that_can_be_known_of_two_keys_has_room_in_a_tag() -> None:
    """And is read back as it was."""
    dates: dict[str, Any] = dict.fromkeys(
        ("first", "last", "off", "found_off", "made", "revoked", "intended", "back", "warned", "reissued"), TODAY
    )
    memory = {name: KeyMemory(notices=9999, warnings=9999, **dates) for name in ("ABCD2345", "EFGH6789")}
    assert len(encode(memory)) <= LONGEST
    assert decode(encode(memory)) == memory


def test_it_is_not_more_than_a_look() -> None:
    """What is remembered is not changed in place."""
    who = facts(key("B", 99), B=SWITCHED_OFF)
    observed(who.user, who.memory, Policy(max_age=timedelta(days=90)), NOW)
    assert who.memory[ref(who.user.keys[0].key_id or "")] == SWITCHED_OFF


# sentence, settings, moment in UTC, open?
HOURS: list[tuple[str, Enforce, str, bool]] = [
    ("a Wednesday at noon", Enforce(), "2026-11-25T12:00", True),
    ("the first minute", Enforce(), "2026-11-25T09:00", True),
    ("a minute before", Enforce(), "2026-11-25T08:59", False),
    ("the last minute", Enforce(), "2026-11-25T16:59", True),
    ("the end is no more within", Enforce(), "2026-11-25T17:00", False),
    ("a Saturday", Enforce(), "2026-11-28T12:00", False),
    ("noon in Tokyo is night in UTC", Enforce(timezone="Asia/Tokyo"), "2026-11-25T03:00", True),
    ("Sunday evening in UTC is Monday in Tokyo", Enforce(timezone="Asia/Tokyo"), "2026-11-29T23:00", False),
    ("Sunday night in UTC is Monday morning in Tokyo", Enforce(timezone="Asia/Tokyo"), "2026-11-30T00:30", True),
    ("in summer Vienna is two hours ahead", Enforce(timezone="Europe/Vienna"), "2026-07-01T07:00", True),
    ("in winter it is one", Enforce(timezone="Europe/Vienna"), "2026-12-01T07:00", False),
    ("the whole day", Enforce(hours="0-24"), "2026-11-25T23:59", True),
    ("over midnight, before it", Enforce(hours="22-6"), "2026-11-25T23:00", True),
    ("over midnight, after it", Enforce(hours="22-6"), "2026-11-26T05:59", True),
    ("over midnight, at noon", Enforce(hours="22-6"), "2026-11-25T12:00", False),
    ("no day at all", Enforce(weekdays=()), "2026-11-25T12:00", False),
]


@pytest.mark.parametrize(("sentence", "enforce", "moment", "is_open"), HOURS, ids=[case[0] for case in HOURS])
def test_moments(sentence: str, enforce: Enforce, moment: str, is_open: bool) -> None:
    """Each row is a sentence, the settings and a moment in UTC."""
    assert (closed(enforce, datetime.fromisoformat(f"{moment}+00:00")) == "") is is_open


def test_it_says_when_it_is_and_when_it_may() -> None:
    """In the time zone of the settings."""
    enforce = Enforce(timezone="Europe/Vienna")
    said = closed(enforce, datetime.fromisoformat("2026-11-25T18:00+00:00"))
    assert said == "it is 19:00 in Europe/Vienna, and acts are allowed from 9 to 17 o'clock"
    said = closed(enforce, datetime.fromisoformat("2026-11-28T23:30+00:00"))
    assert said == "it is Sunday in Europe/Vienna, and acts are allowed on mon, tue, wed, thu, fri"


def test_without_time_zones_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows without tzdata: not one zone is known, but UTC needs none."""
    monkeypatch.setitem(__import__("sys").modules, "tzdata", None)
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        with pytest.raises(WrongUsage) as caught:
            zone("Europe/Vienna")
        assert closed(Enforce(), datetime.fromisoformat("2026-11-25T12:00+00:00")) == ""
    finally:
        zoneinfo.reset_tzpath()
    assert "this system has no time zones" in caught.value.message
    assert "pip install tzdata" in caught.value.message
