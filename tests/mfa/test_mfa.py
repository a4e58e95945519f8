"""MFA: asked for only when AWS wants it, once, and each way in which it cannot be had says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk
from tests.standin import Call
from tests.standin.sessions import Device

QUESTION = "Rotate it? It takes about 10 seconds. [Y/n]"
PROMPT = "MFA code for alice's device "


def sessions(desk: Desk) -> int:
    """How many MFA sessions were asked for."""
    return sum(call.action == "GetSessionToken" for call in desk.aws.calls)


def signers(desk: Desk, *actions: str) -> set[str]:
    """The kinds of keys (AKIA, ASIA) that signed the successful calls of these actions."""
    return {call.key_id[:4] for call in desk.aws.calls if call.action in actions and call.outcome == "OK"}


# When a code is asked for


def test_one_code_carries_the_whole_rotation(desk: Desk, old: Credentials, device: Device) -> None:
    """Asked for once, before the question, after AWS has said no to the key itself; the session looks, creates,
    switches off, deletes; proofs need none."""
    run = desk.terminal()
    run.answer(f"{PROMPT}{device.serial}: ", f"{device.code}\r")
    run.answer(QUESTION, "y\r")
    done = run.end()
    assert done.code == 0, done.text
    assert desk.held() != old.key_id
    assert list(desk.ids()) == [desk.held()]
    assert sessions(desk) == 1
    assert signers(desk, "ListAccessKeys", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey") == {"ASIA"}
    assert signers(desk, "GetCallerIdentity") == {"AKIA"}
    outcomes = [(call.action, call.outcome) for call in desk.aws.calls]
    assert outcomes.index(("ListAccessKeys", "AccessDenied")) < outcomes.index(("GetSessionToken", "OK"))


@pytest.mark.parametrize("asked", [{}, {"ROTATE_MY_KEY_MFA_SERIAL": "arn:aws:iam::1:mfa/x"}], ids=["no MFA", "set"])
def test_no_code_is_asked_for_where_none_is_needed(desk: Desk, asked: dict[str, str]) -> None:
    """The plain call comes first; a device that is set, and a code that is given, change nothing."""
    desk.aws.add_mfa("alice")
    done = desk.run("rotate", "--yes", "--mfa-code", "123456", **asked)
    assert done.code == 0, done.text
    assert sessions(desk) == 0


def test_only_creating_wants_mfa(desk: Desk, old: Credentials) -> None:
    """Where only changes are denied, the code is asked for when the first of them is denied; where nobody is there,
    nothing is begun: exit 4, and no rotation is left unfinished."""
    desk.aws.demand_mfa(but=("ListMFADevices", "ListAccessKeys", "GetUser", "GetAccessKeyLastUsed"))
    device = desk.aws.add_mfa("alice")
    before = desk.credentials.read_bytes()
    alone = desk.run("rotate", "--yes")
    assert alone.code == 4
    assert "--mfa-code CODE" in alone.problem()[1]
    assert (list(desk.ids()), desk.credentials.read_bytes()) == ([old.key_id], before)
    assert not list((desk.state / "rotations").iterdir())
    run = desk.terminal()
    run.answer(QUESTION, "y\r")
    run.answer(PROMPT, f"{device.code}\r")
    done = run.end()
    assert done.code == 0, done.text
    assert list(desk.ids()) == [desk.held()] != [old.key_id]
    assert sessions(desk) == 1


@pytest.mark.parametrize(
    ("denied", "how", "demanded", "message"),
    [
        pytest.param("ListAccessKeys", {}, 0, "not allowed to call iam:ListAccessKeys", id="no policy allows it"),
        pytest.param("CreateAccessKey", {"quarantine": True}, 0, "leaked", id="AWS's quarantine is an explicit deny"),
        pytest.param("ListAccessKeys", {"explicit": True}, 1, "even with MFA", id="a code is not what is lacking"),
    ],
)
def test_what_no_code_gives(desk: Desk, denied: str, how: dict[str, bool], demanded: int, message: str) -> None:
    """It is IT's matter, exit 5, also for somebody who has a device: nobody is asked, or asked again. In quarantine
    even a code that is given stays unused."""
    device = desk.aws.add_mfa("alice")
    if demanded:
        desk.aws.demand_mfa()
    desk.aws.deny(denied, **how)
    done = desk.run("rotate", "--yes", *(["--mfa-code", device.code] if how else []))
    assert (done.code, message in done.problem()[0]) == (5, True), done.text
    assert sessions(desk) == demanded


def test_an_allow_that_wants_mfa(desk: Desk, device: Device) -> None:
    """Where an Allow has the condition there is no Deny to see: a device set in the profile, or a code, tells."""
    desk.aws.all_well()
    desk.aws.demand_mfa(explicit=False)
    assert desk.run("rotate", "--yes").code == 5
    desk.add(f"[default]\nmfa_serial = {device.serial}\n", desk.config)
    assert "--mfa-code" in desk.run("rotate", "--yes").problem()[1]
    assert desk.run("rotate", "--yes", "--mfa-code", device.code).code == 0


# Which device


NOT_LISTED: dict[str, tuple[str, str]] = {  # in the config file, in the settings
    "of the profile": ("[default]\nmfa_serial = {serial}\n", ""),
    "of a role that the key assumes, where it most often is": (
        "[profile admin]\nrole_arn = arn:aws:iam::{account}:role/admin\nsource_profile = default\n"
        "mfa_serial = {serial}\n",
        "",
    ),
    "of the setting: a hardware token has no ARN, only a number": ("", "mfa_serial = {serial}\n"),
}


@pytest.mark.parametrize("where", NOT_LISTED)
def test_a_device_that_is_named_needs_no_list(desk: Desk, where: str) -> None:
    """It is taken as it is."""
    desk.aws.demand_mfa(but=())
    device = desk.aws.add_mfa("alice", *(["GAHT12345678"] if "token" in where else []))
    config, settings = (text.format(account=desk.aws.account, serial=device.serial) for text in NOT_LISTED[where])
    desk.add(config, desk.config)
    desk.settings(settings)
    assert desk.run("rotate", "--yes", "--mfa-code", device.code).code == 0
    assert "ListMFADevices" not in [call.action for call in desk.aws.calls]


def test_a_setting_for_another_account_is_passed_over(desk: Desk, device: Device) -> None:
    """The setting is for all profiles, and each user has devices in his own account only."""
    desk.settings("mfa_serial = arn:aws:iam::999999999999:mfa/alice\n")
    assert desk.run("rotate", "--yes", "--mfa-code", device.code).code == 0


def test_of_several_devices_one_is_chosen(desk: Desk, device: Device) -> None:
    """At the terminal by its number; security keys are no choice, as they show no codes."""
    desk.aws.add_mfa("alice", shows_codes=False)
    second = desk.aws.add_mfa("alice")
    run = desk.terminal("rotate", "--yes")
    run.answer("Which one do you want to use? [1-2]", "2\r")
    run.answer(f"{PROMPT}{second.serial}: ", f"{second.code}\r")
    assert run.end().code == 0


# What cannot be: each says what to do, exit 4


def demanding(desk: Desk, *, apps: int = 0, keys: int = 0, serial: str = "", setting: str = "", **demand: Any) -> None:
    """MFA is demanded, and alice has so many apps and security keys; what profile or settings say is her device."""
    desk.aws.demand_mfa(**demand)
    made = [desk.aws.add_mfa("alice", shows_codes=shows) for shows in [True] * apps + [False] * keys]
    if serial:
        named = serial.format(account=desk.aws.account, last=made[-1].serial if made else "")
        desk.add(f"[default]\nmfa_serial = {named}\n", desk.config)
    if setting:
        desk.settings(f"mfa_serial = {setting}\n")


KEY_SET = {"keys": 1, "serial": "{last}"}
NOT_TOLD: dict[str, Any] = {"apps": 1, "but": ()}
PHONE = {"setting": "my phone"}
ALISE = {"serial": "arn:aws:iam::{account}:mfa/alise"}
CANNOT: list[Any] = [
    pytest.param({}, "", r"no MFA device", r"register one .* --auth-profile NAME", id="no device"),
    pytest.param({"keys": 1}, "", r"security key or passkey", r"--auth-profile NAME", id="a security key"),
    pytest.param(KEY_SET, "", r"security key or passkey", r"--auth-profile NAME", id="a security key, set"),
    pytest.param({"apps": 2}, "123456", r"alice has 2 MFA devices", r"config set mfa_serial arn:\S+$", id="several"),
    pytest.param(NOT_TOLD, "", r"the MFA devices", r"config set mfa_serial arn:aws:iam::\d+:mfa/alice", id="not told"),
    pytest.param({"apps": 1}, "", r"asks for an MFA code of alice", r"rotate --yes --mfa-code CODE$", id="no terminal"),
    pytest.param({"apps": 1}, "000000", r"wrong, or was used", r"30 s\), then: .* --mfa-code CODE$", id="wrong code"),
    pytest.param(ALISE, "123456", r"alise \(mfa_serial of profile default", r"set mfa_serial", id="misspelt"),
    pytest.param(PHONE, "123456", r"'my phone' .* is not an MFA device", r"arn:aws:iam", id="not a device"),
]  # fmt: skip


@pytest.mark.parametrize(("prepare", "code", "message", "hint"), CANNOT)
def test_what_cannot_be(
    desk: Desk, old: Credentials, prepare: dict[str, Any], code: str, message: str, hint: str
) -> None:
    """Exit 4, one line and a hint, and nothing is changed."""
    demanding(desk, **prepare)
    before = desk.credentials.read_bytes()
    done = desk.run("rotate", "--yes", *(["--mfa-code", code] if code else []))
    assert done.code == 4, done.text
    said, then = done.problem()
    assert re.search(message, said), said
    assert re.search(hint, then), then
    assert desk.changes == []
    assert desk.credentials.read_bytes() == before


def test_a_code_is_six_digits(desk: Desk) -> None:
    """A wrong word is a wrong word (exit 2); blanks within are fine."""
    assert desk.run("rotate", "--mfa-code", "12345").code == 2
    device = desk.aws.add_mfa("alice")
    desk.aws.demand_mfa()
    assert desk.run("rotate", "--yes", "--mfa-code", f"{device.code[:3]} {device.code[3:]}").code == 0


# Codes are good for one use


def test_wrong_and_used_codes_at_the_terminal(desk: Desk, device: Device) -> None:
    """What is no code is not sent; a wrong one is said, and the next is waited for; three of them end it."""
    used = device.code
    assert desk.run("status", "--mfa-code", used).code == 0
    run = desk.terminal("rotate", "--yes")
    run.answer(PROMPT, "12ab56\r")
    run.answer("an MFA code has six digits", "")
    run.answer(PROMPT, f"{used}\r")
    run.until("it is wrong, or was used already; wait for the device's next code")
    run.answer(PROMPT, f"{used}\r")
    run.until("that code has already been used")
    run.answer(PROMPT, f"{device.tick()}\r")
    assert run.end().code == 0
    assert [c.outcome for c in desk.aws.calls if c.action == "GetSessionToken"] == ["OK", "AccessDenied", "OK"]


STOPPED = {
    "three wrong codes": (["000000\r", "000001\r", "000002\r"], 4, "did not accept 3 codes"),
    "Ctrl-C": (["\x03"], 130, ""),
    "Ctrl-D": (["\x04"], 130, ""),
}


@pytest.mark.parametrize("how", STOPPED)
def test_stopped_at_the_question(desk: Desk, old: Credentials, device: Device, how: str) -> None:
    """Nothing was begun."""
    typed, code, said = STOPPED[how]
    run = desk.terminal("rotate", "--yes")
    for keys in typed:
        run.answer(PROMPT, keys)
    done = run.end()
    assert (done.code, said in done.text) == (code, True), done.text
    assert desk.changes == []


def test_several_users_each_have_a_code(desk: Desk, device: Device, make_key: Callable[..., Credentials]) -> None:
    """With --all one code a device; a user's second profile needs none."""
    desk.profiles(bob=make_key("bob"))
    phones = {"alice": device, "bob": desk.aws.add_mfa("bob")}
    run = desk.terminal("rotate", "--all", "--yes")
    for _ in phones:
        run.until("MFA code for ")
        name = run.word()
        run.type(f"{phones[name].code}\r")
    done = run.end()
    assert done.code == 0, done.text
    assert sessions(desk) == 2


def test_one_code_for_several_users(desk: Desk, device: Device, make_key: Callable[..., Credentials]) -> None:
    """--mfa-code is used once; the other user's key says how to go on, and one failure does not stop the other."""
    desk.profiles(bob=make_key("bob"))
    desk.aws.all_well()
    desk.aws.demand_mfa("bob")
    phone = desk.aws.add_mfa("bob")
    done = desk.run("rotate", "--all", "--yes", "--mfa-code", phone.code)
    assert done.code == 0, done.text
    desk.aws.demand_mfa()
    done = desk.run("rotate", "--all", "--yes", "--force", "--mfa-code", phone.tick())
    assert done.code == 4
    assert "mfa-code CODE" in done.err


# Lost in the middle


def test_a_session_that_ends_in_the_middle(desk: Desk, old: Credentials, device: Device) -> None:
    """One new code, and the rotation goes on."""
    desk.aws.on_call(lambda call: desk.aws.end_sessions(), "before", "UpdateAccessKey")
    run = desk.terminal("rotate", "--yes")
    run.answer(PROMPT, f"{device.code}\r")
    desk.aws.on_call(lambda call: desk.aws._front.callbacks.clear(), "after", "UpdateAccessKey")
    run.until("AWS has ended the MFA session; wait for the device's next code")
    run.answer(PROMPT, f"{device.tick()}\r")
    done = run.end()
    assert done.code == 0, done.text
    assert list(desk.ids()) == [desk.held()] != [old.key_id]


@pytest.mark.parametrize("demanded", [True, False], ids=["MFA is still demanded", "IT has dropped the demand"])
def test_nobody_there_for_a_new_code(desk: Desk, old: Credentials, device: Device, demanded: bool) -> None:
    """Exit 4 with the profile working; the next run finishes with a code of its own, if it must, and asks nothing
    else."""
    desk.aws.on_call(lambda call: desk.aws.end_sessions(), "before", "UpdateAccessKey")
    done = desk.run("rotate", "--yes", "--mfa-code", device.code)
    assert done.code == 4, done.text
    assert desk.ids()[desk.held()] == "Active"
    assert desk.held() != old.key_id
    desk.aws._front.callbacks.clear()
    if demanded:
        run = desk.terminal()
        run.answer(PROMPT, f"{device.tick()}\r")
        assert run.end().code == 0
    else:
        desk.aws.all_well()
        assert desk.run("rotate", "--yes").code == 0
    assert list(desk.ids()) == [desk.held()]


def test_the_session_outlives_the_old_key(desk: Desk, old: Credentials, device: Device) -> None:
    """IT switches the old key off in the middle: the session goes on. Token, secret and code are in memory only."""

    def switch_off(call: Call) -> None:
        desk.aws.set_status(old.key_id, "Inactive")

    desk.aws.on_call(switch_off, "after", "CreateAccessKey")
    code = device.code
    done = desk.run("-vv", "rotate", "--yes", "--mfa-code", code)
    assert done.code == 0, done.text
    assert list(desk.ids()) == [desk.held()]
    pairs = [session.pair for session in desk.aws._front.world.sessions.values()]
    everything = done.text.encode() + b"".join(data for data, _ in desk.snapshot().values())
    assert pairs and not any(text.encode() in everything for pair in pairs for text in (pair.secret, str(pair.token)))
    assert code.encode() not in everything


# Other commands


def test_status_never_asks(desk: Desk, device: Device) -> None:
    """Even at a terminal; the row says what it wants, and the option gives it. `delete-key` asks, as rotate does."""
    shown = desk.shown("status")
    assert shown.code == 0
    assert "asks for an MFA code" in shown.text
    row = desk.run("status", "--json", "--mfa-code", device.code).json["keys"][0]
    assert (row["user"], row["verdict"]) == ("alice", "overdue")
    other = desk.aws.add_key("alice")
    run = desk.terminal("delete-key", other.key_id, "--yes")
    run.answer(PROMPT, f"{device.tick()}\r")
    assert run.end().code == 0
    assert desk.ids()[other.key_id] == "Inactive"
