"""`fleet enforce` and `fleet reissue` with just the printed policy pass; without any one of its actions they fail
clearly, or touch nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import FLEET_KEY
from tests.cli.conftest import Done
from tests.policies.company import OLD, UNITS, Company, allowed, with_channels

# enforce

BY_REPORT = {"iam:GenerateCredentialReport", "iam:GetCredentialReport"}  # only where passwords exempt

ENFORCE = """
[enforce]
accounts = {accounts}
deactivate_at = 90d
delete_after = 10d
weekdays = mon, tue, wed, thu, fri, sat, sun
hours = 0-24
"""


@pytest.fixture
def enforcing(company: Callable[..., Company], hook: str) -> Company:
    """Alice's key is to be switched off, for she was told of it; bob's, which is off for long, is to be deleted; carol
    is to be told."""
    here = with_channels(company("fleet-enforce"), hook)
    aws = here.desk.aws
    (alice,), (bob,) = aws.keys("alice"), here.member.keys("bob")
    aws.set_tags("alice", {FLEET_KEY: f"1 {alice.key_id[-8:]}:n2:f20260901:l20261001:w2:d20260901"})
    here.member.set_status(bob.key_id, "Inactive")
    here.member.set_tags("bob", {FLEET_KEY: f"1 {bob.key_id[-8:]}:n2:f20260801:l20260901:w2:d20260801:o20260915"})
    aws.add_user("carol")
    aws.add_key("carol", OLD)
    here.settings += ENFORCE.format(accounts=f"{aws.account}, {here.member.account}")
    return here


def test_enforce_passes_with_its_policy(enforcing: Company) -> None:
    """One key is switched off, one is deleted, one owner is told; no call is refused."""
    numbers = enforcing.function("enforce")["numbers"]
    assert (numbers["Notified"], numbers["Deactivated"], numbers["Deleted"]) == (1, 1, 1)
    assert [key.status for key in enforcing.desk.aws.keys("alice")] == ["Inactive"]
    assert enforcing.member.keys("bob") == []
    assert enforcing.called() == allowed("fleet-enforce") - BY_REPORT - UNITS


# What a run without an action tells: a trouble or an error that names it, or how much less was done and why.
LESS_ENFORCED = {"iam:GetAccessKeyLastUsed": {"last use unknown": 2}, "iam:ListUserTags": {"unsure": 2}}
NAMELESS = {"sts:AssumeRole": "may not be assumed by the caller"}


@pytest.mark.slow
@pytest.mark.parametrize("action", sorted(allowed("fleet-enforce") - UNITS))
def test_enforce_has_no_action_too_many(enforcing: Company, action: str) -> None:
    """Without it the run fails, or tells what it could not do; no key is touched because something is not known. The
    report is there for bots, who are told by having no password: who cannot know them touches nobody."""
    if action in BY_REPORT:
        enforcing.settings = enforcing.settings.replace("[exempt]", "[exempt]\nnever_signed_in = yes")
    enforcing.less(action)
    try:
        result = enforcing.function("enforce")
    except Problem as problem:
        assert action in problem.message
        assert [key.status for key in enforcing.desk.aws.keys("alice")] == ["Active"]
        return
    assert action not in BY_REPORT
    if action in LESS_ENFORCED:
        assert result["spared"] == LESS_ENFORCED[action]
        assert (result["numbers"]["Deactivated"], result["numbers"]["Deleted"]) == (0, 0)
    else:
        assert NAMELESS.get(action, action) in " ".join(result["troubles"])
        assert result["incomplete"] is True


# reissue

KMS = "arn:aws:kms:eu-west-1:123456789012:key/abc"
REISSUE = f"""
[reissue]
enabled = yes
keep = 1s
kms_key = {KMS}
"""
LATER = "[enforce]\ndeactivate_at = 400d\naccounts = all\n"  # the old key's end is told


@pytest.fixture
def reissuing(company: Callable[..., Company], hook: str) -> Company:
    """Bob, in the member account, is to get a key through a secret, or through a bucket."""
    here = with_channels(company("fleet-reissue"), hook)
    told = here.settings.replace("owners = mail,", "owners = mail, topic, chat").replace("admins = topic, chat", "")
    here.settings = told + LATER + REISSUE
    here.desk.aws.add_bucket("keys")
    return here


def hand_over(here: Company) -> list[Done]:
    """A key for bob, another in its place, and the sweep when its time is over."""
    bob = ("bob", "--account", here.member.account, "--yes")
    first = [here.run("reissue", *bob), here.run("reissue", *bob, "--renew")]
    time.sleep(1.1)
    return [*first, here.run("reissue", "--sweep", "--yes")]


@pytest.mark.slow
@pytest.mark.parametrize("through", ["secretsmanager", "s3"])
def test_reissue_passes_with_its_policy(reissuing: Company, through: str) -> None:
    """A key is made, told of, made anew, and swept; with both ways every action was needed, and none was refused."""
    reissuing.settings += f"through = {through}\nbucket = keys\n"
    done = hand_over(reissuing)
    assert [each.code for each in done] == [0, 0, 0], [each.text for each in done]
    assert len(reissuing.member.keys("bob")) == 1
    other = {"secretsmanager": "s3:", "s3": "secretsmanager:"}[through]
    mine = {action for action in allowed("fleet-reissue") if not action.startswith(("kms:", other))}
    assert mine <= reissuing.called() <= allowed("fleet-reissue")


@pytest.mark.slow
@pytest.mark.parametrize("action", sorted(allowed("fleet-reissue")))
def test_reissue_has_no_action_too_many(reissuing: Company, action: str) -> None:
    """Without it one of the runs fails or warns, and names it."""
    reissuing.settings += "through = s3\nbucket = keys\n" if action.startswith("s3:") else ""
    reissuing.less(action)
    done = hand_over(reissuing)
    # AWS names no KMS action: to whoever calls Secrets Manager the whole call is denied
    said = "KMS key" if action.startswith("kms:") else NAMELESS.get(action, action)
    assert said in " ".join(each.text for each in done)


@pytest.mark.slow
def test_reissue_sweeps_in_lambda_with_its_policy(reissuing: Company) -> None:
    """What nobody fetched is gone, place and key."""
    hand_over_once = reissuing.run("reissue", "bob", "--account", reissuing.member.account, "--yes")
    assert hand_over_once.code == 0, hand_over_once.text
    time.sleep(1.1)
    assert reissuing.function("sweep")["numbers"] == {"deleted": 1}
    assert len(reissuing.member.keys("bob")) == 1
    left = [secret.name for secret in reissuing.desk.aws.secrets.values() if not secret.deleted]
    assert left == ["rotate-my-key/chat"]


@pytest.mark.slow
def test_enforce_revoke_and_taking_back_pass_with_the_policy_of_enforce(enforcing: Company) -> None:
    """As they are typed: what would be done, doing it, switching off all of a user's keys, switching them on again."""
    assert enforcing.run("enforce").code == 0
    assert enforcing.run("enforce", "--apply", "--yes").code == 0
    for words in (["revoke", "carol", "--yes"], ["revoke", "--undo", "carol", "--yes"]):
        done = enforcing.run(*words)
        assert done.code == 0, done.text
    assert enforcing.called() <= allowed("fleet-enforce")
