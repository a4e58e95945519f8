"""`schedule`: a daily rotation that nobody watches, through the system's own scheduler."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .. import settings
from ..core import words
from ..core.errors import Interrupted, Problem, WrongUsage, mask
from ..rotation.run import Result
from ..schedule import job as jobs
from ..schedule.job import Installation, ScheduledJob, Scheduler, Try
from . import reminder
from .app import App
from .session import Finder, exit_code
from .wiring import Wiring

_INTRODUCTION = (
    "Once a day and without a question each of these keys would be replaced, if it is due.\n"
    f"The old one would be kept for {jobs.KEPT_DAYS} days, switched off."
)
_SHARED = (
    "Only this computer is updated; anything else that uses the key (CI, another computer) stops working.\n"
    "Say no to a key that is shared."
)
_WORDS = {"rotated": "replaced", "waiting": "replaced", "merged": "merged", "fresh": "not due", "exempt": "exempt"}


class Key(NamedTuple):
    """One key that `rotate --all` would take: its profiles, its id, and what is known of it in words."""

    profiles: Sequence[str]
    key_id: str
    known: str


def keys(app: App) -> list[Key]:
    """The keys of this computer, as the scheduled run will find them: without this shell's settings."""
    for variable in _unseen(app):
        app.say(f"note: {variable} is set here, and the scheduled run does not see it")
    wiring = Wiring.of(app)
    rows = {row.get("key_id"): row for row in reminder.cache(app).load().rows}
    found = Finder(wiring, _settings(app), mixed=False).every_key()
    for left in found.problems:
        if left.problem:
            app.say(f"left out: {words.join(left.profiles)}: {left.problem.message}")
    listed = []
    for names, find in found.jobs:
        key_id = find().key_id
        listed.append(Key(tuple(names), key_id, _known(rows.get(key_id) or {})))
    return listed


def consent(app: App, listed: Sequence[Key], *, yes: bool, flag: str) -> tuple[list[Key], list[str]]:
    """Which of the keys the person wants rotated, and the profiles of the others. Raises NeedsPerson."""
    if not listed:
        app.say("No profile here holds a key yet; the daily run finds it once there is one.")
        return [], []
    app.say(_INTRODUCTION)
    names = [words.join(key.profiles) for key in listed]
    width = max(map(len, names))
    for key, name in zip(listed, names, strict=True):
        app.say(f"  {name:{width}}  {mask(key.key_id)}  {key.known}".rstrip())
    app.say(_SHARED)
    chosen = [
        key
        for key, name in zip(listed, names, strict=True)
        if yes or app.confirm(f"Rotate {mask(key.key_id)} ({name}) without asking?", default=True, flag=flag)
    ]
    return chosen, [name for key in listed if key not in chosen for name in key.profiles]


def exclude(app: App, names: Sequence[str]) -> None:
    """Add profiles to the user's setting `exclude`. Raises Problem if the site does not allow it."""
    if not names:
        return
    from ..settings import ini

    row = settings.TABLE["exclude"]
    wanted = tuple(dict.fromkeys([*_settings(app).exclude, *names]))
    ceiling = settings.site(app.paths).enforced.get("exclude")
    if ceiling and row.tighten(wanted, ceiling.value) != wanted:
        contact = app.settings.contact
        raise Problem(
            f"your site does not let you exclude {words.join(names)} ({ceiling.where})"
            + (f"; ask {contact}" if contact else ""),
            "rotate-my-key config get exclude",
        )
    ini.change(app.paths.config_file, "exclude", wanted)
    app.say(f"excluded from now on: {words.join(names)} (rotate-my-key config get exclude)")


class _Unattended(App):
    """Nobody is there: what is complained of is kept until it is known whether it matters."""

    terminal = False

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(env)
        self.complaints: list[str] = []

    def complain(self, text: str) -> None:
        self.complaints.append(text)


def rotate(app: App, arguments: Sequence[str]) -> tuple[Try, list[str]]:
    """Rotate as these words say; gives what came of it, and what was complained of."""
    from .program import guarded, options
    from .rotate import quietly

    unattended = _Unattended(app.env)
    results: list[Result] = []

    def call() -> int:
        results.extend(quietly(unattended, **options("rotate", arguments[1:], unattended)))
        return exit_code(results)

    code = guarded(unattended, arguments, call)
    message, hint = _outcome(unattended.problem, results, code)
    return Try(datetime.now(UTC), code, message, hint), unattended.complaints


def _outcome(problem: Problem | Interrupted | None, results: Sequence[Result], code: int) -> tuple[str, str]:
    """In words what came of a run, and what to type: the problem that decided the code, or how many keys there were."""
    for each, profiles in [(problem, ()), *((result.problem, result.profiles) for result in results)]:
        if code and each and each.code == code:
            return f"{words.join(profiles)}: {each.message}" if profiles else each.message, each.hint
    kept = [result for result in results if result.problem or result.outcome]
    endings = [r.outcome.ending.value if r.outcome and not r.problem else "problem" for r in kept]
    if not endings:
        return f"exit code {code}" if code else "there was no key to rotate", ""
    counted = Counter(_WORDS.get(ending, ending) for ending in endings)
    return words.join(f"{count} {ending}" for ending, count in counted.items()), ""


def _unseen(app: App) -> list[str]:
    ours = [row.variable for row in settings.TABLE.values() if app.env.get(row.variable)]
    return [*ours, *jobs.left_out(app.env)]


def _settings(app: App) -> settings.Settings:
    return settings.load(app.paths, {})


def _known(row: dict[str, Any]) -> str:
    if not row.get("user"):
        return ""
    age = (
        f", {words.span(datetime.now(UTC) - datetime.fromisoformat(row['created']))} old" if row.get("created") else ""
    )
    return f"{row['user']} in {row['account']}{age}"


_TRY_LATER = 75

_yes = "rotate-my-key schedule install --yes"


def install(app: App, *, yes: bool, as_json: bool) -> int:
    """List the keys that would be rotated, ask for each, and install the daily run. Safe to run again."""
    from ..schedule import choose

    scheduler = choose(_schedulers(app))
    job = jobs.this_job(app.env, app.paths)
    listed = keys(app)
    chosen, left = consent(app, listed, yes=yes, flag=_yes)
    if listed and not chosen:
        app.say("No key is left to rotate; nothing was installed.")
        return 4
    exclude(app, left)
    changed = scheduler.install(job)
    for other in _schedulers(app):  # one that was chosen before this one was usable
        if other.title != scheduler.title:
            other.uninstall()
    installed = scheduler.installed(job)
    if as_json:
        app.json({"changed": changed, "excluded": left, **_json(app, scheduler, installed, job)})
        return 0
    state = "installed" if changed else "installed already"
    app.out(f"{_capital(scheduler.title)}, {scheduler.rhythm}, is {state}: {_where(app, installed)}")
    if installed and installed.trouble:
        app.say(f"note: {installed.trouble}")
    app.say("To see what came of it: rotate-my-key schedule show. To stop it: rotate-my-key schedule uninstall")
    return 0


def uninstall(app: App, *, as_json: bool) -> None:
    """Take the daily run out again, with everything that `install` made."""
    gone = [scheduler.title for scheduler in _schedulers(app) if scheduler.uninstall()]
    jobs.forget_runs(app.paths.state_dir)
    if as_json:
        app.json({"removed": gone})
    elif gone:
        app.out(f"Removed: {words.join(gone)}. Nothing rotates your keys by itself any more.")
    else:
        app.out("No schedule was installed.")


def show(app: App, *, as_json: bool) -> None:
    """Whether the daily run is installed, what it runs, when it ran last and what came of it, when it runs next."""
    try:
        job: ScheduledJob | None = jobs.this_job(app.env, app.paths)
    except Problem:
        job = None
    pairs = [(each, each.installed(job)) for each in _schedulers(app)]
    scheduler, installed = next((pair for pair in pairs if pair[1]), (None, None))
    if as_json:
        app.json(_json(app, scheduler, installed, job))
        return
    if scheduler is None or installed is None:
        app.out("not installed (rotate-my-key schedule install)")
    else:
        app.out(f"installed: {scheduler.title}, {scheduler.rhythm}: {_where(app, installed)}")
        if installed.trouble:
            app.out(f"trouble: {installed.trouble} (rotate-my-key schedule install)")
        app.out(f"runs: rotate-my-key {shlex.join(jobs.ROTATE)}")
    for line in _past(app):
        app.out(line)
    if installed and installed.next:
        app.out(f"next run: {_moment(installed.next)}")


def run(app: App, *, daily: bool, arguments: Sequence[str]) -> int:
    """What the scheduler starts: `rotate` with these options, and a note of what came of it.

    What is tried again by itself (75) is not said: cron would make a mail of it.
    """
    if not arguments or arguments[0] != "rotate":
        raise WrongUsage("this is for the scheduler", "rotate-my-key schedule install")
    state_dir = app.paths.state_dir
    if daily and jobs.is_done(jobs.load_runs(state_dir), datetime.now(UTC)):
        return 0
    attempt, said = rotate(app, arguments)
    for line in said if attempt.code != _TRY_LATER else ():
        app.complain(line)
    jobs.keep_run(state_dir, attempt)
    reminder.refresh(app)
    return attempt.code


def _schedulers(app: App) -> Sequence[Scheduler]:
    from ..schedule import schedulers

    return schedulers(app.env, app.paths, Wiring.of(app).host)


def _where(app: App, installed: Installation | None) -> str:
    return app.show_path(installed.where) if installed else "nowhere"


def _past(app: App) -> list[str]:
    known = jobs.load_runs(app.paths.state_dir)
    if known is None:
        return ["last run: none yet"]
    lines = [f"last run: {_told(known.last)}"]
    if known.settled and known.settled.at != known.last.at:
        lines.append(f"before that: {_told(known.settled)}")
    return lines


def _told(attempt: Try) -> str:
    what = attempt.message or "nothing is known of it"
    if attempt.code == _TRY_LATER:
        what = f"{what}; it is tried again"
    elif attempt.code:
        what = f"failed: {what}" + (f" (hint: {attempt.hint})" if attempt.hint else "")
    return f"{_moment(attempt.at)}: {what}"


def _moment(moment: datetime) -> str:
    return f"{words.day(moment, datetime.now(UTC))}, {moment.astimezone():%H:%M}"


def _json(
    app: App, scheduler: Scheduler | None, installed: Installation | None, job: ScheduledJob | None
) -> dict[str, Any]:
    """See docs/schedule.md."""
    known = jobs.load_runs(app.paths.state_dir)
    return {
        "installed": installed is not None,
        "scheduler": scheduler.title if scheduler and installed else None,
        "where": installed.where if installed else None,
        "trouble": (installed.trouble or None) if installed else None,
        "command": [job.program, *jobs.ROTATE] if job else None,
        "next": _stamp(installed.next) if installed else None,
        "last": _try_json(known.last) if known else None,
        "settled": _try_json(known.settled) if known and known.settled else None,
    }


def _try_json(attempt: Try) -> dict[str, Any]:
    return {**attempt._asdict(), "at": _stamp(attempt.at)}


def _stamp(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
