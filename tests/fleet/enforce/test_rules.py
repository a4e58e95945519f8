"""What is done to a user's keys, what a look changes in what is remembered, and when they may be touched: tables of
sentences.

A key is written with its name, its age in days and what is known of it: `B 90 told10` was told of ten days ago. The
words of what is remembered say how many days ago it was; `told2x20-3` are two notices, twenty and three days ago.
"""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.core.model import LastUse
from rotate_my_key.core.policy import Policy
from rotate_my_key.fleet.memory import KeyMemory, ref
from rotate_my_key.fleet.model import FleetKey, FleetUser
from rotate_my_key.fleet.rules import Act, Decision, UserFacts, closed, decide, observed, switched_off_at
from rotate_my_key.settings.fleet import Enforce, FleetSettings, ReissueSettings, Remind, zone
from tests.fleet.enforce.company import noticed
from tests.fleet.fakes import NOW, rows

TODAY = NOW.date()
ACCOUNT = "123456789012"
DAY = timedelta(days=1)
NONE = KeyMemory()


def policy(said: str) -> FleetSettings:
    """Switch off at 90 days, delete 10 days later, in this account; and what is said besides: `notices=3 grace=1d`."""
    rules: dict[str, Any] = {"deactivate_at": 90 * DAY, "delete_after": 10 * DAY, "accounts": (ACCOUNT,)}
    for name, value in (each.split("=") for each in said.split()):
        days = re.fullmatch(r"([\d.]+)d", value)
        never = None if value == "never" else tuple(filter(None, [value]))
        rules[name] = float(days[1]) * DAY if days else int(value) if len(value) == 1 else never
    return FleetSettings(enforce=Enforce(**rules), remind=Remind(repeat=3 * DAY), reissue=ReissueSettings(enabled=True))


def ago(days: str) -> date:
    """The day so many days ago."""
    return TODAY - int(days) * DAY


def remembered(words: list[str]) -> KeyMemory:
    """What these words say; those of a use say nothing here."""
    known = NONE
    for word in words:
        name, count, first, last = re.fullmatch(r"([a-z_]+)(?:(\d+)x)?(-?\d+)?(?:-(\d+))?", word).groups()  # type: ignore[union-attr]
        if name == "told":
            days = ago(first), ago(last or first)
            known = replace(noticed(int(count or 1), *days), made=known.made, back=known.back)
        elif name == "reminded":
            known = replace(known, notices=5, first=first and ago(first), last=ago(last or "1"))
        elif name not in ("used", "inactive", "unused", "unknown"):
            known = replace(known, **{name: ago(first)})
    return known


def key(name: str, age: str, *words: str) -> FleetKey:
    """A key of that age: used an hour ago, `used5` days ago, `unused` (no use on record) or `unknown`."""
    used = next((word for word in words if word.startswith("used")), "")
    at = None if "unused" in words else NOW - int(used[4:]) * DAY if used else NOW - timedelta(hours=1)
    use = None if "unknown" in words else LastUse(at)
    return FleetKey("inactive" not in words, NOW - float(age) * DAY, f"AKIA{name:0>16}", use)


def facts(text: str) -> UserFacts:
    """A user with these keys, between commas; `exempt`, `unsure` and `root` are about the user."""
    parts = [part.split() for part in text.split(",") if part.strip()]
    who = [part[0] for part in parts if len(part) == 1]
    keys = [part for part in parts if len(part) > 1]
    arn = f"arn:aws:iam::{ACCOUNT}:{'root' if 'root' in who else 'user/alice'}"
    known = {ref(f"AKIA{part[0]:0>16}"): remembered(part[2:]) for part in keys}
    user = FleetUser(ACCOUNT, arn, tuple(key(*part) for part in keys))
    return UserFacts(user, known, "a tag" if "exempt" in who else "", "the tags" if "unsure" in who else "")


def said(decisions: list[Decision]) -> str:
    """`deactivate A; spare B: grace`."""
    words = []
    for each in decisions:
        name = each.key.key_id.lstrip("AKI0") if each.key and each.key.key_id else ""
        words.append(f"{each.kind.value} {name}" if isinstance(each, Act) else f"spare {name}: {each.rule.value}")
    return "; ".join(words)


CASES = rows(
    """
a fresh key is not named | B 30 | |
at exactly the age it is switched off | B 90 told10 | | deactivate B
an hour before it is not | B 89.95 told10 | |
long after the age it still is: no window is missed | B 400 told10 | | deactivate B
a key in daily use is switched off by its age | B 90 told10 used0 | | deactivate B
without a notice there is one first | B 400 | | notify B
the notice comes as early as the grace needs | B 83 | | notify B
and no earlier | B 82.9 | |
a notice of yesterday is not repeated today, and is too young | B 90 told1 | | spare B: grace
grace ends after the days that are set, whatever the hour | B 90 told7 | | deactivate B
of three notices two are not enough; the third waits for its turn | B 90 told2x20-2 | notices=3 | spare B: notices
and comes when its turn is there | B 90 told2x20-3 | notices=3 | notify B
three notices begin early enough | B 84 | notices=3 grace=1d | notify B
a count without a first day is no notice | B 90 reminded | | spare B: unsure
nor is one of a day that has not come | B 90 told-1 | | spare B: unsure
and before its time nothing is said | B 89 told-1 | |
off since a day that has not come spares | B 900 inactive told1 off-9000 | | spare B: unsure
with no notices asked for it goes at once | B 90 | notices=0 | deactivate B
last use unknown spares | B 90 told10 unknown | | spare B: last use unknown
no use on record does not | B 90 told10 unused | | deactivate B
without an age nothing is switched off | B 900 told10 | deactivate_at=never |
a notice that did not say what is coming is none | B 90 reminded30-0 | | notify B
an active key is never deleted | B 900 told10 off10 | deactivate_at=never |
after ten days off it is deleted | B 100 inactive told10 off10 used11 | | delete B
after nine it is not | B 100 inactive told10 off9 | |
with no day written down it is never deleted | B 900 inactive told10 | |
found switched off counts from that day | B 900 inactive told10 found_off10 | | delete B
of two days the later counts | B 900 inactive told10 off10 found_off1 | |
a revoked key is deleted after notices only | B 9 inactive revoked30 | | notify B
last use unknown spares a switched-off key too | B 100 inactive told10 off10 unknown | | spare B: last use unknown
nothing is deleted on its first day | B 9 inactive told10 off0 | delete_after=0d |
half a day is rounded up | B 9 inactive told10 off1 | delete_after=0.5d | delete B
a day and a half is two days | B 9 inactive told10 off1 | delete_after=1.5d |
without a time nothing is deleted | B 900 inactive told10 off10 | delete_after=never |
an unused key goes after notices | B 60 told10 used46 | unused_for=45d | deactivate B
a never used one counts from its making | B 45 told10 unused | unused_for=45d | deactivate B
used since its notice, it is spared | B 60 told10 used10 | unused_for=9d | spare B: used
unused or not is unknown | B 60 told10 unknown | unused_for=45d | spare B: last use unknown
in use it stays however old it is, where only not being used counts | B 400 told10 used1
    | unused_for=45d deactivate_at=never |
a key in use is not told that it is unused | B 60 used0 | unused_for=7d |
exempt | B 90 told10, exempt | | spare B: exempt
perhaps exempt | B 90 told10, unsure | | spare B: unsure
another account | B 90 told10 | accounts=999999999999 | spare B: account
no account at all | B 90 told10 | accounts= | spare B: account
who is exempt is told of nothing | B 85, exempt | |
root is reported, never touched | B 1, root | | spare : root
root without a key is not named | root | |
a user without keys | | |
of two that are too old the older goes, the other with a later run | B 200 told10, C 100 told10 |
    | deactivate B; spare C: one at a time
whichever stands first in the list | B 100 told10, C 200 told10 | | deactivate C; spare B: one at a time
not on the same day, even by another run: what breaks must show first | B 200 inactive told10 off0, C 100 told10 |
    | spare C: one at a time
on the next day it may go | B 200 inactive told10 off1, C 100 told10 | | deactivate C
both are told in one run | B 200, C 100 | | notify B; notify C
if the older is spared for its last use, the younger may go | B 200 told10 unknown, C 100 told10 |
    | spare B: last use unknown; deactivate C
one switched off and one too old: each by its own rule | B 200 inactive told10 off10, C 100 told10 |
    | delete B; deactivate C
at its age IT makes a new key | B 60 | reissue_at=60d | reissue B
where IT makes keys, the old one stays until a younger has reached its user | B 95 told10, C 30 unused made30
    | reissue_at=60d | spare B: new key not received
one that IT made and that was used has reached its user | B 95 told10, C 30 used1 made30 | reissue_at=60d | deactivate B
whether it was used must be known | B 95 told10, C 30 unknown made30 | reissue_at=60d | spare B: new key not received
one that users made themselves has reached them, used or not | B 95 told10, C 30 unused | reissue_at=60d | deactivate B
an only key is not switched off where IT makes keys | B 95 told10 | reissue_at=60d
    | reissue B; spare B: new key not received
a switched-off younger key is no replacement | B 95 told10, C 5 inactive | reissue_at=60d
    | spare B: no room; spare B: new key not received
a key that is deleted in this run makes room | B 100 inactive told10 off10, C 65 | reissue_at=60d | delete B; reissue C
no key is made in place of one that was not fetched | B 65 unused made65 | reissue_at=60d
    | spare B: new key not received
nobody without an active key gets one | B 65 inactive | reissue_at=60d |
one new key is made for a key, and no second where it was not fetched | B 70 reissued8 | reissue_at=60d | spare B: stuck
on its last day a key goes, new one or not | B 90 told10 reissued30 | reissue_at=60d deactivate_anyway_at=90d
    | spare B: stuck; deactivate B
also with a new one that waits | B 90 told10 reissued30, C 3 unused made3 | reissue_at=60d deactivate_anyway_at=90d
    | deactivate B
before it, one that waits for its user is left alone | B 88 told10 | reissue_at=89d deactivate_anyway_at=95d |
and without notices a new one has the grace to be fetched | B 95 reissued1
    | reissue_at=60d deactivate_anyway_at=90d notices=0 | spare B: stuck; spare B: grace
its user is told of that day in time | B 84 | reissue_at=60d deactivate_anyway_at=90d | reissue B; notify B
a new one comes first | B 92 told10 | reissue_at=60d deactivate_anyway_at=90d
    | reissue B; spare B: new key not received
and its user gets time to fetch it, often with the old one | B 95 told10 reissued1
    | reissue_at=60d deactivate_anyway_at=90d | spare B: stuck; spare B: grace
however late it is: a plan says no action that the new key would spare | B 114 told20
    | reissue_at=60d deactivate_anyway_at=90d | reissue B; spare B: new key not received
""",
    4,
)


@pytest.mark.parametrize(("sentence", "who", "enforce", "expected"), CASES, ids=[case[0] for case in CASES])
def test_decisions(sentence: str, who: str, enforce: str, expected: str) -> None:
    """Each row is a sentence, a user, the settings, and what is done."""
    assert said(decide(facts(who), policy(enforce), NOW)) == expected


def test_nothing_is_done_by_the_built_in_settings() -> None:
    """Enforcing is off until an age is set."""
    assert decide(facts("B 5000 told10"), FleetSettings(), NOW) == []


def test_each_decision_gives_its_reason_and_its_day() -> None:
    """Why it is done, or why not, in words with the figures; a notice names the act and the earliest day, which the
    grace may put off."""
    (notice,), (late,) = (decide(facts(f"B {age}"), policy(""), NOW) for age in (83, 200))
    (act,), (spare,) = (decide(facts(f"B 97 told{days}"), policy(""), NOW) for days in (10, 0))
    assert isinstance(notice, Act) and isinstance(late, Act)
    assert (notice.coming and notice.coming.value, notice.at) == ("deactivate", NOW + 7 * DAY)
    assert late.at == datetime.fromisoformat("2026-12-02T00:00:00+00:00")
    assert act.why == "97 days old (maximum age is 90 days)"
    assert spare.why == "first notified on 25 November, so not before 2 December"


LOOKS = rows(
    """
nothing is known of a key that works | B 10 | |
a key that works keeps its notices | B 80 | told10 | told10
found switched off: from today on | B 80 inactive used9 | told10 | told10 found_off0
known to be off: nothing changes | B 80 inactive used9 | told10 off5 | told10 off5
used on the day it was switched off is no news | B 80 inactive used5 | told10 off5 | told10 off5
used later: somebody switched it on in between, so it counts from today | B 80 inactive used3 | told10 off5
    | told10 found_off0
switched on again: all begins anew, notices too | B 99 | told10 off5 | back0
also what somebody else had switched off | B 99 | told10 found_off0 | back0
also what was revoked | B 99 | told10 revoked0 | back0
who made it stays | B 9 | told10 off5 made9 | back0 made9
when it was switched on again stays | B 60 used1 | back1 told10 | back1
told that it is unused, and used again: the notice is answered | B 60 used1 | told10 |
due by its age, use is no answer | B 80 used1 | told10 | told10
a run was about to switch it off, and it is off: the fleet did it | B 95 inactive used2 | told10 intended1
    | told10 off1 intended1
and it is not off: nothing was done | B 95 | told10 intended1 | told10
what somebody else switched off before stays theirs | B 95 inactive used9 | told10 found_off1 intended0
    | told10 found_off1 intended0
a last use that is not known changes nothing | B 60 unknown | told10 | told10
nor for one that is off | B 60 inactive unknown | told10 off5 | told10 off5
""",
    4,
)


@pytest.mark.parametrize(("sentence", "seen", "before", "after"), LOOKS, ids=[case[0] for case in LOOKS])
def test_looks(sentence: str, seen: str, before: str, after: str) -> None:
    """Each row is a sentence, a key, what was remembered and what is; nothing is changed in place."""
    user, memory = facts(seen).user, {ref(f"AKIA{'B':0>16}"): remembered(before.split())}
    kept = dict(memory)
    assert observed(user, memory, Policy(), NOW).get(ref(f"AKIA{'B':0>16}"), NONE) == remembered(after.split())
    assert memory == kept


def test_a_key_that_is_gone_is_forgotten() -> None:
    """Of keys that the user no longer has nothing stays in the tag."""
    who = facts("B 80 told10, C 80 off5")
    left = replace(who.user, keys=who.user.keys[:1])
    assert set(observed(left, who.memory, Policy(), NOW)) == {ref(left.keys[0].key_id or "")}


HOURS = rows(
    """
a Wednesday at noon | | 2026-11-25T12:00 | open
the first minute | | 2026-11-25T09:00 | open
a minute before | | 2026-11-25T08:59 | closed
the last minute | | 2026-11-25T16:59 | open
the end is no more within | | 2026-11-25T17:00 | closed
a Saturday | | 2026-11-28T12:00 | closed
noon in Tokyo is night in UTC | timezone Asia/Tokyo | 2026-11-25T03:00 | open
Sunday evening in UTC is Monday in Tokyo | timezone Asia/Tokyo | 2026-11-29T23:00 | closed
Sunday night in UTC is Monday morning in Tokyo | timezone Asia/Tokyo | 2026-11-30T00:30 | open
in summer Vienna is two hours ahead | timezone Europe/Vienna | 2026-07-01T07:00 | open
in winter it is one | timezone Europe/Vienna | 2026-12-01T07:00 | closed
the whole day | hours 0-24 | 2026-11-25T23:59 | open
over midnight, before it | hours 22-6 | 2026-11-25T23:00 | open
over midnight, after it | hours 22-6 | 2026-11-26T05:59 | open
over midnight, at noon | hours 22-6 | 2026-11-25T12:00 | closed
""",
    4,
)


@pytest.mark.parametrize(("sentence", "setting", "moment", "expected"), HOURS, ids=[case[0] for case in HOURS])
def test_moments(sentence: str, setting: str, moment: str, expected: str) -> None:
    """Each row is a sentence, a setting and a moment in UTC; where no day is named, none is open."""
    enforce = replace(Enforce(), **dict([setting.split()] if setting else []))
    at = datetime.fromisoformat(f"{moment}+00:00")
    assert ("closed" if closed(enforce, at) else "open") == expected
    assert closed(replace(enforce, weekdays=()), at)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-25T18:00", "it is 19:00 in Europe/Vienna, but changes are only allowed from 9 to 17 o'clock"),
        ("2026-11-28T23:30", "it is Sunday in Europe/Vienna, but changes are only allowed on mon, tue, wed, thu, fri"),
    ],
)
def test_it_says_when_it_is_and_when_it_may(moment: str, expected: str) -> None:
    """In the time zone of the settings."""
    assert closed(Enforce(timezone="Europe/Vienna"), datetime.fromisoformat(f"{moment}+00:00")) == expected


def test_without_time_zones_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows without tzdata: not one zone is known, but UTC needs none."""
    monkeypatch.setitem(__import__("sys").modules, "tzdata", None)
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        with pytest.raises(WrongUsage, match=r"this system has no time zones.*pip install tzdata"):
            zone("Europe/Vienna")
        assert closed(Enforce(), NOW) == ""
    finally:
        zoneinfo.reset_tzpath()


@pytest.mark.parametrize(
    ("key_is", "rules", "in_days"),
    [
        ("B 80", "notices=0", 10),
        ("B 300", "notices=0", 0),  # not 210 days ago
        ("B 300 back1", "notices=0", 2),  # as long as two notices are apart
        ("B 300 told20", "", 0),
        ("B 300", "", 7),
    ],
)
def test_the_day_that_is_told_has_not_gone_by(key_is: str, rules: str, in_days: int) -> None:
    """Every message names the day from which on the next run does it."""
    found = facts(key_is)
    at = switched_off_at(found, found.user.keys[0], policy(rules), NOW)
    assert at and at.date() == TODAY + in_days * DAY


@pytest.mark.parametrize("key_is", ["B 300 told0", "B 82.5 told20"])  # by its grace, by its age
@pytest.mark.parametrize(
    ("where", "hours", "expected"),
    [
        ("UTC", 1, "deactivate B"),
        ("Pacific/Auckland", 1, "deactivate B"),
        ("America/Los_Angeles", 1, "spare B: grace"),  # there it is the day before
        ("America/Los_Angeles", 9, "deactivate B"),
    ],
)
def test_the_day_that_was_told_has_begun_for_its_reader(key_is: str, where: str, hours: int, expected: str) -> None:
    """Messages name a day in UTC; nothing goes while it is the day before in the time zone of the settings."""
    found, rules = facts(key_is), policy("")
    settings = replace(rules, enforce=replace(rules.enforce, timezone=where))
    at = switched_off_at(found, found.user.keys[0], settings, NOW)
    assert at and said(decide(found, settings, at + timedelta(hours=hours))) == expected
