"""Users and keys of many accounts through one link: who signs, what is waited for, what each verb makes of trouble."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.aws.account_calls import AccountCalls, Role
from rotate_my_key.aws.client import Aws
from rotate_my_key.core.errors import (
    Denied,
    Gone,
    KeyRefused,
    NoRoom,
    NotAllowed,
    Problem,
    TryLater,
    Unanswered,
    WrongUsage,
)
from rotate_my_key.core.model import Credentials
from rotate_my_key.core.parallel import Pool
from rotate_my_key.fleet.accounts import AccountDirectory
from rotate_my_key.fleet.assembly import Assembly, FleetSigner
from rotate_my_key.fleet.model import AwsAccount
from rotate_my_key.fleet.survey import accounts_of
from rotate_my_key.settings.fleet import Accounts, FleetSettings
from tests.aws.conftest import actions
from tests.standin import StandIn

Make = Callable[..., Assembly]
ROLE = FleetSettings(accounts=Accounts(role="fleet"))


@pytest.fixture
def make(one_aws: Aws, admin: Credentials) -> Make:
    """Make the adapters of a run: `make(settings)`."""

    def assembled(settings: FleetSettings | None = None, signer: FleetSigner | None = None, **more: Any) -> Assembly:
        return Assembly(one_aws, signer or FleetSigner(), settings or FleetSettings(), **more)

    return assembled


@pytest.fixture
def own(make: Make, standin: StandIn) -> AccountDirectory:
    """The caller's own account, where alice is; nothing recorded yet."""
    organization = make().organization
    directory = organization.directory(AwsAccount(organization.me().account))
    standin.calls.clear()
    return directory


def own_calls(assembly: Assembly) -> AccountCalls:
    """The calls to the caller's own account."""
    calls: AccountCalls = assembly._own
    return calls


def scope(assembly: Assembly) -> tuple[AwsAccount, ...]:
    """The accounts that the settings mean."""
    return accounts_of(assembly.organization, assembly.settings.accounts)


# Many accounts


def test_all_accounts_share_one_client_and_its_connections(make: Make, standin: StandIn) -> None:
    """Twenty accounts by eight threads: at most eight connections to IAM and as many to STS, one role each."""
    assembly = make(ROLE)
    for number in range(20):
        member = standin.add_account(f"shop-{number}")
        member.add_role("fleet")
        member.add_user(f"bob-{number}")
    accounts = scope(assembly)
    members = [account for account in accounts if account.name.startswith("shop")]
    with Pool(8) as pool:
        found = pool.map(
            lambda account: [user.name for user in assembly.organization.directory(account).users()], members
        )
    assert found == [[f"bob-{account.name[5:]}"] for account in members]
    assert Counter(actions(standin)) == {
        "GetCallerIdentity": 1,
        "ListAccounts": 2,  # AWS gives twenty on a page
        "AssumeRole": 20,
        "ListUsers": 20,
    }
    assert standin.connections <= 8 + 8 + 1


def test_a_role_is_assumed_once_for_all_threads(make: Make, standin: StandIn) -> None:
    """However many ask for the first time together."""
    member = standin.add_account("shop")
    member.add_role("fleet")
    for number in range(8):
        member.add_user(f"bob-{number}")
    directory = make(ROLE).organization.directory(AwsAccount(member.account))
    with Pool(8) as pool:
        assert pool.map(directory.keys, [f"bob-{number}" for number in range(8)]) == [()] * 8
    assert actions(standin).count("AssumeRole") == 1


def test_the_role_is_assumed_by_name_and_external_id(make: Make, standin: StandIn) -> None:
    """The session is called rotate-my-key, so that CloudTrail says who it was."""
    member = standin.add_account("shop")
    arn = member.add_role("fleet", external_id="x-1")
    settings = FleetSettings(accounts=Accounts(role="fleet", external_id="x-1"))
    assert list(make(settings).organization.directory(AwsAccount(member.account)).users()) == []
    (call,) = [call for call in standin.calls if call.action == "AssumeRole"]
    assert (call.params["RoleArn"], call.params["RoleSessionName"]) == (arn, "rotate-my-key")
    assert call.params["ExternalId"] == "x-1"


def test_the_partition_is_the_callers(make: Make, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role in GovCloud has another ARN."""
    standin.settings.partition = "aws-us-gov"
    standin.add_user("gov")
    pair = standin.add_key("gov")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair.secret)
    member = standin.add_account("shop")
    arn = member.add_role("fleet")
    list(make(ROLE).organization.directory(AwsAccount(member.account)).users())
    assert [call.params["RoleArn"] for call in standin.calls if call.action == "AssumeRole"] == [arn]
    assert arn.startswith("arn:aws-us-gov:")


def test_a_session_is_renewed_before_it_ends(make: Make, standin: StandIn) -> None:
    """A run may last longer than the hour of a role: it is assumed again when less than five minutes are left."""
    arn = standin.add_account("shop").add_role("fleet")
    late = [timedelta(0)]
    role = Role(arn, "", own_calls(make()), lambda: datetime.now(UTC) + late[0])
    first = role.credentials()
    late[0] = timedelta(minutes=54)
    assert role.credentials() == first
    late[0] = timedelta(minutes=56)
    assert role.credentials() != first
    assert actions(standin) == ["AssumeRole"] * 2


def test_a_session_that_aws_ended_is_made_anew(make: Make, standin: StandIn) -> None:
    """Somebody may end sessions of a role; that costs one call."""
    member = standin.add_account("shop")
    member.add_role("fleet")
    directory = make(ROLE).organization.directory(AwsAccount(member.account))
    list(directory.users())
    member.end_sessions()
    list(directory.users())
    assert actions(standin)[-3:] == ["ListUsers", "AssumeRole", "ListUsers"]


def test_an_account_that_lets_nobody_in_says_so_and_holds_up_no_other(make: Make, standin: StandIn) -> None:
    """Its first verb raises; the others are looked at."""
    good, bad = standin.add_account("good"), standin.add_account("bad")
    for member in (good, bad):
        member.add_role("fleet")
    standin.break_account(bad.account, "denied")
    organization = make(ROLE).organization
    with pytest.raises(Denied) as caught:
        list(organization.directory(AwsAccount(bad.account)).users())
    assert caught.value.message == (
        f"the role arn:aws:iam::{bad.account}:role/fleet is not there, or may not be assumed by the caller"
    )
    assert "rotate-my-key fleet template --member-role" in caught.value.hint
    assert list(organization.directory(AwsAccount(good.account)).users()) == []


def test_another_account_without_a_role_is_refused(make: Make, standin: StandIn) -> None:
    """Before anything is sent there."""
    with pytest.raises(WrongUsage, match=r"111122223333 is not your own account .*, and no role is set"):
        make().organization.directory(AwsAccount("111122223333"))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Accounts(), ["own"]),
        (Accounts(role="fleet"), ["own", "shop", "lab"]),
        (Accounts(role="fleet", but=("222222222222",)), ["own", "shop"]),
        (Accounts(role="fleet", only=("222222222222", "111111111111")), ["lab", "shop"]),
        (Accounts(role="fleet", only=("222222222222", "111111111111"), but=("111111111111",)), ["lab"]),
    ],
    ids=["the caller's own", "the organization's", "without some", "those named", "those named, without some"],
)
def test_accounts_in_scope(make: Make, standin: StandIn, chosen: Accounts, expected: list[str]) -> None:
    """A closed account is none; where accounts are named, the organization is not asked."""
    numbers = {"shop": "111111111111", "lab": "222222222222", "own": standin.account}
    standin.add_account("shop", numbers["shop"])
    standin.add_account("lab", numbers["lab"])
    standin.add_account("closed", "333333333333", "SUSPENDED")
    found = scope(make(FleetSettings(accounts=chosen)))
    assert sorted(account.number for account in found) == sorted(numbers[name] for name in expected)
    assert ("ListAccounts" in actions(standin)) == bool(chosen.role and not chosen.only)


def test_without_an_organization(make: Make) -> None:
    """ListAccounts is denied, and the hint says how to go on."""
    with pytest.raises(Denied, match="in no organization") as caught:
        scope(make(ROLE))
    assert "only = " in caught.value.hint


# Patience


def test_throttling_is_waited_out(own: AccountDirectory, standin: StandIn, slept: list[float]) -> None:
    """For a minute; and the calls that follow keep their distance."""
    standin.fault("ListUsers", "throttle", times=6)
    assert {user.name for user in own.users()} == {"alice", "admin"}
    assert 4 < sum(slept) < 60
    before = len(slept)
    own.keys("alice")
    assert len(slept) == before + 1


def test_endless_throttling_ends_after_the_budget(make: Make, standin: StandIn, slept: list[float]) -> None:
    """The budget is handed in: a function of AWS Lambda has less time than a person."""
    standin.fault("ListUsers", "throttle", times=None)
    assembly = make(patience=20.0)
    directory = assembly.organization.directory(AwsAccount(assembly.organization.me().account))
    with pytest.raises(TryLater, match="AWS is throttling iam:ListUsers"):
        list(directory.users())
    assert 10 < sum(slept) < 40


@pytest.mark.parametrize("kind", ["500", "503", "reset", "drop", "cut", "html", "xhtml"])
def test_what_passes_by_itself_is_tried_again(own: AccountDirectory, standin: StandIn, kind: Any) -> None:
    """Whatever came in the place of AWS's answer; a page only with a server's error."""
    standin.fault("ListAccessKeys", kind, times=2, status=502)
    assert own.keys("alice") == ()


# Verbs


def test_lists_are_read_to_their_end(own: AccountDirectory, standin: StandIn) -> None:
    """AWS gives pages; a page may have few entries."""
    standin.settings.page_size = 2
    for number in range(5):
        standin.add_user(f"u{number}", groups=["dev"], tags={f"t{n}": str(n) for n in range(5)})
    assert len(list(own.users())) == 7
    assert len(own.tags("u0") or ()) == 5
    assert own.members("dev") == {f"u{number}" for number in range(5)}
    assert Counter(actions(standin)) == {"ListUsers": 4, "ListUserTags": 3, "GetGroup": 3}


def test_users_come_page_by_page(own: AccountDirectory, standin: StandIn) -> None:
    """Whoever needs the first needs not wait for the last."""
    standin.settings.page_size = 1
    next(iter(own.users()))
    assert actions(standin) == ["ListUsers"]


def test_the_report_is_asked_for_and_fetched(own: AccountDirectory, standin: StandIn) -> None:
    """Until it is ready, fetching it says to come later."""
    standin.settings.report_polls = 1
    with pytest.raises(TryLater, match="the credential report is not ready"):
        own.report()
    while not own.request_report():
        pass
    text, at = own.report()
    assert text.startswith("user,arn,")
    assert at.tzinfo is not None


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("find", ("nix",), "there is no user nix"),
        ("keys", ("nix",), "there is no user nix"),
        ("tags", ("nix",), "there is no user nix"),
        ("tag", ("nix", "a", "b"), "there is no user nix"),
        ("untag", ("nix", "a"), "there is no user nix"),
        ("create", ("nix",), "there is no user nix"),
        ("members", ("nix",), "there is no group nix"),
        ("set_active", ("alice", "AKIAIOSFODNN7EXAMPLE", False), "there is no such access key of alice"),
        ("delete", ("alice", "AKIAIOSFODNN7EXAMPLE"), "there is no such access key of alice"),
    ],
)
def test_what_is_not_there_is_named(own: AccountDirectory, verb: str, arguments: tuple[Any, ...], said: str) -> None:
    """A user who left between two calls is no fault of the run's."""
    with pytest.raises(Gone, match=f"^{said}$"):
        getattr(own, verb)(*arguments)


@pytest.mark.parametrize(
    ("verb", "arguments", "action", "policy"),
    [
        ("request_report", (), "GenerateCredentialReport", "fleet-report"),
        ("report", (), "GetCredentialReport", "fleet-report"),
        ("keys", ("alice",), "ListAccessKeys", "fleet-report"),
        ("members", ("dev",), "GetGroup", "fleet-report"),
        ("find", ("alice",), "GetUser", "fleet-reissue"),
        ("tag", ("alice", "a", "b"), "TagUser", "fleet-remind"),
        ("untag", ("alice", "a"), "UntagUser", "fleet-enforce"),
        ("set_active", ("alice", "AKIAIOSFODNN7EXAMPLE", False), "UpdateAccessKey", "fleet-enforce"),
        ("delete", ("alice", "AKIAIOSFODNN7EXAMPLE"), "DeleteAccessKey", "fleet-enforce"),
        ("create", ("alice",), "CreateAccessKey", "fleet-reissue"),
        ("delete_password", ("alice",), "DeleteLoginProfile", "fleet-revoke"),
        ("put_policy", ("alice", "x", "{}"), "PutUserPolicy", "fleet-revoke"),
    ],
)
def test_what_is_denied_names_the_action_and_the_policy(
    own: AccountDirectory, standin: StandIn, verb: str, arguments: tuple[Any, ...], action: str, policy: str
) -> None:
    """One line that IT can act on."""
    standin.deny(action)
    with pytest.raises(Denied) as caught:
        getattr(own, verb)(*arguments)
    assert caught.value.action == f"iam:{action}"
    assert caught.value.message == f"the environment or default profile is not allowed to call iam:{action}"
    assert caught.value.hint == f"allow it: rotate-my-key policy {policy}"


def test_what_is_denied_in_another_account_names_it(make: Make, standin: StandIn) -> None:
    """Of hundreds of accounts one lacks a right."""
    member = standin.add_account("shop")
    member.add_role("fleet")
    standin.deny("ListUsers", account=member.account)
    with pytest.raises(
        Denied, match=f"the role fleet is not allowed to call iam:ListUsers in account {member.account}"
    ):
        list(make(ROLE).organization.directory(AwsAccount(member.account)).users())


def test_a_user_with_fifty_tags_is_told(own: AccountDirectory, standin: StandIn) -> None:
    """IAM's LimitExceeded means another thing for each action."""
    standin.set_tags("alice", {f"t{number}": "x" for number in range(49)})
    with pytest.raises(NotAllowed, match="the user has 50 tags already") as caught:
        own.tag("alice", "one-more", "x")
    assert not isinstance(caught.value, NoRoom)


# Changing


@pytest.mark.parametrize("kind", ["drop", "reset", "cut", "500", "html"])
def test_a_key_whose_answer_was_lost_is_not_made_again(own: AccountDirectory, standin: StandIn, kind: Any) -> None:
    """It may be there or not: Unanswered, and the call went out once."""
    standin.fault("CreateAccessKey", kind, "after")
    with pytest.raises(Unanswered, match="a new key of alice may have been created or not"):
        own.create("alice")
    assert actions(standin) == ["CreateAccessKey"]
    assert len(standin.keys("alice")) == 1


# Who signs


def test_a_key_that_aws_does_not_accept(make: Make, standin: StandIn, admin: Credentials) -> None:
    """One line, naming whose credentials they are; no secret."""
    standin.delete_key(admin.key_id)
    with pytest.raises(Problem, match="AWS does not accept the credentials of the environment") as caught:
        make().organization.me()
    assert admin.secret not in str(caught.value)


def test_nothing_to_sign_with(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before anything is sent, and the metadata service is not asked."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(Problem, match="nothing to sign in with"):
        make().organization.me()


def test_a_key_that_stops_working_in_the_middle(own: AccountDirectory, standin: StandIn, admin: Credentials) -> None:
    """Read again once; the same key is then refused."""
    standin.set_status(admin.key_id, "Inactive")
    with pytest.raises((KeyRefused, NotAllowed), match="does not accept the credentials"):
        own.keys("alice")
    assert actions(standin) == ["ListAccessKeys"]


def test_an_endpoint_that_is_not_aws_is_told_once_and_first(make: Make, standin: StandIn) -> None:
    """Whoever answers there may be anybody."""
    told: list[tuple[str, int]] = []
    assembly = make(tell=lambda url: told.append((url, len(standin.calls))))
    assembly.organization.me()
    scope(assembly)
    assert told == [(standin.url, 0)]


def test_other_settings_keep_who_signs(make: Make, standin: StandIn) -> None:
    """Settings that are fetched from AWS themselves cost no second sign-in."""
    assembly = make()
    assembly.organization.me()
    assert assembly.configured(ROLE).organization.me() == assembly.organization.me()
    assert actions(standin) == ["GetCallerIdentity"]


def test_ages_are_told_by_awss_clock(make: Make, standin: StandIn) -> None:
    """A computer whose clock is wrong says when AWS thinks it is."""
    assembly = make()
    standin.settings.clock_offset = 300
    before = assembly.now()
    assembly.organization.me()
    assert assembly.now() - before > timedelta(seconds=290)
