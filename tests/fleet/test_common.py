"""What every fleet command begins with: its options, its settings, who signs, and the endpoint that is named."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from pathlib import Path

import click
import pytest

from rotate_my_key.cli.app import App
from rotate_my_key.cli.fleet import fleet_options
from rotate_my_key.cli.fleet.common import open_fleet
from rotate_my_key.core.errors import Gone, Problem, WrongUsage
from rotate_my_key.files.paths import find
from rotate_my_key.fleet.model import AwsAccount
from rotate_my_key.settings.fleet import FleetSettings
from rotate_my_key.settings.fleet_ini import load
from tests.cli.conftest import Desk, _alone, empty  # noqa: F401 - a fixture


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
def it(empty: Desk) -> Desk:  # noqa: F811
    """A desk with the profile `it`, whose key is alice's."""
    empty.profiles(it=empty.aws.add_key("alice"))
    empty.add("[profile it]\nregion = eu-west-1\n", empty.config)
    return empty


def run(it: Desk, *words: str, quiet: bool = False, **env: str) -> tuple[FleetSettings, str]:
    """Run the command."""
    with _alone(it.environment(env)):
        app = App(dict(os.environ))
        app.quiet = quiet
        result: tuple[FleetSettings, str] = command.main(list(words), obj=app, standalone_mode=False)
    return result


def write(it: Desk, text: str, name: str = "fleet.ini") -> Path:
    """Write a settings file beside config.ini."""
    file = it.home / ".config" / "rotate-my-key" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


# Who signs


def test_who_signs(it: Desk) -> None:
    """-p gives region and endpoint too; with both, --auth-profile signs. Where no profile is named the environment's
    does. The laptop's own auth_profile signs for the keys of one person, and not here."""
    it.add("[profile other]\nregion = eu-north-1\n", it.config)
    for words in ("-p it", "--profile it", "--auth-profile it", "-p other --auth-profile it"):
        assert run(it, *words.split())[1].endswith(":user/alice"), words
    write(it, "auth_profile = nobody\n", "config.ini")
    assert run(it, "-p", "it")[1].endswith(":user/alice")
    assert run(it, AWS_PROFILE="it")[1].endswith(":user/alice")


def test_a_profile_that_is_not_there(it: Desk) -> None:
    """Those that there are are named."""
    for words, said in (
        ("-p itt", "there is no profile itt; did you mean it?"),
        ("-p nobody", "there is no profile nobody; there is it"),
        ("-p it --auth-profile x", "there is no profile x; there is it"),
    ):
        with pytest.raises(WrongUsage) as caught:
            run(it, *words.split())
        assert caught.value.message == said


@pytest.mark.slow
def test_a_code_opens_a_session(it: Desk) -> None:
    """--mfa-code, for the key of an admin whose policies demand MFA."""
    device = it.aws.add_mfa("alice")
    run(it, "-p", "it", "--mfa-code", device.code)
    assert [call.key_id[:4] for call in it.aws.calls if call.action == "ListUsers"] == ["ASIA"]
    with pytest.raises(WrongUsage, match="an MFA code has six digits"):
        run(it, "-p", "it", "--mfa-code", "12")


def test_an_endpoint_that_is_not_aws_is_named(it: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Once, on stderr, with --quiet too."""
    run(it, "-p", "it", quiet=True)
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"note: endpoint: {it.aws.url} (not AWS)\n")


# Which settings


def test_whose_settings_count(it: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any the laptop's own limits hold, so that both sides judge by the same policy. fleet.ini beside the
    user's settings is found by itself, and goes before these; a file that is named goes before both. Limits that cannot
    be meant are noted before anything else is done."""
    write(it, "max_age = 30d\ncontact = it@example.com\n", "config.ini")
    settings, _ = run(it, "-p", "it")
    assert settings.policy.max_age == timedelta(days=30)
    assert (settings.contact, settings.where) == ("it@example.com", "built-in")
    file, other = write(it, "max_age = 60d\n[accounts]\nrole = fleet\n"), write(it, "max_age = 45d\n", "other.ini")
    settings, _ = run(it, "-p", "it")
    assert (settings.policy.max_age, settings.accounts.role) == (timedelta(days=60), "fleet")
    assert settings.where == str(file)
    assert run(it, "-p", "it", "--settings", str(other))[0].policy.max_age == timedelta(days=45)
    write(it, "max_age = 30d\nremind_before = 90d\n")
    run(it, "-p", "it")
    assert "remind_before (90d) is not below max_age (30d), so every key is due at once" in capsys.readouterr().err


@pytest.mark.slow
def test_a_parameter_that_is_named(it: Desk) -> None:
    """Fetched with the credentials that sign everything, by one call."""
    it.aws.add_parameter("/it/fleet", "max_age = 45d\n")
    it.aws.calls.clear()
    settings, _ = run(it, "-p", "it", "--settings", "ssm:/it/fleet")
    assert (settings.policy.max_age, settings.where) == (timedelta(days=45), "ssm:/it/fleet")
    assert [call.action for call in it.aws.calls] == ["GetParameter", "GetCallerIdentity", "ListUsers"]


@pytest.mark.slow
def test_a_preset_that_is_named(it: Desk) -> None:
    """What the file says besides goes before it; one that there is not is an error, and not nothing."""
    write(it, "[enforce]\npreset = staged-90\ndelete_after = 20d\n")
    enforce = run(it, "-p", "it")[0].enforce
    assert (enforce.deactivate_at, enforce.delete_after) == (timedelta(days=80), timedelta(days=20))
    write(it, "[enforce]\npreset = staged-91\n")
    with pytest.raises(WrongUsage, match="there is no preset staged-91"):
        run(it, "-p", "it")


def test_the_sites_file_counts_if_nobody_else_could_write_it(it: Desk) -> None:
    """It stands beside the site's settings; the user's own goes before it."""
    site = it.home / "etc"
    site.mkdir(0o755)
    (site / "fleet.ini").write_text("max_age = 50d\n")
    (site / "fleet.ini").chmod(0o644)
    paths = find(it.environment({}))._replace(
        site_file=str(site / "config.ini"), site_owner=os.getuid(), site_top=str(it.home)
    )
    it.home.chmod(0o755)
    loaded = partial(load, paths, "", lambda name: "", FleetSettings())
    assert loaded().policy.max_age == timedelta(days=50)
    (site / "fleet.ini").chmod(0o666)
    with pytest.raises(Problem, match=r"fleet.ini does not count: .* can be written by others"):
        loaded()
    write(it, "max_age = 60d\n")
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
    it: Desk, monkeypatch: pytest.MonkeyPatch, named: str, kind: type[Problem], said: str
) -> None:
    """One line that names them; built-in values are never taken instead. The hint is about the option."""
    monkeypatch.chdir(it.home)
    (it.home / "bytes.ini").write_bytes(b"contact = \xff\xfe")
    (it.home / "wrong.ini").write_text("max_agee = 3d\n")
    with pytest.raises(kind, match=said) as caught:
        run(it, "-p", "it", "--settings", named)
    if named == ".":
        assert caught.value.hint == "name the fleet's settings: --settings FILE, or --settings ssm:/NAME"


def test_the_options_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names each."""
    command.main(["--help"], obj=App({}), standalone_mode=False)
    told = capsys.readouterr().out
    assert all(option in told for option in ("-p, --profile", "--auth-profile", "--mfa-code", "--settings"))
