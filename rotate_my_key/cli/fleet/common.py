"""What every fleet command has: the options that say who signs and by which settings, and the run's Assembly."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ... import __version__
from ...errors import WrongUsage
from ..app import App
from ..signing import Person, mfa_serials, signing_options

if TYPE_CHECKING:
    from ...fleet.assembly import Assembly, Signer
    from ...fleet.audit import AuditTrail
    from ...fleet.model import AccountSurvey
    from ...settings.fleet import FleetSettings
    from ...stores.reading import ProfileFiles

C = TypeVar("C", bound=Callable[..., Any])

_PROFILE, _SETTINGS = "fleet profile", "fleet settings"  # in click's context
AUDIT = "fleet-audit.jsonl"  # in the state dir
_SESSION = 12 * 3600  # seconds that an MFA session lasts: a run over hundreds of accounts is not to ask twice


def fleet_options(command: C) -> C:
    """The options of every fleet command that calls AWS; `open_fleet` reads them."""
    profile = click.option(
        "-p",
        "--profile",
        metavar="NAME",
        expose_value=False,
        callback=lambda context, option, value: context.meta.__setitem__(_PROFILE, value),
        help="Region, endpoint and credentials of this profile.",
    )
    settings = click.option(
        "--settings",
        metavar="FILE",
        expose_value=False,
        callback=lambda context, option, value: context.meta.__setitem__(_SETTINGS, value),
        help="The fleet's settings: a file, or ssm:/NAME (default: fleet.ini).",
    )
    return profile(signing_options(settings(command)))


def open_fleet(app: App, preset: str = "") -> tuple[FleetSettings, Assembly]:
    """The settings and the adapters of a command that has the `fleet_options`. `preset` goes before the settings' own.

    Sends nothing but what is needed to fetch settings from a parameter. Raises WrongUsage, Problem.
    """
    from ...aws.session import Aws
    from ...fleet.assembly import Assembly
    from ...fleet.presets import with_preset
    from ...settings.fleet import FleetSettings
    from ...settings.fleet_file import load

    meta = click.get_current_context().meta
    paths = app.paths
    aws = Aws(
        app.env,
        version=__version__,
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
        monotonic=time.monotonic,
        config_file=paths.config,
        credentials_file=paths.credentials,
    )
    base = FleetSettings(policy=app.settings.policy, contact=app.settings.contact)
    assembly = Assembly(aws, _signer(app, meta.get(_PROFILE)), base, tell=lambda url: _foreign(app, url))
    if preset:
        base = with_preset(preset, base)
    chosen = (lambda name, chosen: chosen) if preset else with_preset
    settings = load(paths, meta.get(_SETTINGS) or "", lambda name: assembly.cloud.vault().text(name), base, chosen)
    if preset:
        settings = replace(settings, enforce=replace(settings.enforce, preset=preset))
    for note in settings.notes:
        app.complain(f"{app.style('note:', fg='yellow')} {note}")
    return settings, assembly.configured(settings)


def open_audit(app: App, assembly: Assembly, command: str) -> AuditTrail:
    """Where a command that changes keys writes down what it does: as the settings say, else a file in the state dir."""
    from ...files.private import make_private_dir
    from ...fleet.audit import FileSink

    make_private_dir(app.paths.state_dir)
    return assembly.audit(command, token_hex(3), FileSink(os.path.join(app.paths.state_dir, AUDIT)))


def warn(app: App, line: str, hint: str = "") -> None:
    """What went wrong and stopped nothing, with what to do about it; said with --quiet too."""
    app.complain(f"{app.style('warning:', fg='yellow')} {line}")
    if hint:
        app.complain(f"{app.style('hint:', bold=True)} {hint}")


def tell_left_out(app: App, assembly: Assembly) -> None:
    """Accounts of the organization that nobody can look at, since AWS lets no role into them."""
    from ...fleet.alike import some
    from ...words import number

    names = [str(account) for account in assembly.organization.left_out]
    if names:
        app.say(f"left out, as suspended or about to be closed: {number(len(names), 'account')} ({some(names)})")


def tell_failed(app: App, surveys: Sequence[AccountSurvey], settings: FleetSettings) -> None:
    """Which accounts could not be looked at, the same fault of many in one line."""
    from ...fleet.alike import about, failed

    for same in failed(surveys, settings.accounts):
        warn(app, f"{about(same)}: {same.text}", same.hint)


def _signer(app: App, profile: str | None) -> Signer:
    from ...aws.mfa import MfaSessions
    from ...fleet.assembly import Signer
    from ...stores.reading import ProfileFiles

    person = Person(app, lambda: None)
    auth = str(app.flags.get("auth_profile") or profile or "")
    files = ProfileFiles(app.paths.credentials, app.paths.config, app.paths.home)
    for named in filter(None, (profile, app.flags.get("auth_profile"))):
        _check_profile(files, str(named))
    name = auth or app.env.get("AWS_PROFILE") or app.env.get("AWS_DEFAULT_PROFILE") or "default"
    return Signer(
        profile=profile or app.flags.get("auth_profile") or None,  # type: ignore[arg-type]
        auth=auth,
        ask=lambda whose, serial: person.code(whose, serial, ""),
        sessions=MfaSessions(person, _SESSION, app.command),
        serials=lambda: mfa_serials(files, name, app.settings),
    )


def _check_profile(files: ProfileFiles, name: str) -> None:
    """Raises WrongUsage for a profile that neither file has, naming those that there are."""
    from difflib import get_close_matches

    from ...fleet.alike import some
    from ...stores.reading import read_profiles

    known = list(read_profiles(files).merged)
    if name in known:
        return
    near = get_close_matches(name, known, n=1)
    there = f"there are {some(known, 10)}" if len(known) > 1 else f"there is {known[0]}" if known else "there is none"
    raise WrongUsage(
        f"there is no profile {name}; " + (f"did you mean {near[0]}?" if near else there), "aws configure list-profiles"
    )


def _foreign(app: App, url: str) -> None:
    """Said with --quiet too: whoever answers there may be anybody."""
    app.complain(f"{app.style('note:', fg='yellow')} the endpoint is not AWS's own: {url}")
