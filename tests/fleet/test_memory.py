"""The tag in which the fleet remembers: what is written is read back, and what somebody else wrote is left alone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.core.errors import Problem
from rotate_my_key.fleet.memory import LONGEST, KeyMemory, UnreadableTag, decode, encode, ref, tag_value

DAY = date(2026, 11, 25)
KNOWN = {"ABCD2345": KeyMemory(2, DAY, DAY), "EFGH6789": KeyMemory(off=DAY, made=DAY)}

DAYS = st.none() | st.dates(date(2006, 1, 1), date(2200, 12, 31))
COUNTS = st.integers(0, 9999)
MEMORY = st.builds(KeyMemory, COUNTS, *[DAYS] * 8, COUNTS, DAYS, DAYS, COUNTS)
REFS = st.from_regex(r"[A-Z0-9]{8}", fullmatch=True)
ALL = KeyMemory(9999, *[DAY] * 8, 9999, DAY, DAY, 9999)


@given(st.dictionaries(REFS, MEMORY, max_size=2))
def test_whatever_is_known_of_two_keys_is_read_back(known: dict[str, KeyMemory]) -> None:
    """And fits into a tag of IAM: its length, its letters. A key of which nothing is known is not mentioned."""
    text = encode(known)
    assert decode(text) == {name: each for name, each in known.items() if each != KeyMemory()}
    assert len(text) <= LONGEST
    assert re.fullmatch(r"[A-Za-z0-9 _.:/=+\-@]*", text)


def test_two_keys_of_which_everything_is_known_fit() -> None:
    """AWS allows two keys per user. No two facts share a letter."""
    known = {"ABCD2345": ALL, "EFGH6789": ALL}
    assert None not in [getattr(ALL, name) for name in KeyMemory.__dataclass_fields__]
    assert decode(encode(known)) == known
    assert len(encode(known)) <= LONGEST
    for name in KeyMemory.__dataclass_fields__:
        one = {"ABCD2345": replace(KeyMemory(), **{name: getattr(ALL, name)})}
        assert decode(encode(one)) == one


@given(st.text(max_size=60) | st.text("1 ABCD2345:nflosmribwdey0", max_size=60).map("1 ABCD2345".__add__))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever somebody wrote there: Unreadable and nothing else, or a memory that is written as it was meant."""
    try:
        known = decode(text)
    except UnreadableTag:
        return
    assert decode(encode(known)) == {name: each for name, each in known.items() if each != KeyMemory()}


def test_what_is_written_is_read_back() -> None:
    """As short as it can be, in the letters that a tag may have; nothing to remember is no text, so that the tag can
    go. Keys that are gone can be left out, by their ids. One more than the most is the most."""
    text = encode(KNOWN)
    assert text == "1 ABCD2345:n2:f20261125:l20261125 EFGH6789:o20261125:m20261125"
    assert decode(text) == KNOWN
    assert encode({}) == encode({"ABCD2345": KeyMemory()}) == ""
    assert decode("") == decode(None) == {}
    assert set(decode(encode(KNOWN, ["AKIAXXXXXXXXABCD2345"]))) == {ref("AKIAXXXXXXXXABCD2345")}
    assert decode(encode({"ABCD2345": KeyMemory(10_000, DAY)})) == {"ABCD2345": KeyMemory(9999, DAY)}


STRANGE = [
    "2 ABCD2345:n1",
    "ours since 2019",
    "1 abcd2345:n1",
    "1 ABCD2345:x1",
    "1 ABCD2345:n",
    "1 ABCD2345:f2026",
    "1 ABCD2345:f20261325",
    "1 ABCD2345:n1:f99991231:l99991231",
    "1 ABCD2345:o22010101",
    "1 ABCD2345:o20051231",
    "1 ABCD2345:n10000:f20261125",
    "1 ABCD2345:n1 alice@example.com",
    "1 ABCD2345EFGH:n1",
    "1 ABCD2345:",
    "1 ABCD2345:n1:",
    "1 ABCD2345:n\u0663",
    "1 \u00c4BCD2345:n1",
    "1:ABCD2345:n1",
]


@pytest.mark.parametrize("text", STRANGE)
def test_what_is_not_ours_is_not_read(text: str) -> None:
    """Another version, another hand, a day that there is not: nothing is guessed."""
    with pytest.raises(UnreadableTag):
        decode(text)


@pytest.mark.parametrize(
    "name", [name for name in KeyMemory.__dataclass_fields__ if name not in ("notices", "warnings")]
)
def test_a_day_that_has_not_come_is_in_doubt(name: str) -> None:
    """Whatever it is the day of; today is not."""
    known = replace(KeyMemory(first=DAY), **{name: DAY})  # type: ignore[arg-type]
    assert known.doubt(DAY) == ""
    assert known.doubt(DAY - timedelta(days=1)) == "its tag has a date in the future"


def test_a_count_without_a_first_day_is_in_doubt() -> None:
    """No grace can be counted from it."""
    for known in (KeyMemory(1, last=DAY), KeyMemory(1, DAY, DAY, warnings=1)):
        assert known.doubt(DAY) == "its tag counts notices, but has no first date"


def test_what_does_not_fit_a_tag_is_refused() -> None:
    """Deletions of which nobody could be told pile up; what is kept is the tag as it was."""
    deletions = {f"AKIA{number:016d}": KeyMemory(made=DAY, intended=DAY, off=DAY) for number in range(6)}
    assert len(tag_value(dict(list(deletions.items())[:4]), "keys")) <= 256
    with pytest.raises(Problem, match="the tag keys is full"):
        tag_value(deletions, "keys")
