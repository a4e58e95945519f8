"""AWS and the network misbehave: one bad answer is survived in the same run, a refusal is said once and clearly."""

from typing import Any

import pytest

from tests.laptop import Laptop, sampled
from tests.standin import Call

# The calls of a rotation that nothing disturbs, in order.
CALLS = {
    "who am I": ("GetCallerIdentity", 1),
    "my tags": ("GetUser", 1),
    "my keys": ("ListAccessKeys", 1),
    "the last use": ("GetAccessKeyLastUsed", 1),
    "a new key": ("CreateAccessKey", 1),
    "the first proof": ("GetCallerIdentity", 2),
    "the second proof": ("GetCallerIdentity", 3),
    "the third proof": ("GetCallerIdentity", 4),
    "signing in as read from the file": ("GetCallerIdentity", 5),
    "switching the old key off": ("UpdateAccessKey", 1),
    "deleting the old key": ("DeleteAccessKey", 1),
}
# Around a call that only looks it is the same whether AWS gets it, and whether it has answered.
WEIGHTY = ("a new key", "signing in as read from the file", "switching the old key off", "deleting the old key")
FATES = {  # when the run is killed, and whether AWS gets the call
    "AWS does it": ("before", True),
    "AWS does not get it": ("before", False),
    "AWS has done it and nobody has heard": ("after", True),
}
KILLED = [f"{call}; {fate}" for call in CALLS for fate in (FATES if call in WEIGHTY else ["AWS does it"])]
KINDS = ["throttle", "500", "503", "reset", "drop", "cut"]
CERTAIN = {"throttle"}  # AWS itself said that it did nothing
SAMPLE = {  # for the default run: each moment and each kind at least once
    "who am I": ("cut", "after"),
    "my tags": ("reset", "after"),
    "my keys": ("drop", "before"),
    "the last use": ("throttle", "before"),
    "a new key": ("drop", "after"),
    "the second proof": ("500", "before"),
    "signing in as read from the file": ("503", "after"),
    "switching the old key off": ("drop", "after"),
    "deleting the old key": ("reset", "before"),
}
MOMENTS = {name: CALLS[name] for name in SAMPLE}
ALL = [
    pytest.param(
        moment,
        kind,
        when,
        id=f"{kind} {when} {moment}",
        marks=[] if (kind, when) == SAMPLE[moment] else pytest.mark.slow,
    )
    for moment in MOMENTS
    for kind in KINDS
    for when in ("before", "after")
    if (moment, kind, when) != ("a new key", "throttle", "after")  # "throttled" is AWS's word that nothing was made
]


def test_the_calls_of_a_rotation(laptop: Laptop) -> None:
    """The table above has all calls that there are, so one that is added is not forgotten."""
    assert laptop.run().code == 0
    calls = [call.action for call in laptop.aws.calls]
    assert sorted(calls) == sorted(action for action, _ in CALLS.values())
    laptop.settled()


@pytest.mark.parametrize(
    "row",
    sampled(
        KILLED,
        "the second proof; AWS does it",
        "a new key; AWS does not get it",
        "a new key; AWS has done it and nobody has heard",
        "signing in as read from the file; AWS does it",
        "switching the old key off; AWS does not get it",
        "deleting the old key; AWS has done it and nobody has heard",
    ),
)
def test_killed_while_a_call_is_out(laptop: Laptop, row: str) -> None:
    """Also where strace cannot show it: the profile works, and the next run ends with one key, the one in the file."""
    call, _, fate = row.partition("; ")
    (action, nth), (when, got) = CALLS[call], FATES[fate]
    if not got:
        laptop.aws.fault(action, "drop", "before", skip=nth - 1)
    laptop.at(action, nth, lambda call: laptop.signal(), when)
    assert laptop.run().code == -9
    laptop.works()
    laptop.calm(20)
    (done,) = laptop.settled()
    assert "another run" not in done.text  # it was this one that replaced the key


def hurry(laptop: Laptop) -> None:
    """While CreateAccessKey is out a quarter of a minute passes at AWS: so long a key may take to show."""

    def pass_time(call: Call) -> None:
        laptop.aws.settings.clock_offset += 16

    laptop.at("CreateAccessKey", 1, pass_time)


@pytest.mark.parametrize(("moment", "kind", "when"), ALL)
def test_one_bad_answer_is_survived_in_the_same_run(laptop: Laptop, moment: str, kind: Any, when: Any) -> None:
    """Exit 0, and everything as after a rotation that nothing disturbed."""
    action, nth = MOMENTS[moment]
    laptop.aws.fault(action, kind, when, skip=nth - 1)
    if action == "CreateAccessKey" and when == "before" and kind not in CERTAIN:
        hurry(laptop)
    done = laptop.run()
    assert done.code == 0, done.text
    laptop.works()
    made = [call for call in laptop.aws.calls if call.action == "CreateAccessKey" and call.done]
    assert len(made) == (2 if action == "CreateAccessKey" and when == "after" else 1)
    laptop.settled()


@pytest.mark.slow
def test_a_lost_request_is_waited_out(laptop: Laptop) -> None:
    """The same without help: a quarter of a minute after a request that never arrived, it is sent once more."""
    laptop.aws.fault("CreateAccessKey", "drop", "before")
    assert laptop.run().code == 0
    laptop.settled()


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_answer_that_never_comes(laptop: Laptop, moment: str) -> None:
    """A call that hangs is given up and tried again, or looked after; 0, or 75 and the next run finishes."""
    action, nth = MOMENTS[moment]
    laptop.aws.fault(action, "hang", "after", skip=nth - 1)
    done = laptop.run()
    assert done.code in (0, 75), done.text
    laptop.works()
    laptop.calm()
    laptop.settled()


@pytest.mark.parametrize("moment", sampled(MOMENTS, "a new key", "the second proof", "deleting the old key"))
@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.slow)])
def test_a_captive_portal_in_between(laptop: Laptop, moment: str, when: Any) -> None:
    """A web page instead of an answer: one line without a traceback, and the next run finishes."""
    action, nth = MOMENTS[moment]
    laptop.aws.fault(action, "html", when, skip=nth - 1)
    if when == "before":
        hurry(laptop)
    done = laptop.run()
    assert done.code in (0, 75), done.text
    assert "Traceback" not in done.text and "fault in" not in done.text
    assert done.code == 0 or "web page" in done.err
    laptop.works()
    laptop.calm(20)
    laptop.settled()


LAGS = {
    "a new key is refused for two seconds": {"propagation": 2},
    "IAM learns of it later than STS": {"propagation": {"sts": 0.5, "iam": 2}},
    "yes and no take turns": {"flapping": "nynnyny"},
    "STS takes it in turns, IAM late": {"propagation": {"iam": 1.5}, "flapping": {"sts": "ynyyn"}},
    "lists lag": {"listing": 3},
    "old keys work on for a while": {"revocation": 4},
    "everything at once": {"propagation": 1.5, "flapping": "yny", "listing": 2, "revocation": 3},
}


@pytest.mark.parametrize("lag", sampled(LAGS, "yes and no take turns", "everything at once"))
def test_aws_is_slow_to_know(laptop: Laptop, lag: str) -> None:
    """What AWS's many hosts do not know yet is waited for; the next run at once after it finds nothing to do."""
    for name, value in LAGS[lag].items():
        setattr(laptop.aws.settings, name, value)
    done = laptop.run()
    assert done.code == 0, done.text
    laptop.settled()


def test_a_new_key_that_shows_late_is_found(laptop: Laptop) -> None:
    """Killed while CreateAccessKey was out, and the list lags: the next run looks until it is sure."""
    laptop.aws.settings.listing = 3
    laptop.at("CreateAccessKey", 1, lambda call: laptop.signal(), "after")
    assert laptop.run().code == -9
    laptop.works()
    laptop.aws.settings.listing = 3
    laptop.settled()


@pytest.mark.slow
def test_rotated_twice_in_a_row_while_lists_lag(laptop: Laptop) -> None:
    """The second run meets a list that still shows the deleted key and not yet the new one; it is no fresh one."""
    laptop.aws.settings.listing = 3
    first, second = laptop.run(), laptop.run("rotate", "--yes", "--force")
    assert (first.code, second.code) == (0, 0), first.text + second.text
    laptop.settled()
    assert len(laptop.history()) == 2


def test_a_new_key_that_is_never_accepted(laptop: Laptop) -> None:
    """Past the propagation time: 75, the old key in place and working; the next run goes on with the same new key."""
    laptop.aws.settings.propagation = 3600
    done = laptop.run(env={"ROTATE_MY_KEY_PROPAGATION_TIMEOUT": "1s"})
    assert done.code == 75 and "not accept" in done.err, done.text
    assert laptop.works() == laptop.old
    laptop.aws.settings.propagation = 0
    laptop.settled()
    assert sum(call.action == "CreateAccessKey" for call in laptop.aws.calls) == 1


# What is denied for good: the exit code, what is said, and whether the new key is in use afterwards.
DENIED = {
    "GetUser": (0, "", True),
    "ListAccessKeys": (5, "iam:ListAccessKeys", False),
    "GetAccessKeyLastUsed": (0, "", True),
    "CreateAccessKey": (5, "iam:CreateAccessKey", False),
    "UpdateAccessKey": (0, "", True),
    "DeleteAccessKey": (5, "iam:DeleteAccessKey", True),
    "UpdateAccessKey DeleteAccessKey": (5, "iam:DeleteAccessKey", True),
}


@pytest.mark.parametrize("actions", DENIED)
def test_denied_for_good(laptop: Laptop, actions: str) -> None:
    """The right exit code, a sentence for IT; the profile works, and once it is allowed the next run finishes. What is
    in the way of the end only is said once: later runs try quietly."""
    code, said, rotated = DENIED[actions]
    for action in actions.split():
        laptop.aws.deny(action)
    done = laptop.run()
    assert done.code == code, done.text
    assert said in done.err and (not code or "hint:" in done.err), done.err
    assert (laptop.works() != laptop.old) is rotated
    again = laptop.run()
    assert again.code == (code if not rotated else 0), again.text
    assert again.code or "error" not in again.err, again.text
    assert (laptop.works() != laptop.old) is rotated
    laptop.aws.all_well()
    laptop.settled()


def test_a_clock_that_is_set_back_while_a_key_is_proven(laptop: Laptop) -> None:
    """No time shorter than none is told."""

    def set_back(call: object) -> None:
        laptop.aws.settings.clock_offset -= 5

    laptop.at("GetCallerIdentity", 3, set_back)
    done = laptop.run()
    assert done.code == 0, done.text
    assert "(verified in 0 s)" in done.text, done.text
