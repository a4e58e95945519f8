"""`schedule`: a daily rotation that nobody watches, through the system's own scheduler."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .. import words
from ..errors import Problem, WrongUsage
from ..schedule import job as jobs
from ..schedule import last as results
from .app import App

if TYPE_CHECKING:
    from ..schedule.job import Job
    from ..schedule.last import Try
    from ..schedule.port import Installed, Scheduler

_TRY_LATER = 75

_yes = "rotate-my-key schedule install --yes"


def install(app: App, *, yes: bool, as_json: bool) -> int:
    """List the keys that would be rotated, ask for each, and install the daily run. Safe to run again."""
    from ..schedule.choose import choose
    from . import scheduling

    scheduler = choose(_schedulers(app))
    job = _job(app)
    keys = scheduling.keys(app)
    chosen, left = scheduling.consent(app, keys, yes=yes, flag=_yes)
    if keys and not chosen:
        app.say("No key is left to rotate; nothing was installed.")
        return 4
    scheduling.exclude(app, left)
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
    results.forget(app.paths.state_dir)
    if as_json:
        app.json({"removed": gone})
    elif gone:
        app.out(f"Removed: {words.join(gone)}. Nothing rotates your keys by itself any more.")
    else:
        app.out("No schedule was installed.")


def show(app: App, *, as_json: bool) -> None:
    """Whether the daily run is installed, what it runs, when it ran last and what came of it, when it runs next."""
    try:
        job: Job | None = _job(app)
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
    from . import reminding, scheduling

    if not arguments or arguments[0] != "rotate":
        raise WrongUsage("this is for the scheduler", "rotate-my-key schedule install")
    state_dir = app.paths.state_dir
    if daily and results.is_done(results.load(state_dir), datetime.now(UTC)):
        return 0
    attempt, said = scheduling.rotate(app, arguments)
    if said and attempt.code != _TRY_LATER:
        app.complain(said.rstrip("\n"))
    results.keep(state_dir, attempt)
    reminding.refresh(app)
    return attempt.code


def _schedulers(app: App) -> Sequence[Scheduler]:
    from ..schedule.choose import schedulers
    from .wiring import Wiring

    return schedulers(app.env, app.paths, Wiring.of(app).host)


def _job(app: App) -> Job:
    from ..schedule import program

    files = {"credentials": app.paths.credentials, "config": app.paths.config}
    return jobs.make(program.find(app.env, app.paths.home), app.env, files)


def _where(app: App, installed: Installed | None) -> str:
    return app.show_path(installed.where) if installed else "nowhere"


def _past(app: App) -> list[str]:
    known = results.load(app.paths.state_dir)
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


def _json(app: App, scheduler: Scheduler | None, installed: Installed | None, job: Job | None) -> dict[str, Any]:
    """See docs/schedule.md."""
    known = results.load(app.paths.state_dir)
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
