"""What the fleet's commands share: who signs and by which settings, the run's adapters, and words for all of them.

- A hint is the command that was typed, with all of its options, quoted for a shell. No secret is in it: an MFA code is
  left out, and it works once anyway.
- One run of `enforce --apply` or `remind` at a time for this user of the computer: two would tell everybody twice.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from ... import __version__
from ...aws.client import Aws
from ...aws.signin import MfaSessions, Serial
from ...core.errors import Gone, Interrupted, Problem, TryLater, WrongUsage
from ...core.hints import Hint
from ...core.policy import nearest, number
from ...files.platform import Lock
from ...files.write import make_private_dir
from ...fleet.assembly import Assembly, FleetSigner
from ...fleet.audit import AuditTrail, private_file
from ...fleet.judge import addresses
from ...fleet.model import AccountSurvey, FleetUser
from ...fleet.notices import about, failed, some
from ...fleet.survey import ReportWait, survey_accounts
from ...settings.fleet import FleetSettings, Who
from ...settings.fleet_ini import PRESETS, load, with_preset
from ..app import App, option_words

Names = tuple[str, ...]  # of an option that may be given several times
_WHO = ("profile", "auth_profile", "settings")  # of `fleet_options`


def fleet(app: App, command: str, *words: str) -> Hint:
    """Another fleet command by the same settings and as the same caller: `rotate-my-key fleet enforce -p it`."""
    context = click.get_current_context()
    mine = [each for each in context.command.params if each.name in _WHO]
    who = (word for each in mine for word in option_words(each, app.value_of(context, each)))
    return Hint("fleet", command, *words, *who)


def show_presets(app: App, command: str, *, as_json: bool) -> int:
    """The ready-made rules of `remind` or of `enforce`, and where the others are; in JSON all of them."""
    if as_json:
        app.json({"presets": [{**each._asdict(), "command": each.command} for each in PRESETS.values()]})
        return 0
    from ...fleet.messages import wrapped

    for preset in PRESETS.values():
        if preset.command == command:
            lines = (f"like {preset.after}.", f"{preset.says}.", f"Better here: {preset.here}.")
            settings = [f"    {line}" for line in preset.settings]
            app.out("\n".join([preset.name, *(wrapped(line, "  ") for line in lines), *settings, ""]))
    other, what = ("remind", "only notify") if command == "enforce" else ("enforce", "also deactivate and delete keys")
    app.out(f"Presets that {what}: rotate-my-key fleet {other} --presets")
    return 0


@contextmanager
def stoppable(app: App, what: str = "the next run finds what was begun") -> Iterator[None]:
    """Ctrl-C within the block ends the command, and the hint is the command itself: the next run sees by list and tag
    what was begun. `what` says what became of it."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        app.complain("")
        raise Interrupted(f"stopped ({what})", app.again()) from None


_SESSION = 12 * 3600  # seconds that an MFA session lasts: a run over hundreds of accounts is not to ask twice


def alone(app: App, wait: float = 180.0) -> None:
    """Hold the lock until the command ends; waits so many seconds for it, as `rotate` does. Raises TryLater."""
    make_private_dir(app.paths.state_dir)
    path = os.path.join(app.paths.state_dir, "fleet.lock")
    lock = Lock(path, wait, lambda: app.say("another fleet run is in progress, waiting for it"))
    try:
        click.get_current_context().with_resource(lock)
    except TryLater as problem:
        raise TryLater(problem.message, app.again()) from None


def check_accounts(numbers: Iterable[str]) -> None:
    """Raises WrongUsage for what cannot be the number of an account."""
    for each in numbers:
        if not re.fullmatch(r"[0-9]{12}", each):
            raise WrongUsage(f"{each!r} is not an account number", "write the twelve digits, like 123456789012")


def chosen(app: App, settings: FleetSettings, users: Sequence[str], accounts: Sequence[str]) -> FleetSettings:
    """For these users and accounts alone. Raises WrongUsage for what cannot be one."""
    for user in users:
        if not re.fullmatch(r"[\w+=,.@-]{1,64}", user):
            raise WrongUsage(f"{user!r} is not a user name", fleet(app, "report"))
    check_accounts(accounts)
    who = Who(names=tuple(users), accounts=tuple(accounts))
    return replace(settings, include=(*settings.include, who)) if users or accounts else settings


def check_chosen(app: App, users: Sequence[str], accounts: Sequence[str], seen: Iterable[str]) -> None:
    """Raises Gone for a user or an account that was named and not found: else that would look like nothing to do."""
    there = {each.lower() for each in seen}
    for what, named in (("account", accounts), ("user", users)):
        if lost := [each for each in named if each.lower() not in there]:
            raise Gone(f"{what} {lost[0]} is not among those that were checked", fleet(app, "report", "--all"))


def open_fleet(app: App, preset: str = "") -> tuple[FleetSettings, Assembly]:
    """The settings and the adapters of a command that has the `fleet_options`. `preset` goes before the settings' own.
    Sends nothing but what is needed to fetch settings from a parameter. Raises WrongUsage, Problem."""
    meta, paths = click.get_current_context().meta, app.paths
    aws = Aws(
        app.env,
        version=__version__,
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
        monotonic=time.monotonic,
        config_file=paths.config,
        credentials_file=paths.credentials,
        log=app.log if app.logs else None,
    )
    base = FleetSettings(policy=app.settings.policy, contact=app.settings.contact)
    foreign = f"{app.style('note:', fg='yellow')} endpoint:"  # said with --quiet too
    signer = _signer(app, meta.get("fleet profile"))
    assembly = Assembly(aws, signer, base, tell=lambda url: app.complain(f"{foreign} {url} (not AWS)"))
    if preset:
        base = with_preset(preset, base)
    named = meta.get("fleet settings") or ""
    settings = load(paths, named, lambda name: assembly.cloud.vault().text(name), base, preset=not preset)
    if preset:
        settings = replace(settings, enforce=replace(settings.enforce, preset=preset))
    for note in (*settings.notes, *settings.ended(assembly.now().date())):
        app.complain(f"{app.style('note:', fg='yellow')} {note}")
    return settings, assembly.configured(settings)


def _signer(app: App, profile: str | None) -> FleetSigner:
    """Raises WrongUsage for a profile that neither file has, naming those that there are."""
    from ..talk import Person  # what rotating is made of is loaded where it is needed alone: here and below

    person = Person(app, lambda: None)
    files = app.paths.credentials, app.paths.config, app.paths.home
    signs = str(app.flags.get("auth_profile") or "") or None
    for named in filter(None, (profile, signs)):
        from ...profiles.file import ProfilePaths, Profiles

        known = list(Profiles(ProfilePaths(*files)).merged)
        if named in known:
            continue
        near = nearest(named, known)
        there = "there is none" if not known else f"there {'are' if len(known) > 1 else 'is'} {some(known, 10)}"
        advice = f"did you mean {near}?" if near else there
        raise WrongUsage(f"there is no profile {named}; {advice}", "aws configure list-profiles")
    auth = signs or profile or ""

    def serials() -> list[Serial]:
        from ...profiles.file import ProfilePaths
        from ...profiles.which import named_profile
        from ..wiring import mfa_serials

        return mfa_serials(ProfilePaths(*files), auth or named_profile(app.env)[0], app.settings)

    return FleetSigner(
        profile=profile or signs,
        auth=auth,
        ask=lambda whose, serial: person.code(whose, serial, ""),
        sessions=MfaSessions(person, _SESSION),
        serials=serials,
    )


def open_audit(app: App, assembly: Assembly, command: str) -> AuditTrail:
    """Where a command that changes keys writes down what it does: as the settings say, else a file in the state dir."""
    make_private_dir(app.paths.state_dir)
    return assembly.audit(
        command, os.urandom(3).hex(), private_file(os.path.join(app.paths.state_dir, "fleet-audit.jsonl"))
    )


def agreed(app: App, question: str, otherwise: str = "Nothing was changed.") -> bool:
    """Ask; the flag that answers is --yes."""
    if app.confirm(question, default=False):
        return True
    app.say(otherwise)
    return False


def surveyed(
    app: App,
    settings: FleetSettings,
    assembly: Assembly,
    users: Sequence[str],
    accounts: Sequence[str],
    recalls: Callable[[FleetUser], bool],
    *,
    exact: bool = False,
) -> tuple[list[AccountSurvey], Mapping[str, str], datetime]:
    """What was found in all accounts, with the addresses of owners and AWS's time. Raises Gone as `check_chosen`."""
    mapping = addresses(settings.owners)
    organization = assembly.organization
    organization.me()  # signs in first: a question and a progress bar do not go together; and it tells AWS's time
    now = assembly.now()
    with app.progress() as progress:
        waiting = ReportWait(time.sleep, time.monotonic)
        surveys = survey_accounts(organization, settings, now, waiting, exact=exact, recalls=recalls, progress=progress)
    if not any(survey.problem for survey in surveys):
        seen = [user.name for survey in surveys for user in survey.users]
        check_chosen(app, users, accounts, [*seen, *(survey.account.number for survey in surveys)])
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
    from .. import show  # loads what a rotation is

    return show.problem_json(problem) if problem else None


def warn(app: App, line: str, hint: str = "") -> None:
    """What went wrong and stopped nothing, with what to do about it; said with --quiet too."""
    app.complain(f"{app.style('warning:', fg='yellow')} {line}")
    if hint:
        app.complain(f"{app.style('hint:', bold=True)} {hint}")


def tell_unseen(app: App, assembly: Assembly, surveys: Sequence[AccountSurvey], settings: FleetSettings) -> None:
    """Accounts that AWS lets no role into; and those that failed, the same fault of many in one line."""
    names = [str(account) for account in assembly.organization.left_out]
    if names:
        app.say(f"left out, as suspended or about to be closed: {number(len(names), 'account')} ({some(names)})")
    for same in failed(surveys, settings.accounts):
        warn(app, f"{about(same)}: {same.text}", same.hint)
