"""`schedule`: rotates every day what is due, through the system's own scheduler."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .. import settings
from ..core import policy
from ..core.errors import Interrupted, Problem, TryLater, WrongUsage
from ..core.hints import Hint
from ..core.model import is_exempt, recalled
from ..core.policy import mask
from ..profiles.kinds import ROTATABLE, sections
from ..rotation.run import Result
from ..rotation.session import exit_code
from ..schedule import choose, schedulers
from ..schedule import job as jobs
from ..schedule.job import Attempt, Installation, ScheduledJob, Scheduler
from . import reminder
from .app import App
from .rotate import finder
from .wiring import Wiring

_INTRODUCTION = (
    "These keys will be rotated once they are due, without asking.\n"
    f"The old key works for one more day and is then kept, inactive, for {jobs.KEPT_DAYS} days."
)
_SHARED = (
    "Only this computer is updated; anything else that uses the key (CI, another computer) stops working.\n"
    "Answer no for a key that you share."
)
_WORDS = {"rotated": "replaced", "waiting": "replaced", "merged": "merged", "fresh": "not due", "exempt": "exempt"}


def install(app: App, *, yes: bool, as_json: bool) -> int:
    """List the keys that would be rotated, ask for each, and install the daily run. Safe to run again."""
    scheduler = choose(_schedulers(app))
    job = jobs.this_job(app.env, app.paths)
    keys = _keys(app)
    left = _refused(app, keys, yes=yes)
    if keys and len(left) == len(keys):
        app.say("No key is left to rotate. Nothing was installed.")
        return 4
    excluded = [name for key in left for name in key.profiles]
    _exclude(app, excluded)
    changed = scheduler.install(job)
    for other in _schedulers(app):  # one that was chosen before this one was usable
        if other.title != scheduler.title:
            other.uninstall()
    installed = scheduler.installed(job)
    if as_json:
        app.json({"changed": changed, "excluded": excluded, **_json(app, scheduler, installed, job)})
        return 0
    where = f" ({app.show_path(installed.where)})" if installed else ""
    app.out(f"{'Installed' if changed else 'Already installed'}: {scheduler.title}, once a day{where}.")
    if installed and installed.trouble:
        app.say(f"note: {installed.trouble}")
    app.say("To see the last run: rotate-my-key schedule show. To stop it: rotate-my-key schedule uninstall")
    return 0


def uninstall(app: App, *, as_json: bool) -> None:
    """Remove the daily run again, with everything that `install` created."""
    gone = remove(app)
    text = f"Removed: {policy.join(gone)}. Your keys are no longer rotated automatically."
    app.result({"removed": gone}, text if gone else "No schedule was installed.", as_json=as_json)


def remove(app: App) -> list[str]:
    """Remove it; gives what there was, in words."""
    gone = [scheduler.title for scheduler in _schedulers(app) if scheduler.uninstall()]
    jobs.forget_runs(app.paths.state_dir)
    return gone


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
        app.out("not installed: rotate-my-key schedule install")
    else:
        app.out(f"installed: {scheduler.title}, once a day: {app.show_path(installed.where)}")
        if installed.trouble:
            app.out(f"problem: {installed.trouble}: rotate-my-key schedule install")
        app.out(f"runs: rotate-my-key {shlex.join([*jobs.ROTATE, *_overlap(app)])}")
    runs = jobs.load_runs(app.paths.state_dir)
    app.out(f"last run: {_came_of(runs.last) if runs else 'none yet'}")
    if runs and runs.settled and runs.settled.at != runs.last.at:
        app.out(f"before that: {_came_of(runs.settled)}")
    if installed and installed.next:
        app.out(f"next run: {_moment(installed.next)}")


def run(app: App, *, daily: bool, arguments: Sequence[str]) -> int:
    """What the scheduler starts: `rotate` with these options, and a note of what came of it. What is tried again by
    itself (75) is not said: cron would make a mail of it."""
    if not arguments or arguments[0] != "rotate":
        raise WrongUsage("this is for the scheduler", Hint("schedule", "install"))
    state_dir = app.paths.state_dir
    if daily and jobs.is_done(jobs.load_runs(state_dir), datetime.now(UTC)) and not _recalled(app):
        return 0
    attempt, complaints = _rotate(app, arguments)
    for line in complaints if attempt.code != TryLater.code else ():
        app.complain(line)
    jobs.keep_run(state_dir, attempt)
    reminder.refresh(app)
    return attempt.code


def _schedulers(app: App) -> Sequence[Scheduler]:
    return schedulers(app.env, app.paths, Wiring.of(app).host.name)


def _came_of(attempt: Attempt) -> str:
    what = attempt.message or "result unknown"
    if attempt.code == TryLater.code:
        what = f"{what}; trying again later"
    elif attempt.code:
        what = f"failed: {what}" + (f" (hint: {attempt.hint})" if attempt.hint else "")
    return f"{_moment(attempt.at)}: {what}"


def _moment(moment: datetime) -> str:
    return f"{policy.day(moment, datetime.now(UTC))}, {moment.astimezone():%H:%M}"


def _json(
    app: App, scheduler: Scheduler | None, installed: Installation | None, job: ScheduledJob | None
) -> dict[str, Any]:
    """See docs/schedule.md."""
    runs = jobs.load_runs(app.paths.state_dir)
    attempts = {"last": runs.last if runs else None, "settled": runs.settled if runs else None}
    return {
        "installed": installed is not None,
        "scheduler": scheduler.title if scheduler and installed else None,
        "where": installed.where if installed else None,
        "trouble": (installed.trouble or None) if installed else None,
        "command": [job.program, *jobs.ROTATE] if job else None,
        "next": policy.stamp(installed.next) if installed else None,
        **{name: each and {**each._asdict(), "at": policy.stamp(each.at)} for name, each in attempts.items()},
    }


# Which keys


class Key(NamedTuple):
    """One key that `rotate --all` would take: its profiles, its id, and what is known of it in words."""

    profiles: Sequence[str]
    key_id: str
    known: str


def _keys(app: App) -> list[Key]:
    """The keys of this computer, as the scheduled run will find them: without this shell's settings."""
    ours = [row.variable for row in settings.TABLE.values() if app.env.get(row.variable)]
    for variable in (*ours, *jobs.left_out(app.env)):
        app.say(f"note: {variable} is set here, but not for the scheduled run")
    rows = {row.get("key_id"): row for row in reminder.cache(app).load().rows}
    found = finder(app, settings.load(app.paths, {}), mixed=False).every_key()
    for left in found.problems:
        if left.problem:
            app.say(f"skipped: {policy.join(left.profiles)}: {left.problem.message}")
    keys = [(names, find().key_id) for names, find in found.jobs]
    return [Key(tuple(names), key_id, _known(rows.get(key_id) or {})) for names, key_id in keys]


def _known(row: dict[str, Any]) -> str:
    if row.get("refused"):
        return "AWS refused it when it was last seen"
    if not row.get("user"):
        return ""
    created = row.get("created")
    age = f", {policy.old(datetime.now(UTC) - datetime.fromisoformat(created))}" if created else ""
    return f"{row['user']} in {row['account']}{age}"


def _refused(app: App, keys: Sequence[Key], *, yes: bool) -> list[Key]:
    """Which of the keys the person does not want rotated. Raises NeedsPerson."""
    if not keys:
        app.say("No profile here has a key yet; the daily run will find it once there is one.")
        return []
    app.say(_INTRODUCTION)
    width = max(len(policy.join(key.profiles)) for key in keys)
    for key in keys:
        app.say(f"  {policy.join(key.profiles):{width}}  {mask(key.key_id)}  {key.known}".rstrip())
    app.say(_SHARED)

    def agreed(key: Key) -> bool:
        return app.confirm(f"Rotate {mask(key.key_id)} ({policy.join(key.profiles)}) without asking?", default=True)

    return [key for key in keys if not yes and not agreed(key)]


def _exclude(app: App, names: Sequence[str]) -> None:
    """Add profiles to the user's setting `exclude`. Raises Problem if the site does not allow it."""
    if not names:
        return
    from ..settings import ini

    row, now = settings.TABLE["exclude"], settings.load(app.paths, {})
    wanted = tuple(dict.fromkeys([*now.exclude, *names]))
    ceiling = settings.site(app.paths).enforced.get("exclude")
    if ceiling and row.tighten(wanted, ceiling.value) != wanted:
        ask = f"; ask {now.contact}" if now.contact else ""
        refusal = f"your site does not let you exclude {policy.join(names)} ({ceiling.where}){ask}"
        raise Problem(refusal, Hint("config", "get", "exclude"))
    ini.change(app.paths.config_file, "exclude", wanted)
    app.say(f"Excluded from now on: {policy.join(names)} (setting exclude)")


# The unattended run


_LOOKS = 2  # keys an hour, those first that were not looked at for longest


def _recalled(app: App) -> bool:
    """Ask AWS, with one call a key, whether IT has recalled one that the daily run would rotate, since that ran. What
    AWS does not tell now it tells in an hour, or the daily run."""
    cache, wiring, known = reminder.cache(app), Wiring(app, asks=False), jobs.load_runs(app.paths.state_dir)
    rows, found = cache.load().rows, False
    seen = {row["key_id"]: row for row in rows if row.get("key_id")}
    facts = [fact for fact in sections(wiring.files, wiring.keyring.pair) if fact.kind in ROTATABLE]
    excluded = {fact.pair.key_id for fact in facts if fact.pair and fact.profile in app.settings.exclude}
    pairs = {fact.pair: fact.profile for fact in facts if fact.pair and fact.pair.key_id not in excluded}
    pending = [pair for pair in pairs if not seen.get(pair.key_id, {}).get("refused")]
    for pair in sorted(pending, key=lambda pair: seen.get(pair.key_id, {}).get("seen_at") or "")[:_LOOKS]:
        try:
            account = wiring.account(pairs[pair])
            tags = account.tags(pair)
        except Problem as problem:
            app.detail(f"{mask(pair.key_id)}: {problem.message}")
            continue
        row = seen.get(pair.key_id, {})
        created = row.get("created") or "1970-01-01T00:00:00+00:00"  # of a key that is not known yet, rotate asks
        recall = recalled(tags, datetime.fromisoformat(created), account.now())
        row |= {"recall": recall and recall.row, "exempt": is_exempt(tags), "seen_at": policy.stamp(account.now())}
        found = found or bool(recall and not jobs.has_answered(known, recall.at, account.clock_offset))
    with suppress(Problem):
        cache.save(rows)
    return found


class _Unattended(App):
    """Nobody is there: what is complained of is kept until it is known whether it matters."""

    terminal = False

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(env)
        self.complaints: list[str] = []

    def complain(self, text: str, *, exact: bool = False) -> None:
        self.complaints.append(text)


def _rotate(app: App, arguments: Sequence[str]) -> tuple[Attempt, list[str]]:
    """Rotate as these words say; gives what came of it, and what was complained of."""
    from .program import guarded, options
    from .rotate import quietly

    unattended = _Unattended(app.env)
    unattended.log_file = app.log_file
    results: list[Result] = []

    def call() -> int:
        given = options("rotate", [*arguments[1:], *_overlap(unattended)], unattended)
        results.extend(quietly(unattended, **given))
        return exit_code(results)

    code = guarded(unattended, arguments, call)
    message, hint = _outcome(unattended.problem, results, code)
    return Attempt(datetime.now(UTC), code, message, hint), unattended.complaints


def _overlap(app: App) -> Sequence[str]:
    """The schedule's own overlap, unless a setting says otherwise; jobs that were installed long ago have it too."""
    built_in = settings.load(app.paths, app.env).origin["overlap"].source == "built-in"
    return ("--overlap", jobs.OVERLAP) if built_in else ()


def _outcome(problem: Problem | Interrupted | None, results: Sequence[Result], code: int) -> tuple[str, str]:
    """In words what came of a run, and what to type: the problem that decided the code, or how many keys there were."""
    for each, profiles in [(problem, ()), *((result.problem, result.profiles) for result in results)]:
        if code and each and each.code == code:
            return f"{policy.join(profiles)}: {each.message}" if profiles else each.message, each.hint
    keys = [result for result in results if result.problem or result.outcome]
    endings = [r.outcome.ending.value if r.outcome and not r.problem else "problem" for r in keys]
    if not endings:
        return f"exit code {code}" if code else "no key to rotate", ""
    counted = Counter(_WORDS.get(ending, ending) for ending in endings)
    return policy.join(f"{count} {ending}" for ending, count in counted.items()), ""
