"""A new laptop: the user's old key works elsewhere or is lost, and no place here holds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotate_my_key.core.model import LastUse
from tests.standin import StandIn

from .office import Office, calls, each_call, new_office

pytestmark = pytest.mark.slow  # seconds each, all together


@pytest.fixture
def fresh(tmp_path: Path, running: StandIn, capsys: pytest.CaptureFixture[str]) -> Office:
    """Alice's home is empty; IT hands over through S3."""
    office = new_office(tmp_path, running, capsys, "s3")
    office.alice.credentials.unlink()
    return office


def ends(office: Office, handed: str, profile: str = "default") -> None:
    """One key, in the profile, that nobody else has seen; nothing is left behind."""
    pair = office.held(profile)
    assert office.alice.ids() == {pair.key_id: "Active"}
    assert office.aws.pair(pair.key_id) == pair
    assert pair.key_id not in (office.old.key_id, handed)
    assert not list(office.alice.state.rglob("handed/*"))
    assert not list(office.alice.state.rglob("rotations/*"))


def used(office: Office, *, since: timedelta, service: str = "s3") -> None:
    """The old key was used that long after now."""
    office.aws.set_last_use(office.old.key_id, LastUse(datetime.now(UTC) + since, service, "eu-west-1"))


def test_the_old_key_goes_with_the_same_yes(fresh: Office) -> None:
    """Told with its last use; switched off and deleted once the new one is in place, and that is replaced at once."""
    used(fresh, since=timedelta(days=-2))
    link = fresh.link()
    handed = fresh.new_id()
    done = fresh.paste(link)
    assert done.code == 0, done.text
    ends(fresh, handed)
    tail = fresh.old.key_id[-4:]
    assert f"The old key ...{tail} is in no profile here; last used 2 days ago by s3 in eu-west-1." in done.err
    assert "so it stops working everywhere" in done.err
    assert done.err.index("added default") < done.err.index(f"deactivated and deleted the old key ...{tail}")


def test_one_that_something_else_uses_needs_a_yes_that_names_it(fresh: Office) -> None:
    """With --yes alone nothing is changed; the hint is a command that goes on."""
    link = fresh.link()
    handed = fresh.new_id()
    used(fresh, since=timedelta(minutes=5))
    before = fresh.alice.ids()
    done = fresh.paste(link)
    assert done.code == 4, done.text
    assert "by s3 in eu-west-1 at" in done.problem()[0]
    assert done.problem()[1] == f"rotate-my-key adopt - --yes --give-up {fresh.old.key_id}"
    assert (fresh.alice.ids(), fresh.alice.credentials.exists()) == (before, False)
    done = fresh.paste(link, "--give-up", fresh.old.key_id[-4:])
    assert done.code == 0, done.text
    ends(fresh, handed)


def test_a_yes_that_names_another_key(fresh: Office) -> None:
    """Only the one that the delivery names can be given up."""
    link = fresh.link()
    done = fresh.paste(link, "--give-up", "AKIAXXXXXXXXXXXXXXXX")
    assert done.code == 2, done.text
    assert f"the new key from IT replaces ...{fresh.old.key_id[-4:]}, not another key" in done.problem()[0]
    assert not fresh.alice.credentials.exists()


@pytest.mark.slow
def test_it_is_asked_about(fresh: Office) -> None:
    """The question names the key that is in use, and Enter is no."""
    link = fresh.link()
    used(fresh, since=timedelta(minutes=5))
    for answer, code in (("\r", 4), ("y\r", 0)):
        handed = fresh.alice.ids().keys() - {fresh.old.key_id}
        terminal = fresh.alice.terminal("adopt")
        terminal.answer("Access key ID, or the link from IT (hidden)", f"{link}\r")
        terminal.answer(f"Use the new key and delete ...{fresh.old.key_id[-4:]}? [y/N]", answer)
        screen = terminal.end()
        assert screen.code == code, screen.text
    ends(fresh, next(iter(handed)))


@pytest.mark.slow
def test_who_may_not_delete_is_told_what_to_type(fresh: Office) -> None:
    """The key is in place, IT's for now; later runs say what stands in the way and nothing else, until it does not."""
    link = fresh.link()
    handed = fresh.new_id()
    for action in ("UpdateAccessKey", "DeleteAccessKey"):
        fresh.aws.deny(action, user="alice")
    done = fresh.paste(link)
    assert done.code == 5, done.text
    text, hint = done.problem()
    assert f"key ...{handed[-4:]} is set up but was not replaced, because" in text
    assert f"the old key ...{fresh.old.key_id[-4:]} still exists" in text
    assert hint == "ask IT for the rights that this prints: rotate-my-key policy self; then: rotate-my-key"
    assert fresh.held("default").key_id == handed
    again = fresh.alice.run("-y")
    assert again.code == 5, again.text
    assert "Nothing to do" not in again.text
    assert f"the old key ...{fresh.old.key_id[-4:]} still exists" in again.problem()[0]
    fresh.aws.all_well()
    last = fresh.alice.run("-y")
    assert last.code == 0, last.text
    assert last.text.count("Nothing to do") == 0
    ends(fresh, handed)


@pytest.mark.slow
def test_a_key_that_no_delivery_names_stays(fresh: Office) -> None:
    """There is no room then: the old key is not taken for one that may go."""
    link = fresh.link()
    other = fresh.old
    fresh.aws.delete_key(other.key_id)
    made = fresh.aws.add_key("alice")
    done = fresh.paste(link)
    assert done.code == 4, done.text
    assert made.key_id in fresh.alice.ids()


@pytest.mark.slow
def test_finished_under_another_name_than_default(fresh: Office) -> None:
    """A plain run finishes it and ends well, though no profile is named and there is no default."""
    link = fresh.link()
    handed = fresh.new_id()
    assert fresh.killed("CreateAccessKey", 1, "before", "-p", "work", text=link)
    done = fresh.alice.run("-y")
    assert done.code == 0, done.text
    assert "no profile is named" not in done.text
    ends(fresh, handed, "work")


@pytest.mark.slow
def test_denied_only_after_it_was_killed(fresh: Office) -> None:
    """The first run that is told no says so, and not beside it that there is nothing to do."""
    link = fresh.link()
    assert fresh.killed("UpdateAccessKey", 1, "after", text=link)
    fresh.aws.deny("DeleteAccessKey", user="alice")
    done = fresh.alice.run("-y")
    assert done.code == 5, done.text
    assert "Nothing to do" not in done.text


def test_a_rotation_under_another_name_is_finished_too(fresh: Office) -> None:
    """That there is no default is said only if there was nothing to finish."""
    fresh.alice.profiles(work=fresh.old)
    assert fresh.killed("UpdateAccessKey", 1, "after", "rotate", "-y", "-p", "work")
    done = fresh.alice.run("-y")
    assert done.code == 0, done.text
    again = fresh.alice.run("-y")
    assert again.code == 1
    assert "no profile is named" in again.problem()[0]


CALLS = {
    "GetObject": 1,
    "GetCallerIdentity": 10,
    "GetUser": 2,
    "ListAccessKeys": 2,
    "GetAccessKeyLastUsed": 3,
    "UpdateAccessKey": 2,
    "DeleteAccessKey": 2,
    "CreateAccessKey": 1,
}


def test_the_calls(fresh: Office) -> None:
    """The table has all that there are, so that a kill point that is added is not forgotten."""
    link = fresh.link()
    since = len(fresh.aws.calls)
    assert fresh.paste(link).code == 0
    assert calls(fresh, since) == CALLS


@pytest.mark.parametrize(("action", "nth", "when"), each_call(CALLS, ("UpdateAccessKey", 1, "after")))
def test_killed_anywhere(fresh: Office, action: str, nth: int, when: str) -> None:
    """The next plain run finishes what was begun; where nothing was, the same again does."""
    link = fresh.link()
    handed = fresh.new_id()
    assert fresh.killed(action, nth, when, text=link)
    fresh.aws.settings.clock_offset += 20
    begun = fresh.alice.credentials.exists()
    done = fresh.alice.run("-y") if begun else fresh.paste(link)
    assert done.code == 0, done.text
    ends(fresh, handed)


@pytest.mark.slow
def test_the_delivery_is_removed_by_whoever_finishes(office: Office) -> None:
    """A run that was killed has not removed it; another key that waits there by now stays."""
    place = office.place()
    handed = office.new_id()
    assert office.killed("DeleteAccessKey", 1, "after", "adopt", place, "-y")
    assert len(office.waiting()) == 1
    done = office.alice.run("rotate", "-y", "-p", "work")
    assert done.code == 0, done.text
    assert "deleted IT's copy of the new key" in done.err
    assert office.waiting() == []
    office.settled(handed)
