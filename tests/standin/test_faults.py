"""What goes wrong on purpose, and several accounts in one stand-in, some of them broken."""

import http.client
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.parsers import ResponseParserError

from rotate_my_key.core.model import Credentials
from tests.standin import Account, StandIn
from tests.standin.conftest import Client, Refusal

Enter = Callable[..., Credentials]

LOST = (ConnectionClosedError, HTTPClientError, IncompleteReadError, ResponseStreamingError)


@pytest.mark.parametrize(("when", "keys"), [("before", 1), ("after", 2)])
@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [("throttle", "Throttling", 400), ("500", "InternalFailure", 500), ("503", "ServiceUnavailable", 503)],
)
def test_an_error_before_or_after_the_deed(
    aws: StandIn, client: Client, refusal: Refusal, kind: Any, code: str, status: int, when: Any, keys: int
) -> None:
    """The client sees the same; the account does not. The next call is answered."""
    iam = client("iam", aws.add_key("alice"))
    aws.fault("CreateAccessKey", kind, when)
    assert refusal(iam.create_access_key, UserName="alice")[:2] == (code, status)
    assert len(aws.keys("alice")) == keys
    assert (aws.calls[-1].outcome, aws.calls[-1].done) == (code, when == "after")
    iam.list_access_keys()


@pytest.mark.parametrize(("when", "keys"), [("before", 1), ("after", 2)])
@pytest.mark.parametrize("kind", ["reset", "drop", "hang", "cut"])
def test_a_lost_reply(aws: StandIn, client: Client, kind: Any, when: Any, keys: int) -> None:
    """The connection is reset, closed, or answers half; whether it was carried out cannot be seen."""
    iam = client("iam", aws.add_key("alice"))
    aws.fault("CreateAccessKey", kind, when, seconds=0.05)
    with pytest.raises((*LOST, ClientError, ResponseParserError)):
        iam.create_access_key(UserName="alice")
    assert len(aws.keys("alice")) == keys
    assert (aws.calls[-1].outcome, aws.calls[-1].done) == (kind, when == "after")
    iam.list_access_keys()


def test_a_reset_is_a_reset(aws: StandIn, client: Client) -> None:
    """A TCP RST, which a client tells from an ordinary close."""
    iam = client("iam", aws.add_key("alice"))
    aws.fault("GetUser", "reset")
    aws.fault("GetUser", "drop")
    causes = []
    for _ in range(2):
        with pytest.raises(ConnectionClosedError) as caught:
            iam.get_user()
        causes.append(type(caught.value.kwargs["error"].args[1]))
    assert causes == [ConnectionResetError, http.client.RemoteDisconnected]


def test_hanging_outlasts_the_client(aws: StandIn, client: Client) -> None:
    """No answer until the client gives up; other calls go on; `all_well` ends it."""
    pair = aws.add_key("alice")
    aws.fault("GetUser", "hang")
    with pytest.raises(ReadTimeoutError):
        client("iam", pair, read_timeout=0.1).get_user()
    client("iam", pair).get_user()
    aws.fault("GetUser", "hang")
    threading.Timer(0.1, aws.all_well).start()
    with pytest.raises(ConnectionClosedError):
        client("iam", pair).get_user()


def test_slow_is_late_but_good(aws: StandIn, client: Client) -> None:
    """Before or after it is carried out."""
    iam = client("iam", aws.add_key("alice"))
    aws.fault("GetUser", "slow", seconds=0.1)
    aws.fault("GetUser", "slow", "after", seconds=0.1)
    start = time.monotonic()
    assert iam.get_user()["User"]["UserName"] == "alice"
    assert time.monotonic() - start >= 0.2


def test_a_captive_portal_can_be_taken_for_success(aws: StandIn, client: Client) -> None:
    """Why an answer without a request id is none: botocore finds nothing wrong with this page."""
    pair = aws.add_key("alice")
    aws.fault("DeleteAccessKey", "xhtml")
    answer = client("iam", pair).delete_access_key(UserName="alice", AccessKeyId=pair.key_id)
    assert "RequestId" not in answer["ResponseMetadata"]
    assert len(aws.keys("alice")) == 1


def test_rules_pick_their_calls(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """By action, key, how many to let pass and how many to take."""
    first, second = aws.add_key("alice"), aws.add_key("alice")
    aws.fault("GetUser", "throttle", times=2, skip=1, key_id=first.key_id)
    one, other = client("iam", first), client("iam", second)
    one.get_user()
    one.list_access_keys()
    other.get_user()
    assert refusal(one.get_user)[0] == "Throttling"
    assert refusal(one.get_user)[0] == "Throttling"
    one.get_user()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({}, "because no identity-based policy allows the iam:DeleteAccessKey action"),
        ({"explicit": True}, "with an explicit deny in an identity-based policy"),
        (
            {"quarantine": True},
            "with an explicit deny in an identity-based policy: arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
        ),
    ],
    ids=["nothing allows it", "a policy denies it", "in quarantine"],
)
def test_denied(aws: StandIn, client: Client, refusal: Refusal, how: dict[str, Any], sentence: str) -> None:
    """AccessDenied in AWS's words, for so many times, then allowed; nothing changes meanwhile."""
    pair = aws.add_key("alice")
    second = aws.add_key("alice")
    aws.deny("DeleteAccessKey", times=1, **how)
    call = client("iam", pair).delete_access_key
    who = f"User: arn:aws:iam::{aws.account}:user/alice is not authorized to perform: iam:DeleteAccessKey"
    wanted = f"{who} on resource: user alice {sentence}"
    assert refusal(call, UserName="alice", AccessKeyId=second.key_id) == ("AccessDenied", 403, wanted)
    assert len(aws.keys("alice")) == 2
    call(UserName="alice", AccessKeyId=second.key_id)


def test_nobody_can_be_denied_get_caller_identity(aws: StandIn, client: Client) -> None:
    """As at AWS: "*" leaves it out, and asking for it by name is a mistake."""
    aws.deny("*")
    client("sts", aws.add_key("alice")).get_caller_identity()
    with pytest.raises(ValueError, match="GetCallerIdentity"):
        aws.deny("GetCallerIdentity")


@pytest.fixture
def shop(aws: StandIn) -> Account:
    """A second account, with a user bob."""
    shop = aws.add_account("shop")
    shop.add_user("bob")
    return shop


@pytest.fixture
def enter(client: Client) -> Enter:
    """Assume a role: `enter(pair, role)`."""

    def make(pair: Credentials, role: str, **more: Any) -> Credentials:
        made = client("sts", pair).assume_role(RoleArn=role, RoleSessionName="fleet", **more)["Credentials"]
        return Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    return make


def test_the_key_tells_the_account(aws: StandIn, shop: Account, client: Client, refusal: Refusal) -> None:
    """Who signs with a member's key sees that account and no other; the call says which it was."""
    mine, theirs = aws.add_key("alice"), shop.add_key("bob")
    assert client("sts", theirs).get_caller_identity()["Account"] == shop.account
    assert [user["UserName"] for user in client("iam", theirs).list_users()["Users"]] == ["bob"]
    assert [user["UserName"] for user in client("iam", mine).list_users()["Users"]] == ["alice"]
    assert refusal(client("iam", mine).list_access_keys, UserName="bob")[0] == "NoSuchEntity"
    assert [call.account for call in aws.calls] == [shop.account, shop.account, aws.account, aws.account]


def test_all_accounts_are_listed_by_twenties(aws: StandIn, client: Client) -> None:
    """Also those that are suspended; each has a name and says its state in both of AWS's words."""
    numbers = {aws.account, *(aws.add_account(f"n{each}").account for each in range(44))}
    gone = aws.add_account("gone", state="SUSPENDED").account
    pages = client("organizations", aws.add_key("alice")).get_paginator("list_accounts").paginate()
    accounts = [page["Accounts"] for page in pages]
    assert [len(page) for page in accounts] == [20, 20, 6]
    states = {account["Id"]: account["Status"] for page in accounts for account in page}
    assert states == {**dict.fromkeys(numbers, "ACTIVE"), gone: "SUSPENDED"}
    assert all(account["State"] == account["Status"] for page in accounts for account in page)


def test_only_the_main_account_reads_the_organization(
    aws: StandIn, shop: Account, client: Client, refusal: Refusal
) -> None:
    """A member may not; it may ask which organization it is in."""
    organizations = client("organizations", shop.add_key("bob"))
    assert refusal(organizations.list_accounts)[:2] == ("AccessDeniedException", 400)
    assert organizations.describe_organization()["Organization"]["MasterAccountId"] == aws.account


def test_a_lone_account_is_in_no_organization(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """AWS says so in an error of its own."""
    organizations = client("organizations", aws.add_key("alice"))
    assert refusal(organizations.list_accounts)[0] == "AWSOrganizationsNotInUseException"


def test_who_is_not_let_in(aws: StandIn, shop: Account, client: Client, refusal: Refusal) -> None:
    """A role that is not there, a wrong external id, a role that trusts others, a suspended account: one answer."""
    other = aws.add_account("other")
    other.add_user("carol")
    gone = aws.add_account("gone", state="SUSPENDED")
    main, member = client("sts", aws.add_key("alice")), client("sts", other.add_key("carol"))
    locked, plain = shop.add_role("locked", external_id="xyz"), shop.add_role("plain")
    theirs = shop.add_role("theirs", trusts=[other.account])
    one = shop.add_role("one", trusts=[f"arn:aws:iam::{aws.account}:user/zoe"])
    refused = [
        (main, {"RoleArn": f"arn:aws:iam::{shop.account}:role/nobody"}),
        (main, {"RoleArn": "arn:aws:iam::999999999999:role/fleet"}),
        (main, {"RoleArn": locked}),
        (main, {"RoleArn": locked, "ExternalId": "xyzz"}),
        (main, {"RoleArn": theirs}),
        (main, {"RoleArn": one}),
        (main, {"RoleArn": gone.add_role("fleet")}),
        (member, {"RoleArn": plain}),
    ]
    for sts, asked in refused:
        code, status, sentence = refusal(sts.assume_role, RoleSessionName="me", **asked)
        assert (code, status) == ("AccessDenied", 403)
        assert sentence.endswith(f"not authorized to perform: sts:AssumeRole on resource: {asked['RoleArn']}")
    assert main.assume_role(RoleArn=locked, RoleSessionName="me", ExternalId="xyz")
    assert member.assume_role(RoleArn=theirs, RoleSessionName="me")


def test_a_role_from_a_role_lasts_an_hour(
    aws: StandIn, shop: Account, client: Client, refusal: Refusal, enter: Enter
) -> None:
    """Role chaining has a limit of its own."""
    role = shop.add_role("fleet")
    sts = client("sts", enter(aws.add_key("alice"), aws.add_role("admin")))
    code, _, sentence = refusal(sts.assume_role, RoleArn=role, RoleSessionName="me", DurationSeconds=3601)
    assert (code, "role chaining" in sentence) == ("ValidationError", True)
    assert sts.assume_role(RoleArn=role, RoleSessionName="me", DurationSeconds=3600)


def test_an_account_that_does_not_answer(aws: StandIn, shop: Account, client: Client, enter: Enter) -> None:
    """Until all is well; others are served meanwhile."""
    pair = aws.add_key("alice")
    session = enter(pair, shop.add_role("fleet"))
    aws.break_account(shop.account, "hang")
    with pytest.raises(ReadTimeoutError):
        client("iam", session, read_timeout=0.3).list_users()
    assert client("iam", pair).list_users()
    aws.all_well()
    assert client("iam", session).list_users()


def test_a_reset_takes_the_members_away(aws: StandIn, shop: Account) -> None:
    """The stand-in is a lone account again, and what moto knew of the others is gone."""
    number = shop.account
    aws.reset()
    assert aws.accounts == [aws.account]
    with pytest.raises(KeyError):
        shop.add_user("carol")
    assert aws.add_account("shop", number).keys(None) == []
    aws.in_account(number).add_user("bob")
