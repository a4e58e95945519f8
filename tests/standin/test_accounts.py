"""Several accounts in one stand-in: an organization, roles that let others in, and accounts that are broken."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from rotate_my_key.core.model import Credentials
from tests.standin import Account, StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]


@pytest.fixture
def shop(aws: StandIn) -> Account:
    """A second account, with a user bob."""
    shop = aws.add_account("shop")
    shop.add_user("bob")
    return shop


@pytest.fixture
def enter(client: Client) -> Callable[..., Credentials]:
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


def test_accounts_can_have_chosen_numbers(aws: StandIn) -> None:
    """Once."""
    assert aws.add_account("a", "123456789012").account == "123456789012"
    with pytest.raises(ValueError, match="123456789012"):
        aws.add_account("b", "123456789012")


def test_only_the_main_account_reads_the_organization(
    aws: StandIn, shop: Account, client: Client, refusal: Refusal
) -> None:
    """A member may not, unless it is a delegated administrator."""
    organizations = client("organizations", shop.add_key("bob"))
    assert refusal(organizations.list_accounts)[:2] == ("AccessDeniedException", 400)
    assert organizations.describe_organization()["Organization"]["MasterAccountId"] == aws.account
    aws.delegate(shop.account)
    assert len(organizations.list_accounts()["Accounts"]) == 2


def test_a_lone_account_is_in_no_organization(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """AWS says so in an error of its own."""
    organizations = client("organizations", aws.add_key("alice"))
    assert refusal(organizations.list_accounts)[0] == "AWSOrganizationsNotInUseException"


def test_a_role_lets_the_main_account_in(
    aws: StandIn, shop: Account, client: Client, enter: Callable[..., Credentials]
) -> None:
    """Its session acts in the account of the role, and has its ARN."""
    session = enter(aws.add_key("alice"), shop.add_role("fleet"))
    arn = f"arn:aws:sts::{shop.account}:assumed-role/fleet/fleet"
    assert client("sts", session).get_caller_identity()["Arn"] == arn
    client("iam", session).tag_user(UserName="bob", Tags=[{"Key": "a", "Value": "b"}])
    assert shop.tags("bob") == {"a": "b"}


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
    aws: StandIn, shop: Account, client: Client, refusal: Refusal, enter: Callable[..., Credentials]
) -> None:
    """Role chaining has a limit of its own."""
    role = shop.add_role("fleet")
    sts = client("sts", enter(aws.add_key("alice"), aws.add_role("admin")))
    code, _, sentence = refusal(sts.assume_role, RoleArn=role, RoleSessionName="me", DurationSeconds=3601)
    assert (code, "role chaining" in sentence) == ("ValidationError", True)
    assert sts.assume_role(RoleArn=role, RoleSessionName="me", DurationSeconds=3600)


@pytest.mark.parametrize(
    ("how", "code"), [("throttled", "Throttling"), ("500", "InternalFailure"), ("503", "ServiceUnavailable")]
)
def test_a_broken_account(
    aws: StandIn, shop: Account, client: Client, enter: Callable[..., Credentials], how: Any, code: str
) -> None:
    """IAM there answers so for good, the role still lets in, and other accounts are well."""
    session = enter(aws.add_key("alice"), shop.add_role("fleet"))
    aws.break_account(shop.account, how)
    for _ in range(3):
        with pytest.raises(ClientError, match=code):
            client("iam", session).list_users()
    assert client("sts", session).get_caller_identity()
    assert client("iam", aws.add_key("alice")).list_users()
    aws.all_well()
    assert client("iam", session).list_users()


def test_an_account_that_lets_nobody_in(aws: StandIn, shop: Account, client: Client, refusal: Refusal) -> None:
    """Denied for that account alone."""
    pair, role = aws.add_key("alice"), shop.add_role("fleet")
    other = aws.add_account("other").add_role("fleet")
    aws.break_account(shop.account, "denied")
    assert refusal(client("sts", pair).assume_role, RoleArn=role, RoleSessionName="me")[0] == "AccessDenied"
    assert client("sts", pair).assume_role(RoleArn=other, RoleSessionName="me")


def test_an_account_that_does_not_answer(
    aws: StandIn, shop: Account, client: Client, enter: Callable[..., Credentials]
) -> None:
    """Until all is well; others are served meanwhile."""
    pair = aws.add_key("alice")
    session = enter(pair, shop.add_role("fleet"))
    aws.break_account(shop.account, "hang")
    with pytest.raises(ReadTimeoutError):
        client("iam", session, read_timeout=0.3).list_users()
    assert client("iam", pair).list_users()
    aws.all_well()
    assert client("iam", session).list_users()


def test_faults_and_denials_of_one_account(aws: StandIn, shop: Account, client: Client, refusal: Refusal) -> None:
    """`account` and `service` say whose calls are meant."""
    mine, theirs = aws.add_key("alice"), shop.add_key("bob")
    aws.fault("ListUsers", "throttle", times=None, account=shop.account)
    aws.deny("*", account=aws.account, service="organizations")
    assert refusal(client("iam", theirs).list_users)[0] == "Throttling"
    assert client("iam", mine).list_users()["Users"]
    assert refusal(client("organizations", mine).list_accounts)[0] == "AccessDeniedException"


def test_a_reset_takes_the_members_away(aws: StandIn, shop: Account) -> None:
    """The stand-in is a lone account again, and what moto knew of the others is gone."""
    number = shop.account
    aws.reset()
    assert aws.accounts == [aws.account]
    with pytest.raises(KeyError):
        shop.add_user("carol")
    assert aws.add_account("shop", number).keys(None) == []
    aws.in_account(number).add_user("bob")
