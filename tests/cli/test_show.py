"""Values turned into sentences: as short as a person would say them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.cli import show
from rotate_my_key.core.errors import NeedsPerson
from rotate_my_key.core.model import AccessKey, LastUse, Place, PlaceKind
from rotate_my_key.core.plan import ENDS, Step
from rotate_my_key.core.policy import Policy
from rotate_my_key.rotation.ports import Did, Ending, Outcome
from rotate_my_key.rotation.run import Result

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
OLD, NEW = "AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAQ2XA"
FILE = "/home/alice/.aws/credentials"
DEFAULT, WORK = Place(FILE, "default"), Place(FILE, "work")


def tilde(path: str) -> str:
    """As the program shows paths."""
    return path.replace("/home/alice", "~")


@pytest.mark.parametrize(
    ("use", "text"),
    [
        pytest.param(None, "last use unknown", id="denied is unknown, not never"),
        pytest.param(LastUse(None), "never used", id="none"),
        pytest.param(LastUse(NOW - timedelta(hours=3), "s3", "eu-west-1"), "last used 3 hours ago by s3 in eu-west-1"),
        pytest.param(LastUse(NOW - timedelta(days=2), "iam", "N/A"), "last used 2 days ago by iam", id="no region"),
    ],
)
def test_the_last_use(use: LastUse | None, text: str) -> None:
    """When, by what and where."""
    assert show.last_used(use, NOW) == text


@pytest.mark.parametrize(
    ("did", "text"),
    [
        (Did(Step.CREATE, NEW), "created a new key ...Q2XA"),
        (Did(Step.PROVE, NEW, seconds=8.4), "key ...Q2XA works (verified in 8 s)"),
        (Did(Step.SWITCH, NEW, (DEFAULT, WORK)), "~/.aws/credentials: updated default and work"),
        (
            Did(Step.SWITCH, NEW, (DEFAULT, Place("/home/alice/.aws/config", "a", PlaceKind.CONFIG))),
            "~/.aws/credentials: updated default; ~/.aws/config: updated a",
        ),
        (Did(Step.SWITCH, NEW, (Place("/home/alice/.aws/config", "a", PlaceKind.KEYRING),)), "the keyring: updated a"),
        (Did(Step.DEACTIVATE, OLD), "deactivated the old key ...MPLE"),
        (Did(Step.DELETE, OLD), "deleted the old key ...MPLE"),
        (Did(Step.DISCARD, OLD), "deleted key ...MPLE, whose secret never arrived"),
        (Did(Step.MAKE_ROOM, OLD), "deleted the inactive key ...MPLE"),
        (Did(Step.SWITCH_ON, OLD), "made sure that key ...MPLE is active"),
    ],
)
def test_what_a_step_did(did: Did, text: str) -> None:
    """Key ids are masked."""
    assert show.did_line(did, tilde) == text


@pytest.mark.parametrize("step", [s for s in Step if s not in {*ENDS, Step.DROP, Step.FINISH}])
def test_every_step_that_takes_time_is_announced(step: Step) -> None:
    """For the spinner; what takes none is not."""
    assert show.doing(step)
    assert not any(show.doing(end) for end in ENDS)


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_its_sentences(ending: Ending) -> None:
    """No full id, and a sentence for the screen, whatever is known."""
    for until, created in ((None, None), (NOW + timedelta(days=7), NOW)):
        result = Result(("default",), OLD, Outcome(ending, OLD, NEW, until=until, created=created))
        text = show.result_line(result, Policy(), NOW)
        assert text.endswith(".") and text == text.strip()
        assert OLD not in text and NEW not in text
        settled = show.settled_line(result)
        assert OLD not in settled and NEW not in settled
        assert (settled == "") == (ending is Ending.WAITING)


def test_json_has_whole_ids_and_times_in_utc() -> None:
    """An id is not a secret. The new key is due 75 days after it was made, as the screen says, too."""
    outcome = Outcome(
        Ending.ROTATED, OLD, NEW, "123456789012", "arn", (DEFAULT,), created=NOW, steps=(Step.CREATE, Step.MAKE_ROOM)
    )
    result = Result(("default",), OLD, outcome)
    assert show.result_line(result, Policy(), NOW) == "Done. Next rotation due on 18 July."
    value = show.result_json(result, Policy())
    assert (value["key_id"], value["new_key_id"], value["ending"]) == (OLD, NEW, "rotated")
    assert value["next_due"] == "2026-07-18T12:00:00+00:00"
    assert value["places"] == [{"path": FILE, "profile": "default", "kind": "credentials"}]
    assert value["steps"] == ["create", "make room"]
    assert value["problem"] is None
    key = AccessKey(OLD, "Active", NOW)
    assert show.key_json(key) == {"key_id": OLD, "status": "Active", "created": "2026-05-04T12:00:00+00:00"}


def test_json_of_a_problem() -> None:
    """With the exit code that it stands for."""
    value = show.result_json(Result(("work",), OLD, problem=NeedsPerson("no consent", "rotate-my-key --yes")), Policy())
    assert value["ending"] == "problem"
    assert value["problem"] == {"message": "no consent", "hint": "rotate-my-key --yes", "code": 4}
    assert value["next_due"] is None
