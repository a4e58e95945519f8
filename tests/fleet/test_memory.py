"""The tag in which the fleet remembers: what is written is read back, and what somebody else wrote is left alone."""

from __future__ import annotations

from datetime import date

import pytest

from rotate_my_key.fleet.memory import LONGEST, KeyMemory, Unreadable, decode, encode, ref

DAY = date(2026, 11, 25)
KNOWN = {"ABCD2345": KeyMemory(2, DAY, DAY), "EFGH6789": KeyMemory(off=DAY, made=DAY)}


def test_what_is_written_is_read_back() -> None:
    """As short as it can be, in the letters that a tag may have."""
    text = encode(KNOWN)
    assert text == "1 ABCD2345:n2:f20261125:l20261125 EFGH6789:o20261125:m20261125"
    assert decode(text) == KNOWN
    assert len(text) <= LONGEST


def test_nothing_to_remember_is_no_text() -> None:
    """So that the tag can go."""
    assert encode({}) == encode({"ABCD2345": KeyMemory()}) == ""
    assert decode("") == decode(None) == {}


def test_keys_that_are_gone_can_be_left_out() -> None:
    """By their ids."""
    assert set(decode(encode(KNOWN, ["AKIAXXXXXXXXABCD2345"]))) == {ref("AKIAXXXXXXXXABCD2345")}


STRANGE = [
    "2 ABCD2345:n1",
    "ours since 2019",
    "1 abcd2345:n1",
    "1 ABCD2345:x1",
    "1 ABCD2345:n",
    "1 ABCD2345:f2026",
    "1 ABCD2345:f20261325",
    "1 ABCD2345:n1 alice@example.com",
    "1 ABCD2345EFGH:n1",
]


@pytest.mark.parametrize("text", STRANGE)
def test_what_is_not_ours_is_not_read(text: str) -> None:
    """Another version, another hand, a day that there is not: nothing is guessed."""
    with pytest.raises(Unreadable):
        decode(text)
