"""Three systems that people have built by hand, as this program does them: over HTTP, from a fresh account, from end to
end, with throttling, lost answers and one broken account in the way.

(c) A Lambda that makes a key at 60-70 days, deactivates at 80-90 and deletes after 90, with a notice at each stage.
(d) One that warns at 30 days, makes a key at 60 and puts it where its user finds it, deactivates and deletes 10 days
later each. (e) A shell loop over all users that copes with the limit of two keys.

Alice takes over what IT makes for her, on a laptop whose credentials file is looked at in the end. Everybody else
stands for a rule that spares.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key import policies
from tests.cli.conftest import Desk
from tests.fleet.enforce.conftest import Firm

pytestmark = pytest.mark.slow
PLACE = re.compile(r"secretsmanager:arn:\S+")
KMS = "arn:aws:kms:eu-west-1:{account}:key/1234"


class Stage:
    """A firm with three accounts, one of which lets nobody in, and runs by schedule while AWS misbehaves."""

    def __init__(self, firm: Firm, preset: str, home: Path) -> None:
        self.firm = firm
        self.prod, self.broken = firm.account("prod"), firm.account("broken")
        numbers = ", ".join([firm.aws.account, self.prod.account, self.broken.account])
        firm.settings(
            "[accounts]\nrole = rotate-my-key-fleet\n"
            f"[enforce]\npreset = {preset}\naccounts = {numbers}\n"
            "weekdays = mon, tue, wed, thu, fri, sat, sun\nhours = 0-24\nmost = 50\n"
            f"[reissue]\nkms_key = {KMS.format(account=firm.aws.account)}\n"
        )
        self.day = 0
        self.log: list[tuple[int, str]] = []
        self.laptop = Desk(home, firm.aws, firm.it.capsys, firm.it.env)

    def give(self, name: str, *ages: float, **tags: str) -> list[str]:
        """A user of the main account; alice gets her key into her file."""
        pairs = self.firm.person(name, *ages, **tags)
        if name == "alice":
            self.firm.aws.attach_policy("alice", json.loads(policies.text("self")))
            key = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": KMS.format(account=self.firm.aws.account)}
            self.firm.aws.attach_policy("alice", {"Version": "2012-10-17", "Statement": [key]})
            self.laptop.profiles(work=pairs[0])
        return [pair.key_id for pair in pairs]

    def misbehave(self) -> None:
        """Throttled looks, a lost answer to each kind of act, one that arrives half."""
        aws = self.firm.aws
        aws.all_well()  # what the last run did not meet
        aws.break_account(self.broken.account, "denied")
        for action in ("ListUsers", "ListAccessKeys", "TagUser", "GetAccessKeyLastUsed"):
            aws.fault(action, "throttle")
        aws.fault("UpdateAccessKey", "drop", "after")
        aws.fault("DeleteAccessKey", "cut", "after")
        aws.fault("CreateAccessKey", "throttle")
        aws.fault("SendEmail", "500")

    def run(self) -> dict[str, Any]:
        """One run; the broken account must be named, and must be all that is wrong."""
        self.misbehave()
        done = self.firm.enforce("--apply", "--yes", "--json")
        assert done.code == 5, done.text
        result: dict[str, Any] = done.json
        assert [self.broken.account in each["about"] for each in result["broken"]] == [True], result["broken"]
        assert [each["problem"] for each in result["acts"] if each["state"] != "done"] == []
        self.log += [(self.day, f"{each['act']} {each['user']}") for each in result["acts"]]
        return result

    def until(self, day: int, every: int = 1) -> None:
        """Runs by schedule up to that day."""
        while self.day < day:
            self.firm.later(every)
            self.day += every
            self.run()

    def adopt(self) -> None:
        """Alice types what her mail says."""
        mine = [mail for mail in self.firm.aws.mails if mail.to == ("alice@example.com",)]
        mail = next(mail for mail in reversed(mine) if PLACE.search(mail.text))
        place = PLACE.search(mail.text)
        assert place
        done = self.laptop.run("adopt", place[0], "-y", AWS_PROFILE="work")
        assert done.code == 0, done.text

    def acts(self, name: str) -> list[tuple[int, str]]:
        """What was done to one user, by day."""
        return [(day, what.split()[0]) for day, what in self.log if what.split()[1] == name]

    def settled(self, *seen: str) -> None:
        """Alice's file holds her one key, which nobody but she has seen."""
        held = self.laptop.held("work")
        assert self.firm.ids("alice") == {held: "Active"}
        assert held not in seen
        assert self.firm.aws.pair(held).secret in self.laptop.credentials.read_text()
        for line in self.firm.audit:
            assert self.firm.aws.pair(held).secret not in str(line)


@pytest.fixture
def stage(firm: Firm, tmp_path: Path, request: pytest.FixtureRequest) -> Stage:
    """Under the preset of the test; beside alice those whom the rules spare."""
    home = tmp_path / "alice"
    home.mkdir()
    found = Stage(firm, request.param, home)
    firm.person("exempt", 200, 150, rotate_my_key="exempt")
    firm.person("new", 1)
    firm.person("frank", 400, at=found.broken)
    return found


def spared(stage: Stage) -> None:
    """Nobody whom the rules spare was touched or told."""
    assert set(stage.firm.ids("exempt").values()) == {"Active"}
    assert set(stage.firm.ids("frank", stage.broken).values()) == {"Active"}
    assert {mail.to[0] for mail in stage.firm.aws.mails} & {"exempt@example.com", "frank@example.com"} == set()
    ended = [line for line in stage.firm.audit if line["what"] == "ended"]
    begun = [line for line in stage.firm.audit if line["what"] == "begun"]
    assert len(ended) == len(begun) > 0


@pytest.mark.parametrize("stage", ["staged-90"], indirect=True)
def test_c_from_a_fresh_account_to_the_laptop(stage: Stage) -> None:
    """At 60 days alice gets a new key and takes it over; bob, who does not, keeps his; carol made hers herself, so her
    old one goes at 80 and is deleted at 90."""
    (old,) = stage.give("alice", 58)
    stage.give("bob", 58)
    carol, _ = stage.give("carol", 71, 5)
    stage.until(2)
    assert stage.acts("alice") == [(2, "reissue")]
    (waits,) = set(stage.firm.ids("alice")) - {old}
    stage.adopt()
    stage.until(20)
    assert stage.acts("alice") == [(2, "reissue")]
    stage.settled(old, waits)
    assert [(day, act) for day, act in stage.acts("carol")] == [(2, "notify"), (9, "deactivate"), (19, "delete")]
    assert carol not in stage.firm.ids("carol")
    assert ("deactivate" in [act for _, act in stage.acts("bob")], "Active" in stage.firm.ids("bob").values()) == (
        False,
        True,
    )
    spared(stage)


@pytest.mark.parametrize("stage", ["staged-30-60"], indirect=True)
def test_d_weekly_from_a_fresh_account_to_the_laptop(stage: Stage) -> None:
    """With weekly runs nothing is missed: a new key at the first run from 60 days on, handed over; dan's old key goes
    within a week of 70 days, and ten days later at the earliest it is deleted."""
    (old,) = stage.give("alice", 55)
    dan, _ = stage.give("dan", 60, 2)
    stage.until(7, every=7)
    assert stage.acts("alice") == [(7, "reissue")]
    (waits,) = set(stage.firm.ids("alice")) - {old}
    stage.adopt()
    stage.until(35, every=7)
    stage.settled(old, waits)
    assert stage.acts("dan") == [(7, "notify"), (14, "deactivate"), (28, "delete")]
    assert dan not in stage.firm.ids("dan")
    spared(stage)


@pytest.mark.parametrize("stage", ["two-key-loop"], indirect=True)
def test_e_with_two_keys_from_a_fresh_account_to_the_laptop(stage: Stage) -> None:
    """Alice has a second key that is switched off: it makes room, then she gets a new one; erin has two that work, both
    past their last day, and answers nothing: after her notice the older goes first, the younger a day later."""
    old, second = stage.give("alice", 95, 50)
    stage.firm.aws.set_status(second, "Inactive")
    older, younger = stage.give("erin", 200, 100)
    stage.run()
    stage.until(8)
    assert stage.acts("alice") == [(0, "notify"), (0, "notify"), (7, "delete"), (7, "reissue")]
    (waits,) = set(stage.firm.ids("alice")) - {old}
    stage.adopt()
    stage.until(15)
    stage.settled(old, second, waits)
    acts = [(0, "notify"), (0, "notify"), (7, "deactivate"), (8, "deactivate"), (14, "delete"), (15, "delete")]
    assert stage.acts("erin") == acts
    assert not {older, younger} & {*stage.firm.ids("erin")}
    spared(stage)
