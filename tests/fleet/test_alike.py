"""Rows that say the same: one line for many, and none lost."""

from __future__ import annotations

import pytest

from rotate_my_key.fleet.model import AccountSurvey, AwsAccount
from rotate_my_key.fleet.notices import Digest, Remark, Unaddressed, about, alike, failed, some
from rotate_my_key.settings.fleet import Accounts
from tests.fleet.fakes import NOW

ONE, TWO, THREE = "111111111111", "222222222222", "333333333333"
HINT = "create it there: rotate-my-key fleet template --member-role"


def gone(number: str, hint: str = HINT) -> AccountSurvey:
    """An account that nobody gets into."""
    return AccountSurvey(
        AwsAccount(number), problem=f"the role arn:aws:iam::{number}:role/x/nope is not there", hint=hint, code=5
    )


def test_the_same_of_many_is_one_row() -> None:
    """Only the account differs: it is taken out of the text, for it stands beside it. What differs by text or by hint
    stays apart; a row alone keeps its account."""
    said = "x may not call iam:TagUser"
    (same,) = alike([Remark(f"bob in {each}", f"{said} in account {each}", "allow it") for each in (ONE, TWO)])
    assert (same.abouts, same.text, same.hint) == ((f"bob in {ONE}", f"bob in {TWO}"), said, "allow it")
    text = f"no in account {ONE}"
    assert [each.text for each in alike([Remark(ONE, text), Remark(TWO, "other")])] == [text, "other"]
    assert len(alike([Remark(ONE, "no", "a"), Remark(TWO, "no", "b")])) == 2


@pytest.mark.parametrize(
    ("names", "said"),
    [(["a"], "a"), (["a", "b", "c", "d"], "a, b, c and d"), (["a", "b", "c", "d", "e"], "a, b, c and 2 more")],
)
def test_some(names: list[str], said: str) -> None:
    """It is not worth a `1 more`."""
    assert some(names) == said


def test_what_to_do_about_a_role_that_is_not_there() -> None:
    """In no member account it is a setting; the caller's own, which needs no role, is not counted. One account that
    lacks it can be left out, unless accounts are named with `only`. Other hints are left alone."""
    mine = AccountSurvey(AwsAccount(ONE))
    (same,) = failed([mine, gone(TWO), gone(THREE)], Accounts(role="nope"))
    assert about(same) == f"2 accounts ({TWO} and {THREE})"
    assert (same.text, same.hint) == ("the role x/nope is not there", f"check role in [accounts] (nope); {HINT}")
    surveys = [mine, AccountSurvey(AwsAccount(TWO)), gone(THREE)]
    (same,) = failed(surveys, Accounts(role="nope"))
    assert (about(same), same.hint) == (f"account {THREE}", f"{HINT}; or leave it out: set but in [accounts]")
    assert same.text == surveys[-1].problem
    (same,) = failed(surveys, Accounts(role="nope", only=(ONE, TWO, THREE)))
    assert same.hint == HINT
    (same,) = failed([gone(ONE, "later"), gone(TWO, "later")], Accounts(role="nope"))  # of a throttled account
    assert same.hint == "later"


def test_the_digest_names_users_by_account() -> None:
    """One row an account, at most fifty names; each counts as one to look at."""
    rows = [Unaddressed(ONE, f"user{number}", "x") for number in range(52)] + [Unaddressed(TWO, "bob", "bob")]
    digest = Digest(NOW, unaddressed=tuple(rows))
    first, second = digest.unreached
    assert first.text.startswith("user0, user1, ") and first.text.endswith(", user49 and 2 more")
    assert (second.about, second.text, digest.wrong) == (TWO, "bob", 2)
