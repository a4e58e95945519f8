"""Which keys a schedule is for, with the person's consent, and the run that nobody watches."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from typing import Any, NamedTuple

from .. import settings, words
from ..errors import Problem, mask
from ..schedule import job as jobs
from ..schedule.last import Try
from . import reminding
from .app import App
from .session import Finder
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
    rows = {row.get("key_id"): row for row in reminding.cache(app).load().rows}
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


def rotate(app: App, arguments: Sequence[str]) -> tuple[Try, str]:
    """Run `rotate` in this process; gives what came of it, and what it complained about."""
    from .program import run

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([*arguments, "--json"], app.env)
    message, hint = _outcome(out.getvalue(), code)
    return Try(datetime.now(UTC), code, message, hint), err.getvalue()


def _outcome(text: str, code: int) -> tuple[str, str]:
    """In words what `rotate --json` says: the problem that decided the code, or how many keys there were."""
    try:
        told: dict[str, Any] = json.loads(text)
    except ValueError:
        return f"exit code {code}", ""
    entries: list[dict[str, Any]] = told.get("keys", [])
    problems: list[tuple[Any, Any]] = [(told.get("problem"), [])] + [
        (entry.get("problem"), entry.get("profiles")) for entry in entries
    ]
    for problem, profiles in problems:
        if code and problem and problem["code"] == code:
            whose = f"{words.join(profiles)}: " if profiles else ""
            return f"{whose}{problem['message']}", problem["hint"]
    if not entries:
        return "there was no key to rotate", ""
    counted = Counter(_WORDS.get(entry["ending"], entry["ending"]) for entry in entries)
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
