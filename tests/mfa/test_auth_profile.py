"""--auth-profile: another profile signs the IAM calls, for the key's own user and no other."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk, Done
from tests.web import serve

PROMPT = "MFA code for "


def signers(desk: Desk) -> set[str]:
    """The ids that signed IAM calls."""
    return {call.key_id for call in desk.aws.calls if call.service == "iam"}


def users(desk: Desk) -> set[str | None]:
    """The users whom the IAM calls named; GetAccessKeyLastUsed has no such parameter."""
    calls = [c for c in desk.aws.calls if c.service == "iam" and c.action != "GetAccessKeyLastUsed"]
    return {call.params.get("UserName") for call in calls}


@pytest.fixture
def admin(desk: Desk) -> str:
    """A profile `admin` that assumes a role with a key of carol's; alice herself may do nothing in IAM."""
    desk.aws.add_user("carol")
    desk.profiles(carol=desk.aws.add_key("carol"))
    role = desk.aws.add_role("admin")
    desk.add(f"[profile admin]\nrole_arn = {role}\nsource_profile = carol\n", desk.config)
    desk.aws.deny("*", user="alice")
    return role


# Who signs what


def rotated(desk: Desk, old: Credentials, done: Done) -> None:
    """The key of alice's profiles is a new one, the only one, and nothing is left over."""
    assert done.code == 0, done.text
    assert list(desk.ids()) == [desk.held()] == [desk.held("work")]
    assert desk.held() != old.key_id
    assert not list((desk.state / "rotations").iterdir())


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param("admin", id="an assumed role, whose session signs all of IAM"),
        pytest.param("carol", id="an administrator's static key"),
        pytest.param("work", id="a profile that holds the very key, which signs to the end"),
    ],
)
def test_who_signs(desk: Desk, old: Credentials, admin: str, profile: str) -> None:
    """Who is not alice names alice; the pairs themselves sign their proofs."""
    if profile == "work":
        desk.aws.all_well()
    rotated(desk, old, desk.run("rotate", "--yes", "--auth-profile", profile))
    if profile == "admin":
        assert {signer[:4] for signer in signers(desk)} == {"ASIA"}
        assert users(desk) == {"alice"}
    proofs = [c.key_id for c in desk.aws.calls if c.action == "GetCallerIdentity" and c.key_id[:4] == "AKIA"]
    assert old.key_id in proofs
    assert proofs.count(desk.held()) >= 4


def test_the_question_says_who_signs(desk: Desk, admin: str, make_key: Callable[..., Credentials]) -> None:
    """Before anything is done; and that a young key was switched off: its age is no matter, it does not work."""
    young = make_key("bob", days=1)
    desk.profiles(bob=young)
    desk.aws.set_status(young.key_id, "Inactive")
    run = desk.terminal("rotate", "-p", "bob", "--auth-profile", "admin")
    run.until("IAM calls are signed with profile admin.")
    run.answer("Rotate it? It takes about 10 seconds. [Y/n]", "y\r")
    done = run.end()
    assert done.code == 0, done.text
    assert "IAM calls are signed with profile admin." in done.lines and ", inactive; " in done.text
    assert list(desk.ids("bob")) == [desk.held("bob")] != [young.key_id]


def test_the_setting(desk: Desk, old: Credentials, admin: str) -> None:
    """auth_profile in config.ini; an empty option takes it away for once."""
    desk.settings("auth_profile = admin\n")
    assert desk.run("rotate", "--yes", "--auth-profile", "").code == 5
    rotated(desk, old, desk.run("rotate", "--yes"))


def test_a_process(desk: Desk, old: Credentials, admin: str, tmp_path: Path) -> None:
    """credential_process is run by botocore; so `aws login` serves too."""
    pair = desk.aws.role_session(admin)
    answer = {
        "Version": 1,
        "AccessKeyId": pair.key_id,
        "SecretAccessKey": pair.secret,
        "SessionToken": pair.token,
        "Expiration": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    (tmp_path / "answer").write_text(json.dumps(answer))
    desk.add(f"[profile tool]\ncredential_process = cat {tmp_path}/answer\n", desk.config)
    rotated(desk, old, desk.run("rotate", "--yes", "--auth-profile", "tool"))
    assert signers(desk) == {pair.key_id}


def test_the_signer_is_rotated_beside(desk: Desk, admin: str) -> None:
    """With --all the auth profile's own old key goes too: its new one signs the rest."""
    desk.aws.delete_key(desk.held("carol"))
    due = desk.aws.add_key("carol", timedelta(days=98))
    desk.credentials.write_text(re.sub(r"\[carol\][^\[]*", "", desk.credentials.read_text()))
    desk.profiles(carol=due)
    desk.aws.settings.latency = 0.05
    done = desk.run("rotate", "--all", "--yes", "--auth-profile", "carol")
    assert done.code == 0, done.text
    assert list(desk.ids("carol")) == [desk.held("carol")] != [due.key_id]
    assert list(desk.ids()) == [desk.held()]


def test_a_role_that_wants_mfa(desk: Desk, old: Credentials, admin: str) -> None:
    """The code of its device is asked for as any other, once."""
    desk.aws._front.world.roles[admin].demands_mfa = True
    device = desk.aws.add_mfa("carol")
    desk.add(f"mfa_serial = {device.serial}\n", desk.config)
    assert "--mfa-code CODE" in desk.run("rotate", "--yes", "--auth-profile", "admin").problem()[1]
    run = desk.terminal("rotate", "--yes", "--auth-profile", "admin")
    run.answer(f"{PROMPT}profile admin, device {device.serial}: ", f"{device.code}\r")
    assert run.end().code == 0
    done = desk.run("rotate", "--yes", "--force", "--auth-profile", "admin", "--mfa-code", device.tick())
    assert done.code == 0, done.text


@pytest.mark.slow
def test_status_and_delete_key(desk: Desk, admin: str) -> None:
    """Every command that calls IAM has the option."""
    other = desk.aws.add_key("alice")
    row = desk.run("status", "--json", "-p", "work", "--auth-profile", "admin").json["keys"][0]
    assert (row["user"], row["verdict"]) == ("alice", "overdue")
    assert desk.run("delete-key", other.key_id, "--yes", "--auth-profile", "admin").code == 0
    assert desk.ids()[other.key_id] == "Inactive"


# A key that does not work any more


def test_a_dead_key_with_a_secret_that_is_not_its_own(desk: Desk, old: Credentials, admin: str) -> None:
    """The id tells whose it is; the profile gets a pair that works."""
    desk.credentials.write_text(desk.credentials.read_text().replace(old.secret, "x" * 40))
    rotated(desk, old, desk.run("rotate", "--yes", "--auth-profile", "admin"))


@pytest.mark.slow
def test_killed_and_resumed_with_a_dead_key(desk: Desk, old: Credentials, admin: str) -> None:
    """The network goes away after the new key was made: the next run goes on from there."""
    desk.aws.set_status(old.key_id, "Inactive")
    desk.aws.fault("DeleteAccessKey", "503", times=None)
    first = desk.run("rotate", "--yes", "--auth-profile", "admin")
    assert first.code == 75, first.text
    assert desk.ids()[desk.held()] == "Active"
    desk.aws.all_well()
    rotated(desk, old, desk.run("rotate", "--yes", "--auth-profile", "admin"))


def test_a_dead_key_beside_one_that_works(desk: Desk, old: Credentials, admin: str) -> None:
    """Where places here hold both, the one that works stays, whatever its age."""
    desk.profiles(other=desk.aws.add_key("alice", timedelta(days=200)))
    desk.aws.set_status(old.key_id, "Inactive")
    done = desk.run("rotate", "--yes", "-p", "work", "--auth-profile", "admin")
    assert done.code == 0, done.text
    assert list(desk.ids()) == [desk.held("other")] == [desk.held("work")] == [desk.held()]


# What is refused


def test_another_account(desk: Desk, admin: str) -> None:
    """The profile's account is compared with the key's; nothing is changed."""
    elsewhere = desk.aws.add_account("elsewhere")
    elsewhere.add_user("carol")
    desk.profiles(stranger=elsewhere.add_key("carol"))
    done = desk.run("rotate", "--yes", "--auth-profile", "stranger")
    assert done.code == 1, done.text
    said, _ = done.problem()
    assert re.search(rf"stranger signs in to account {elsewhere.account}.*alice's in account {desk.aws.account}", said)
    assert desk.changes == []


def nothing(desk: Desk) -> None:
    """All is as it was."""


def dead_key(desk: Desk) -> None:
    """Carol's key is switched off."""
    desk.aws.set_status(desk.aws.keys("carol")[0].key_id, "Inactive")


def no_rights(desk: Desk) -> None:
    """Carol may do nothing either."""
    desk.aws.deny("*", user="carol")


def off(*denied: str) -> Callable[[Desk], None]:
    """Alice's key is switched off, and nobody may call these actions."""

    def prepare(desk: Desk) -> None:
        desk.aws.set_status(desk.held(), "Inactive")
        for action in denied:
            desk.aws.deny(action)

    return prepare


def both_off(desk: Desk) -> None:
    """Two profiles, two keys of alice's, none works."""
    desk.profiles(other=desk.aws.add_key("alice", status="Inactive"))
    off()(desk)


def gone(desk: Desk) -> None:
    """Nobody can tell whose it was."""
    desk.aws.delete_key(desk.held())


# Profiles that only name a region (the metadata service is not asked), a program that fails, a role that carol may not
# assume, and `aws login`, which needs more of botocore than is installed.
PROFILES = """[profile bare]
region = eu-west-1
[profile tool]
credential_process = false
[profile boss]
role_arn = arn:aws:iam::123456789012:role/boss
source_profile = carol
[profile signed]
login_session = arn:aws:iam::{account}:user/carol
"""
REFUSED: list[Any] = [
    pytest.param(
        "nobody", nothing, 1, "no profile nobody to sign with", "aws configure list-profiles", id="no profile"
    ),
    pytest.param("bare", nothing, 1, "profile bare has nothing to sign in with", "aws configure sso", id="empty"),
    pytest.param("tool", nothing, 1, "credential_process of profile tool", "get-caller-identity", id="process fails"),
    pytest.param("boss", nothing, 5, "cannot sign in: AWS answers AccessDenied to AssumeRole", "boss", id="no role"),
    pytest.param("carol", dead_key, 5, "not accept the credentials of profile carol", "--profile carol", id="dead key"),
    pytest.param("carol", no_rights, 5, "profile carol: you are not allowed to call iam:List", "alice", id="no rights"),
    pytest.param("admin", off("GetUser"), 4, "its owner is not certain", "more rights", id="off, no GetUser"),
    pytest.param("admin", off("GetAccessKeyLastUsed"), 4, "owner is not certain", "more rights", id="off, no last use"),
    pytest.param("admin", both_off, 5, "both keys of alice are inactive", "reactivate", id="both off"),
    pytest.param("admin", gone, 5, "no user with such a key", "my-key adopt --auth-profile admin", id="deleted"),
    pytest.param("signed", nothing, 1, "`aws login`", "export-credentials --profile signed", id="aws login"),
]


@pytest.mark.parametrize(("name", "prepare", "code", "message", "hint"), REFUSED)
def test_what_is_refused(
    desk: Desk, admin: str, name: str, prepare: Callable[[Desk], None], code: int, message: str, hint: str
) -> None:
    """One line with the profile's name and the next command; nothing is changed."""
    desk.add(PROFILES.format(account=desk.aws.account), desk.config)
    prepare(desk)
    named = [] if prepare is gone else ["-p", "work"]  # where none is named, the hint names none
    done = desk.run("rotate", "--yes", *named, "--auth-profile", name)
    said, then = done.problem()
    assert done.code == code, done.text
    assert message in said
    assert hint in then
    assert desk.changes == []


# SSO


@pytest.fixture
def portal(desk: Desk, admin: str) -> Iterator[str]:
    """IAM Identity Center: gives credentials of the role for the token "good", as `aws sso login` keeps it."""

    def answer(path: str) -> tuple[int, bytes]:
        if web.asked[-1].headers.get("x-amz-sso_bearer_token") != "good":
            return 401, json.dumps({"__type": "UnauthorizedException", "message": "Session token not found"}).encode()
        pair, expires = desk.aws.role_session(admin), datetime.now(UTC) + timedelta(hours=1)
        given: dict[str, Any] = {"accessKeyId": pair.key_id, "secretAccessKey": pair.secret}
        given |= {"sessionToken": pair.token, "expiration": int(expires.timestamp() * 1000)}
        return 200, json.dumps({"roleCredentials": given}).encode()

    with serve(answer) as web:
        desk.env["AWS_ENDPOINT_URL_SSO"] = f"http://127.0.0.1:{web.port}"
        yield "https://example.awsapps.com/start"


def sign_in(desk: Desk, url: str, *, known: bool = True, hours: int = 8, session: str = "") -> None:
    """A profile `sso`, and what `aws sso login` leaves."""
    where = f"sso_start_url = {url}\nsso_region = eu-west-1\n"
    what = f"sso_account_id = {desk.aws.account}\nsso_role_name = admin\nregion = eu-west-1\n"
    if session:
        desk.add(f"[sso-session {session}]\n{where}[profile sso]\nsso_session = {session}\n{what}", desk.config)
    else:
        desk.add(f"[profile sso]\n{where}{what}", desk.config)
    desk.env["PYTHONUNBUFFERED"] = "1"  # has it start cold: botocore asks where this cache is as it is imported
    cache = desk.home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    until = (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    kept = {"startUrl": url, "region": "eu-west-1", "accessToken": "good" if known else "bad", "expiresAt": until}
    (cache / f"{hashlib.sha1((session or url).encode(), usedforsecurity=False).hexdigest()}.json").write_text(
        json.dumps(kept)
    )


@pytest.mark.parametrize("session", ["", "corp"], ids=["old style", "sso-session"])
def test_sso(desk: Desk, old: Credentials, portal: str, session: str) -> None:
    """The token that `aws sso login` keeps in ~/.aws/sso/cache is all that is needed. The role's credentials stay in
    memory: no secret is left or shown."""
    sign_in(desk, portal, session=session)
    done = desk.process("-vv", "rotate", "--yes", "--auth-profile", "sso")
    rotated(desk, old, done)
    assert {signer[:4] for signer in signers(desk)} == {"ASIA"}
    everything = done.text.encode() + b"".join(data for data, _ in desk.snapshot().values())
    for kept in desk.aws._front.world.sessions.values():
        assert kept.pair.secret.encode() not in everything


@pytest.mark.parametrize("how", ["ended", "revoked", "never"])
def test_sso_has_ended(desk: Desk, portal: str, how: str) -> None:
    """One line, exit 4; the hint signs in again."""
    sign_in(desk, portal, known=how != "revoked", hours=-1 if how == "ended" else 8)
    if how == "never":
        for file in (desk.home / ".aws" / "sso" / "cache").iterdir():
            file.unlink()
    done = desk.process("rotate", "--yes", "--auth-profile", "sso")
    assert done.code == 4, done.text
    assert done.problem() == ("the SSO sign-in of profile sso has ended", "aws sso login --profile sso")
