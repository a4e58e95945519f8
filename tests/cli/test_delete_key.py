"""`delete-key`: one of my keys that nothing here holds, in two calls."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk

MakeKey = Callable[..., Credentials]


@pytest.mark.parametrize("said", ["whole", "last four", "in small letters"])
def test_switched_off_and_then_deleted(desk: Desk, old: Credentials, make_key: MakeKey, said: str) -> None:
    """An active key is only switched off; the same command again deletes it. History knows both."""
    second = make_key(days=300)
    word = {"whole": second.key_id, "last four": second.key_id[-4:], "in small letters": second.key_id[-4:].lower()}[
        said
    ]
    done = desk.run("delete-key", word, "--yes")
    assert done.code == 0, done.text
    assert done.out.startswith(
        f"Deactivated ...{second.key_id[-4:]}. If nothing breaks, delete it: `rotate-my-key delete-key "
    )
    assert desk.ids() == {old.key_id: "Active", second.key_id: "Inactive"}
    done = desk.run("delete-key", word, "--yes")
    assert done.out == f"Deleted ...{second.key_id[-4:]}.\n"
    assert desk.ids() == {old.key_id: "Active"}
    history = desk.run("history", "--json").json["history"]
    assert [(past["action"], past["old"]) for past in history] == [
        ("switched off", second.key_id),
        ("deleted", second.key_id),
    ]


def test_the_question(desk: Desk, make_key: MakeKey) -> None:
    """It says whose key it is and when it was last used, and asks; the answer is no unless it is y. Where nobody is
    there: exit 4, naming the command with --yes."""
    second = make_key(days=300)
    done = desk.run("delete-key", second.key_id)
    assert (done.code, done.problem()[1]) == (4, f"rotate-my-key delete-key {second.key_id} --yes")
    run = desk.terminal("delete-key", second.key_id[-4:])
    run.answer(f"Deactivate ...{second.key_id[-4:]}? [y/N]", "\r")
    shown = run.end()
    assert shown.code == 4
    assert shown.lines[:2] == [
        f"alice in {desk.aws.account}, key ...{second.key_id[-4:]}",
        "active, 300 days old; never used",
    ]
    assert shown.lines[-1] == "Cancelled. Nothing changed."
    assert desk.changes == []
    run = desk.terminal("delete-key", second.key_id[-4:])
    run.answer("[y/N]", "y\r")
    assert run.end().code == 0
    assert desk.ids()[second.key_id] == "Inactive"


def test_a_key_that_cannot_go(desk: Desk, old: Credentials) -> None:
    """One that a place here holds is refused, naming the places; an id that is not one of mine, naming mine."""
    for profile in ("default", "work"):
        done = desk.run("delete-key", old.key_id, "--yes", "-p", profile)
        error, hint = done.problem()
        assert done.code == 1
        assert "is in use here: default in " in error
        assert "work in " in error
        assert hint == "rotate-my-key rotate -p default --force"
    done = desk.run("delete-key", "ZZZZ", "--yes")
    assert done.code == 1
    assert done.problem()[0] == f"alice in {desk.aws.account} has no key 'ZZZZ' (has ...{old.key_id[-4:]})"
    assert desk.ids() == {old.key_id: "Active"}


def test_another_users_key(desk: Desk, make_key: MakeKey) -> None:
    """Only keys of the profile's own user; -p chooses another user's profile."""
    desk.profiles(bob=make_key("bob"))
    second = make_key("bob", days=300)
    assert desk.run("delete-key", second.key_id, "--yes").code == 1
    assert desk.ids("bob")[second.key_id] == "Active"
    assert desk.run("delete-key", second.key_id, "--yes", "-p", "bob").code == 0
    assert desk.ids("bob")[second.key_id] == "Inactive"


def test_denied(desk: Desk, make_key: MakeKey) -> None:
    """What AWS does not allow is exit 5, and changes nothing."""
    second = make_key(status="Inactive")
    desk.aws.deny("DeleteAccessKey")
    done = desk.run("delete-key", second.key_id, "--yes")
    assert done.code == 5
    assert second.key_id in desk.ids()
    assert desk.run("history").out == "No rotations on this computer yet.\n"
