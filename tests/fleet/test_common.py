"""What every fleet command begins with: its options, its settings, who signs, and the endpoint that is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from rotate_my_key.cli.app import App
from rotate_my_key.cli.fleet import fleet_options
from rotate_my_key.cli.fleet.common import open_fleet
from rotate_my_key.core.errors import Gone, Problem, WrongUsage
from rotate_my_key.core.model import Credentials
from rotate_my_key.files.paths import find
from rotate_my_key.fleet.model import AwsAccount
from rotate_my_key.settings.fleet import FleetSettings
from rotate_my_key.settings.fleet_ini import load
from tests.standin import StandIn

Run = Callable[..., FleetSettings]


@click.command("try")
@fleet_options
@click.pass_obj
def command(app: App, /) -> tuple[FleetSettings, str]:
    """The settings, and who signs; the users are looked at."""
    settings, assembly = open_fleet(app)
    me = assembly.organization.me()
    list(assembly.organization.directory(AwsAccount(me.account)).users())
    return settings, me.arn


@pytest.fixture
def aws(running: StandIn) -> StandIn:
    """AWS with an admin."""
    running.reset()
    running.add_user("admin")
    return running


@pytest.fixture
def admin(aws: StandIn) -> Credentials:
    """His key."""
    return aws.add_key("admin")


@pytest.fixture
def home(tmp_path: Path, aws: StandIn, admin: Credentials, monkeypatch: pytest.MonkeyPatch) -> Path:
    """His home, with the profile `it`; every call goes to the stand-in."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "ROTATE_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "credentials").write_text(
        f"[it]\naws_access_key_id = {admin.key_id}\naws_secret_access_key = {admin.secret}\n"
    )
    (tmp_path / "config").write_text("[profile it]\nregion = eu-west-1\n")
    (tmp_path / ".config" / "rotate-my-key").mkdir(parents=True)
    return tmp_path


def run(*words: str, quiet: bool = False) -> tuple[FleetSettings, str]:
    """Run the command."""
    app = App(dict(os.environ))
    app.quiet = quiet
    result: tuple[FleetSettings, str] = command.main(list(words), obj=app, standalone_mode=False)
    return result


def write(home: Path, text: str, name: str = "fleet.ini") -> Path:
    """Write a settings file beside config.ini."""
    file = home / ".config" / "rotate-my-key" / name
    file.write_text(text)
    return file


def parameter(home: Path, text: str) -> None:
    """Put settings into SSM."""
    import botocore.session

    client: Any = botocore.session.Session(profile="it").create_client("ssm")
    client.put_parameter(Name="/it/fleet", Value=text, Type="String")


# Who signs


@pytest.mark.parametrize(
    "words", [("-p", "it"), ("--profile", "it"), ("--auth-profile", "it"), ("-p", "other", "--auth-profile", "it")]
)
def test_the_profile_that_is_named_signs(home: Path, words: tuple[str, ...]) -> None:
    """-p gives region and endpoint too; with both, --auth-profile signs."""
    with (home / "config").open("a") as file:
        file.write("[profile other]\nregion = eu-north-1\n")
    assert run(*words)[1].endswith(":user/admin")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-p", "itt"), "there is no profile itt; did you mean it?"),
        (("-p", "nobody"), "there is no profile nobody; there is it"),
        (("-p", "it", "--auth-profile", "x"), "there is no profile x; there is it"),
    ],
)
def test_a_profile_that_is_not_there(home: Path, words: tuple[str, ...], said: str) -> None:
    """Those that there are are named."""
    with pytest.raises(WrongUsage) as caught:
        run(*words)
    assert caught.value.message == said


def test_the_environment_signs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no profile is named. The laptop's own auth_profile signs for the keys of one person, and not here."""
    write(home, "auth_profile = nobody\n", "config.ini")
    assert run("-p", "it")[1].endswith(":user/admin")
    monkeypatch.setenv("AWS_PROFILE", "it")
    assert run()[1].endswith(":user/admin")


@pytest.mark.slow
def test_a_code_opens_a_session(home: Path, aws: StandIn) -> None:
    """--mfa-code, for the key of an admin whose policies demand MFA."""
    device = aws.add_mfa("admin")
    run("-p", "it", "--mfa-code", device.code)
    assert [call.key_id[:4] for call in aws.calls if call.action == "ListUsers"] == ["ASIA"]
    with pytest.raises(WrongUsage, match="an MFA code has six digits"):
        run("-p", "it", "--mfa-code", "12")


def test_an_endpoint_that_is_not_aws_is_named(home: Path, aws: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, on stderr, with --quiet too."""
    run("-p", "it", quiet=True)
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"note: endpoint: {aws.url} (not AWS)\n")


# Which settings


def test_without_any_the_laptops_own_limits_hold(home: Path) -> None:
    """Both sides judge by the same policy."""
    write(home, "max_age = 30d\ncontact = it@example.com\n", "config.ini")
    settings, _ = run("-p", "it")
    assert settings.policy.max_age == timedelta(days=30)
    assert (settings.contact, settings.where) == ("it@example.com", "built-in")


def test_fleet_ini_beside_the_users_settings(home: Path) -> None:
    """It is found by itself, and goes before the laptop's; a file that is named goes before both."""
    write(home, "max_age = 30d\n", "config.ini")
    file, other = write(home, "max_age = 60d\n[accounts]\nrole = fleet\n"), write(home, "max_age = 45d\n", "other.ini")
    settings, _ = run("-p", "it")
    assert (settings.policy.max_age, settings.accounts.role) == (timedelta(days=60), "fleet")
    assert settings.where == str(file)
    assert run("-p", "it", "--settings", str(other))[0].policy.max_age == timedelta(days=45)


@pytest.mark.slow
def test_a_parameter_that_is_named(home: Path, aws: StandIn) -> None:
    """Fetched with the credentials that sign everything, by one call."""
    parameter(home, "max_age = 45d\n")
    aws.calls.clear()
    settings, _ = run("-p", "it", "--settings", "ssm:/it/fleet")
    assert (settings.policy.max_age, settings.where) == (timedelta(days=45), "ssm:/it/fleet")
    assert [call.action for call in aws.calls] == ["GetParameter", "GetCallerIdentity", "ListUsers"]


def test_limits_that_cannot_be_meant_are_noted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything else is done."""
    write(home, "max_age = 30d\nremind_before = 90d\n")
    run("-p", "it")
    assert "remind_before (90d) is not below max_age (30d), so every key is due at once" in capsys.readouterr().err


@pytest.mark.slow
def test_a_preset_that_is_named(home: Path) -> None:
    """What the file says besides goes before it; one that there is not is an error, and not nothing."""
    write(home, "[enforce]\npreset = staged-90\ndelete_after = 20d\n")
    enforce = run("-p", "it")[0].enforce
    assert (enforce.deactivate_at, enforce.delete_after) == (timedelta(days=80), timedelta(days=20))
    write(home, "[enforce]\npreset = staged-91\n")
    with pytest.raises(WrongUsage, match="there is no preset staged-91"):
        run("-p", "it")


def test_the_sites_file_counts_if_nobody_else_could_write_it(home: Path) -> None:
    """It stands beside the site's settings; the user's own goes before it."""
    site = home / "etc"
    site.mkdir(0o755)
    (site / "fleet.ini").write_text("max_age = 50d\n")
    (site / "fleet.ini").chmod(0o644)
    paths = find(os.environ)._replace(site_file=str(site / "config.ini"), site_owner=os.getuid(), site_top=str(home))
    home.chmod(0o755)

    def loaded() -> FleetSettings:
        return load(paths, "", lambda name: "", FleetSettings())

    assert loaded().policy.max_age == timedelta(days=50)
    (site / "fleet.ini").chmod(0o666)
    with pytest.raises(Problem, match=r"fleet.ini does not count: .* can be written by others"):
        loaded()
    write(home, "max_age = 60d\n")
    assert loaded().policy.max_age == timedelta(days=60)


@pytest.mark.parametrize(
    ("named", "kind", "said"),
    [
        ("/no/such/file", WrongUsage, "there is no file /no/such/file"),
        ("ssm:/no/such", Gone, "there is no SSM parameter /no/such"),
        ("bytes.ini", WrongUsage, "bytes.ini is not UTF-8 text"),
        ("wrong.ini", WrongUsage, "wrong.ini line 1: there is no setting max_agee; did you mean max_age"),
        (".", Problem, r"cannot be read: .* \(a folder, not a file\)"),
    ],
)
def test_settings_that_cannot_be_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, named: str, kind: type[Problem], said: str
) -> None:
    """One line that names them; built-in values are never taken instead. The hint is about the option."""
    monkeypatch.chdir(home)
    (home / "bytes.ini").write_bytes(b"contact = \xff\xfe")
    (home / "wrong.ini").write_text("max_agee = 3d\n")
    with pytest.raises(kind, match=said) as caught:
        run("-p", "it", "--settings", named)
    if named == ".":
        assert caught.value.hint == "name the fleet's settings: --settings FILE, or --settings ssm:/NAME"


def test_the_options_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names each."""
    command.main(["--help"], obj=App({}), standalone_mode=False)
    told = capsys.readouterr().out
    assert all(option in told for option in ("-p, --profile", "--auth-profile", "--mfa-code", "--settings"))
