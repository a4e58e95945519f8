"""What the fleet's commands share: who signs and by which settings, the run's adapters, and words for all of them.

- A hint is the command that was typed, with all of its options, quoted for a shell. No secret is in it: an MFA code is
  left out, and it works once anyway.
- One run of `enforce --apply` or `remind` at a time for this user of the computer: two would tell everybody twice.
- What loads slowly is imported where it is used, so that --help is quick.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from ... import __version__
from ...core.errors import Interrupted, Problem, TryLater, WrongUsage
from ..app import App
from ..commands import signing_options
from ..signing import Person, mfa_serials

if TYPE_CHECKING:
    from ...fleet.assembly import Assembly, FleetSigner
    from ...fleet.audit import AuditTrail
    from ...fleet.model import AccountSurvey
    from ...profiles.file import ProfilePaths
    from ...settings.fleet import FleetSettings


_ONCE = frozenset({"mfa_code"})
_WHO = ("profile", "auth_profile", "settings")  # of `fleet_options`


def again(app: App, *flags: str, but: tuple[str, ...] = ()) -> str:
    """`rotate-my-key fleet revoke bob --account 123456789012 --yes`: as typed, with these flags, `but` without the
    options of these names."""
    context = click.get_current_context()
    options: list[str] = []
    arguments: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE or name in (*_ONCE, *but):
            continue
        value = _value(app, context, name)
        if isinstance(parameter, click.Argument):
            arguments += [str(value)]
        elif isinstance(parameter, click.Option):
            options += _option(parameter, value)
    options += [flag for flag in flags if flag not in options]
    dash = ["--"] if any(word.startswith("-") for word in arguments) else []
    words = [*arguments, *options] if not dash else [*options, *dash, *arguments]
    return " ".join((context.command_path, *map(shlex.quote, words)))


def fleet(app: App, command: str) -> str:
    """Another fleet command by the same settings and as the same caller: `rotate-my-key fleet enforce -p it`."""
    context = click.get_current_context()
    mine = [each for each in context.command.params if isinstance(each, click.Option) and each.name in _WHO]
    words = [word for each in mine for word in _option(each, _value(app, context, each.name or ""))]
    return " ".join(("rotate-my-key fleet", command, *map(shlex.quote, words)))


@contextmanager
def stoppable(app: App, what: str = "whatever was begun the next run finds") -> Iterator[None]:
    """Ctrl-C within the block ends the command, and the hint is the command itself: the next run sees by list and tag
    what was begun. `what` says what became of it."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        app.complain("")
        raise Interrupted(f"stopped; {what}", again(app)) from None


def _value(app: App, context: click.Context, name: str) -> Any:
    """What was typed; what `fleet_options` keeps is not among the parameters."""
    if name in context.params:
        return context.params[name]
    return context.meta.get(f"fleet {name}") or app.flags.get(name)


def _option(option: click.Option, value: Any) -> Iterator[str]:
    """`--account 123456789012`; nothing for what has no value."""
    word = max(option.opts, key=len)
    if value is True:
        yield word
    elif isinstance(value, tuple):
        for each in value:
            yield from (word, str(each))
    elif value:
        text = str(value)
        yield from (f"{word}={text}",) if text.startswith("-") else (word, text)


FILE = "fleet.lock"  # in the state dir
_WAIT = 180.0  # seconds, as `rotate` waits


def alone(app: App, wait: float = _WAIT) -> None:
    """Hold the lock until the command ends; waits for it. Raises TryLater if another run has it for longer."""
    from ...files.private import Lock, make_private_dir

    make_private_dir(app.paths.state_dir)
    path = os.path.join(app.paths.state_dir, FILE)
    lock = Lock(path, wait, lambda: app.say("another fleet run is at work; waiting for it"))
    try:
        click.get_current_context().with_resource(lock)
    except TryLater as problem:
        raise TryLater(problem.message, again(app)) from None


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
    return profile(signing_options(settings(_with_libraries(command))))


def _with_libraries(command: C) -> C:
    """Raises Problem, and not a traceback, where the extra `fleet` is not installed."""

    @wraps(command)
    def checked(*arguments: Any, **options: Any) -> Any:
        need_libraries()
        return command(*arguments, **options)

    return cast(C, checked)


def need_libraries() -> None:
    """Raises Problem with the command that brings what the laptop's commands do without."""
    from ...files.paths import how_to_get

    if find_spec("jinja2") is None:
        raise Problem("the fleet commands need jinja2, which is not installed", how_to_get("jinja2"))


def open_fleet(app: App, preset: str = "") -> tuple[FleetSettings, Assembly]:
    """The settings and the adapters of a command that has the `fleet_options`. `preset` goes before the settings' own.

    Sends nothing but what is needed to fetch settings from a parameter. Raises WrongUsage, Problem.
    """
    from ...aws.client import Aws
    from ...fleet.assembly import Assembly
    from ...settings.fleet import FleetSettings, with_preset
    from ...settings.fleet_ini import load

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
    return assembly.audit(command, os.urandom(3).hex(), FileSink(os.path.join(app.paths.state_dir, AUDIT)))


def agreed(app: App, question: str, otherwise: str = "Nothing was changed.") -> bool:
    """Ask; the flag that answers is --yes."""
    if app.confirm(question, default=False, flag=again(app, "--yes")):
        return True
    app.say(otherwise)
    return False


def surveyed(
    app: App, settings: FleetSettings, assembly: Assembly, *, exact: bool = False
) -> tuple[list[AccountSurvey], Mapping[str, str], datetime]:
    """What was found in all accounts, with the addresses of owners and AWS's time."""
    from ...fleet.judge import addresses
    from ...fleet.survey import ReportWait, survey_accounts

    mapping = addresses(settings.owners)
    organization = assembly.organization
    organization.me()  # signs in first: a question and a progress bar do not go together; and it tells AWS's time
    now = assembly.now()
    with app.progress() as progress:
        waiting = ReportWait(time.sleep, time.monotonic)
        surveys = survey_accounts(organization, settings, now, waiting, exact=exact, progress=progress)
    return surveys, mapping, now


def close(app: App, audit: AuditTrail, numbers: Mapping[str, float]) -> int:
    """End the audit; that it cannot be written is said. Gives the exit code of that."""
    try:
        audit.close(numbers)
    except Problem as problem:
        warn(app, problem.message)
        return problem.code
    return 0


def problem_json(problem: Problem | Interrupted | None) -> dict[str, Any] | None:
    """As in every --json."""
    from .. import show

    return show.problem_json(problem) if problem else None


def stamp(at: datetime | None) -> str | None:
    """As in every --json."""
    from .. import show

    return show.stamp(at)


def warn(app: App, line: str, hint: str = "") -> None:
    """What went wrong and stopped nothing, with what to do about it; said with --quiet too."""
    app.complain(f"{app.style('warning:', fg='yellow')} {line}")
    if hint:
        app.complain(f"{app.style('hint:', bold=True)} {hint}")


def tell_left_out(app: App, assembly: Assembly) -> None:
    """Accounts of the organization that nobody can look at, since AWS lets no role into them."""
    from ...core.words import number
    from ...fleet.notices import some

    names = [str(account) for account in assembly.organization.left_out]
    if names:
        app.say(f"left out, as suspended or about to be closed: {number(len(names), 'account')} ({some(names)})")


def tell_failed(app: App, surveys: Sequence[AccountSurvey], settings: FleetSettings) -> None:
    """Which accounts could not be looked at, the same fault of many in one line."""
    from ...fleet.notices import about, failed

    for same in failed(surveys, settings.accounts):
        warn(app, f"{about(same)}: {same.text}", same.hint)


def _signer(app: App, profile: str | None) -> FleetSigner:
    from ...aws.signin import MfaSessions
    from ...fleet.assembly import FleetSigner
    from ...profiles.file import ProfilePaths
    from ...profiles.which import named_profile

    person = Person(app, lambda: None)
    auth = str(app.flags.get("auth_profile") or profile or "")
    files = ProfilePaths(app.paths.credentials, app.paths.config, app.paths.home)
    for named in filter(None, (profile, app.flags.get("auth_profile"))):
        _check_profile(files, str(named))
    name = auth or named_profile(app.env)[0]
    return FleetSigner(
        profile=profile or app.flags.get("auth_profile") or None,  # type: ignore[arg-type]
        auth=auth,
        ask=lambda whose, serial: person.code(whose, serial, ""),
        sessions=MfaSessions(person, _SESSION, app.command),
        serials=lambda: mfa_serials(files, name, app.settings),
    )


def _check_profile(files: ProfilePaths, name: str) -> None:
    """Raises WrongUsage for a profile that neither file has, naming those that there are."""
    from difflib import get_close_matches

    from ...fleet.notices import some
    from ...profiles.file import read_profiles

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
