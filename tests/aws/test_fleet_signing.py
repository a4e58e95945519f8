"""Who signs a fleet run: profiles as botocore reads them, the environment, an MFA session."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.aws.signin import MfaSessions
from rotate_my_key.core.errors import Denied, NeedsPerson, Problem
from rotate_my_key.core.hints import Again, Call
from rotate_my_key.core.model import Credentials
from rotate_my_key.fleet.assembly import Assembly, FleetSigner
from rotate_my_key.fleet.model import AwsAccount
from rotate_my_key.settings.fleet import Accounts, FleetSettings
from tests.standin import StandIn

Make = Callable[..., Assembly]


class Device:
    """`aws.mfa.Codes` of somebody with a device at hand; `given`: the code came with the command."""

    def __init__(self, codes: list[str], *, given: bool = False) -> None:
        self._codes = codes
        self.given = given
        self.asked = 0

    def code(self, whose: str, serial: str, complaint: str) -> str:
        """See the port."""
        self.asked += 1
        self.given = False
        return self._codes.pop(0)

    def choose(self, user: str, serials: Any) -> str:
        """See the port."""
        raise AssertionError("there is one device")


@pytest.fixture
def admin(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> Credentials:
    """An admin's key, in the profile `admin`; every call goes to the stand-in."""
    standin.add_user("admin")
    pair = standin.add_key("admin")
    write("AWS_SHARED_CREDENTIALS_FILE", f"[admin]\n{lines(pair)}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", standin.url)
    return pair


def lines(pair: Credentials) -> str:
    """A pair as a profile has it."""
    return f"aws_access_key_id = {pair.key_id}\naws_secret_access_key = {pair.secret}\n"


def write(variable: str, text: str) -> None:
    """Write one of the profile files."""
    Path(os.environ[variable]).write_text(text)


@pytest.fixture
def make(make_aws: Any, admin: Credentials) -> Make:
    """Make the adapters of a run: `make(signer)`."""
    return lambda signer, settings=None: Assembly(make_aws(), signer, settings or FleetSettings())


def me(assembly: Assembly) -> str:
    """Who signs."""
    return assembly.organization.me().arn.split(":")[-1]


def users(assembly: Assembly) -> list[str]:
    """The users of the caller's own account."""
    organization = assembly.organization
    return sorted(user.name for user in organization.directory(AwsAccount(organization.me().account)).users())


def signers(standin: StandIn) -> set[str]:
    """The kinds of keys that signed IAM's calls: AKIA (a user's own) or ASIA (a session's)."""
    return {call.key_id[:4] for call in standin.calls if call.service == "iam"}


# Profiles


@pytest.mark.parametrize("profile", ["admin", None], ids=["its region too", "another's region"])
def test_a_profile_that_was_named_signs(make: Make, monkeypatch: pytest.MonkeyPatch, profile: str | None) -> None:
    """Whatever the environment has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nobody's")
    assert me(make(FleetSigner(profile=profile, auth="admin"))) == "user/admin"


def test_the_environments_profile_signs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does for botocore."""
    monkeypatch.setenv("AWS_PROFILE", "admin")
    assert me(make(FleetSigner())) == "user/admin"


def test_the_environments_credentials_sign(make: Make, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a Lambda function's role are there, with a token."""
    session = standin.role_session(standin.add_role("lambda"))
    for name, value in (
        ("AWS_ACCESS_KEY_ID", session.key_id),
        ("AWS_SECRET_ACCESS_KEY", session.secret),
        ("AWS_SESSION_TOKEN", session.token or ""),
    ):
        monkeypatch.setenv(name, value)
    assert me(make(FleetSigner())).startswith("assumed-role/lambda/")
    assert users(make(FleetSigner())) == ["admin", "alice"]


def test_a_profile_with_a_role_signs(make: Make, standin: StandIn) -> None:
    """botocore assumes it; its session may assume the roles in other accounts."""
    arn = standin.add_role("boss")
    write("AWS_CONFIG_FILE", f"[profile boss]\nrole_arn = {arn}\nsource_profile = admin\nregion = eu-west-1\n")
    member = standin.add_account("shop")
    member.add_role("fleet")
    assembly = make(FleetSigner(profile="boss", auth="boss"), FleetSettings(accounts=Accounts(role="fleet")))
    assert me(assembly).startswith("assumed-role/boss/")
    assert list(assembly.organization.directory(AwsAccount(member.account)).users()) == []


def test_a_process_signs(make: Make, admin: Credentials, tmp_path: Path) -> None:
    """Such as `rotate-my-key credentials`, where the pair is in the keyring."""
    told = f'{{"Version": 1, "AccessKeyId": "{admin.key_id}", "SecretAccessKey": "{admin.secret}"}}'
    (tmp_path / "told.json").write_text(told)
    write("AWS_CONFIG_FILE", f"[profile kept]\ncredential_process = cat {tmp_path / 'told.json'}\n")
    assert me(make(FleetSigner(profile="kept", auth="kept"))) == "user/admin"


def test_a_containers_role_signs(make: Make, standin: StandIn, odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment says where it is to be had, as in CodeBuild and ECS."""
    session = standin.role_session(standin.add_role("build"))
    told = {"AccessKeyId": session.key_id, "SecretAccessKey": session.secret, "Token": session.token}
    body = json.dumps(told | {"Expiration": (datetime.now(UTC) + timedelta(hours=1)).isoformat()})
    odd.replies = [f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()]
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{odd.url}/role")
    write("AWS_CONFIG_FILE", "[profile alone]\nregion = eu-west-1\n")
    assert me(make(FleetSigner())).startswith("assumed-role/build/")
    with pytest.raises(Problem, match="nothing to sign in with"):  # a profile that was named must answer for itself
        make(FleetSigner(auth="alone")).organization.me()


@pytest.mark.parametrize(
    ("signer", "said", "hint"),
    [
        (FleetSigner(profile="nix", auth="nix"), "there is no profile nix|no such profile: nix", ""),
        (FleetSigner(auth="nix"), "there is no profile nix to sign with", "aws configure list-profiles"),
        (FleetSigner(auth="empty"), "profile empty has nothing to sign in with", "aws configure sso --profile empty"),
        (FleetSigner(), "the environment or default profile has nothing to sign in with", "aws configure sso"),
    ],
)
def test_nobody_to_sign(make: Make, signer: FleetSigner, said: str, hint: str) -> None:
    """Refused before anything is sent; the metadata service is not asked."""
    write("AWS_CONFIG_FILE", "[profile empty]\nregion = eu-west-1\n")
    with pytest.raises(Problem, match=said) as caught:
        make(signer).organization.me()
    assert caught.value.hint == hint or not hint


# MFA


@pytest.fixture
def device(standin: StandIn, admin: Credentials) -> Any:
    """The admin's device; his policy demands MFA for all of IAM."""
    standin.demand_mfa("admin")
    return standin.add_mfa("admin")


def signer(codes: Device) -> FleetSigner:
    """The profile admin, whose owner has a device."""
    return FleetSigner(profile="admin", auth="admin", sessions=MfaSessions(codes, 43200))


def test_a_policy_that_demands_mfa_is_met_with_one_session(make: Make, standin: StandIn, device: Any) -> None:
    """It is asked for after the first no, and carries the run: other accounts too."""
    member = standin.add_account("shop")
    member.add_role("fleet")
    codes = Device([device.code])
    assembly = make(signer(codes), FleetSettings(accounts=Accounts(role="fleet")))
    assert users(assembly) == ["admin", "alice"]
    assert list(assembly.organization.directory(AwsAccount(member.account)).users()) == []
    assert codes.asked == 1
    assert [call.params["DurationSeconds"] for call in standin.calls if call.action == "GetSessionToken"] == ["43200"]


def test_a_code_that_came_with_the_command_is_used_at_once(make: Make, standin: StandIn, device: Any) -> None:
    """A code is good for half a minute, and a no is not waited for."""
    assert users(make(signer(Device([device.code], given=True)))) == ["admin", "alice"]
    assert signers(standin) == {"AKIA", "ASIA"}  # ListMFADevices
    assert all(call.outcome == "OK" for call in standin.calls)


def test_a_role_that_demands_mfa_is_assumed_with_the_session(make: Make, standin: StandIn) -> None:
    """Nothing else demands it, so the code has to come with the command."""
    device = standin.add_mfa("admin")
    member = standin.add_account("shop")
    member.add_role("fleet", mfa=True)
    settings = FleetSettings(accounts=Accounts(role="fleet"))
    assembly = make(signer(Device([device.code], given=True)), settings)
    assert list(assembly.organization.directory(AwsAccount(member.account)).users()) == []


def test_a_no_even_with_mfa_is_final(make: Make, standin: StandIn, device: Any) -> None:
    """One code is asked for, not one for each call."""
    standin.deny("ListUsers", explicit=True)
    codes = Device([device.code, "000000"])
    with pytest.raises(Denied, match="even with MFA"):
        users(make(signer(codes)))
    assert codes.asked == 1


def test_nobody_is_asked_where_nobody_is(make: Make, device: Any) -> None:
    """Lambda has no device; the denial itself is told."""
    with pytest.raises(Denied, match="a policy forbids iam:ListUsers"):
        users(make(FleetSigner(profile="admin", auth="admin")))


def test_a_denial_that_mfa_would_not_help_asks_nobody(make: Make, standin: StandIn) -> None:
    """An action that is just not allowed."""
    standin.add_mfa("admin")
    standin.deny("ListUsers")
    codes = Device([])
    with pytest.raises(Denied, match="not allowed to call iam:ListUsers"):
        users(make(signer(codes)))
    assert codes.asked == 0


def test_an_mfa_session_that_has_ended_is_asked_for_once_more(make: Make, standin: StandIn, device: Any) -> None:
    """With a new code; a third time a person must look."""
    codes = Device([device.code])
    assembly = make(signer(codes))
    users(assembly)
    standin.end_sessions()
    device.tick()
    codes._codes.append(device.code)
    assert users(assembly) == ["admin", "alice"]
    standin.end_sessions()
    with pytest.raises(NeedsPerson, match="refused two MFA sessions"):
        users(assembly)


def test_a_code_without_a_device(make: Make, admin: Credentials) -> None:
    """Nothing was denied yet, and the hint names the command that was typed."""
    sessions = MfaSessions(Device([], given=True), 43200)
    with pytest.raises(NeedsPerson, match=r"^a code was given, and admin has no MFA device$") as caught:
        users(make(FleetSigner(profile="admin", auth="admin", sessions=sessions)))
    hint = caught.value.hint
    assert isinstance(hint, Again)
    assert hint.within(Call(("fleet", "report"))).endswith(": rotate-my-key fleet report --auth-profile NAME")
