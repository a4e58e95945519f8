"""`reminder`: adds the login reminder to a shell's start-up file, removes it, shows it, snoozes it; and keeps what
login shells read in step with what is known about the keys, whenever the cached rows are saved. A reminder that cannot
be written stops nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from ..core import policy
from ..core.errors import NotAllowed, Problem, WrongUsage
from ..core.hints import Hint
from ..core.policy import Row, format_duration, parse_duration
from ..files.regular import read_start
from .app import App

if TYPE_CHECKING:
    from ..reminder.folder import Folder
    from ..reminder.state import Item, State
    from ..state.history import FileCache

_LONGEST = timedelta(days=30)


def install(app: App, *, shell: str | None, rc_file: str | None, as_json: bool) -> None:
    """Put the reminder into your shell's start-up file; safe to run again."""
    from ..reminder import shell as shells
    from ..reminder.folder import Installed
    from ..schedule.job import find_program

    chosen = shell or app.shell("reminder")
    path = os.path.abspath(rc_file) if rc_file else shells.rc_file(chosen, app.paths.home, app.env)
    mine = folder(app)
    places = tuple(dict.fromkeys([*mine.installed().places, (chosen, path)]))
    mine.remember(Installed(mine.tool(find_program(app.env, app.paths.home)), places))
    again(app)
    changed = shells.install(path, os.fsencode(shells.guard(chosen, mine.script(chosen))))
    if as_json:
        app.json({"shell": chosen, "rc_file": path, "changed": changed, "script": mine.script(chosen)})
        return
    app.out(f"{'Added to' if changed else 'Already in'} {app.show_path(path)}: the reminder for {chosen}.")
    if note := _unread(app, chosen, path):
        app.say(f"note: {note}")
    app.say("New terminals show one line a day when a key is due. To remove it: rotate-my-key reminder uninstall")


def uninstall(app: App, *, shell: str | None, rc_file: str | None, as_json: bool) -> None:
    """Remove the reminder again, byte for byte; from every shell, unless one is named."""
    changed = remove(app, shell, rc_file)
    lines = [f"Removed from {app.show_path(path)}." for path in changed] or ["The reminder was not installed."]
    app.result({"changed": changed}, *lines, as_json=as_json)


def remove(app: App, shell: str | None = None, rc_file: str | None = None) -> list[str]:
    """Remove it; gives the start-up files that had it."""
    from ..reminder import shell as shells

    mine = folder(app)
    known = mine.installed()
    every = [*known.places, *shells.every_rc_file(app.paths.home, app.env)]
    gone = list(dict.fromkeys(path for name, path in every if shell in (None, name)))
    if rc_file:
        gone = [os.path.abspath(rc_file)]
    changed = [path for path in gone if shells.uninstall(path)]
    left = tuple(place for place in known.places if place[1] not in gone)
    if left:
        mine.remember(known._replace(places=left))
    else:
        mine.remove()
    return changed


def show(app: App, *, shell: str | None, system: bool, as_json: bool) -> None:
    """Show what is installed and what it says next; with --shell or --system, the text for the shell."""
    mine = folder(app)
    if shell or system:
        chosen = shell or app.shell("reminder")
        text = _text(app, mine, chosen, system)
        if as_json:
            app.json({"shell": chosen, "system": system, "text": text})
        else:
            app.out(text.rstrip("\n"), exact=True)
        return
    state, until = mine.load(), _snoozed(app, mine)
    places = mine.installed().places
    value = {
        "installed": [{"shell": shell, "rc_file": path} for shell, path in places],
        "snoozed_until": _iso(until) if until > time.time() else None,
        "next": _iso(mine.next(state, int(time.time())) if state else 0),
        "items": [_item(item) for item in state.items] if state else [],
    }
    lines = [f"installed in {app.show_path(path)} ({name})" for name, path in places]
    lines = lines or ["not installed: rotate-my-key reminder install"]
    app.result(value, *lines, *_lines(state, until, datetime.now(UTC)), as_json=as_json)


def snooze(app: App, *, duration: str, as_json: bool) -> None:
    """Say nothing for a while: `snooze 3d`, at most 30d; 0 ends it. Your site may forbid it."""
    length = parse_duration(duration)
    if length > _LONGEST:
        limit = format_duration(_LONGEST)
        raise WrongUsage(f"{duration} is too long: the longest is {limit}", Hint("reminder", "snooze", limit))
    if length and not app.settings.snooze:
        origin, contact = app.settings.origin["snooze"], app.settings.contact
        ask = f"; ask {contact}" if contact else ""
        raise NotAllowed(f"the reminder cannot be snoozed here ({origin.ceiling or origin.source}){ask}", Hint())
    until = int(time.time() + length.total_seconds()) if length else 0
    folder(app).snooze(until)
    again(app)
    moment = datetime.fromtimestamp(until, UTC)
    text = (
        f"Snoozed until {policy.day(moment)}, {moment.astimezone():%H:%M}." if length else "The reminder is on again."
    )
    app.result({"snoozed_until": _iso(until)}, text, as_json=as_json)


def say(app: App) -> int:
    """What login shells run; `main.py` takes a shorter way there."""
    from ..reminder.login import main
    from .main import run

    return main(folder(app).path, lambda words: run(words, app.env))


def _text(app: App, mine: Folder, shell: str, system: bool) -> str:
    from ..reminder import shell as shells
    from ..schedule.job import find_program

    tool = mine.tool(find_program(app.env, app.paths.home))
    if not system:
        guard = shells.added(b"", os.fsencode(shells.guard(shell, mine.script(shell))))
        return f"{os.fsdecode(guard)}\n# what the line sources:\n{shells.script(shell, tool, mine.folders)}"
    if tool.command.startswith(os.path.join(app.paths.home, "")):
        what = "is in your home directory; install it for all users first: ./install.sh --prefix /usr/local"
        app.complain(f"note: {tool.command} {what}")
    return shells.system_script(shell, tool, app.paths.site_file, sys.platform)


def _unread(app: App, shell: str, path: str) -> str:
    """Why a new terminal may not read that file, or ""."""
    if shell == "powershell" and sys.platform == "win32":
        return "PowerShell 7 reads it; Windows PowerShell 5.1 and cmd do not"
    if shell != "bash" or os.path.basename(path) != ".bashrc":
        return ""
    for name in (".bash_profile", ".bash_login", ".profile"):
        file = os.path.join(os.path.dirname(path), name)
        if os.path.exists(file):
            read = b"bashrc" in read_start(file)
            add = f"; to read both: echo '. ~/.bashrc' >>{app.show_path(file)}"
            return "" if read else f"login shells read {app.show_path(file)} instead{add}"
    none = "login shells (such as ssh) do not read ~/.bashrc; to change that: echo '. ~/.bashrc' >>~/.profile"
    return "" if sys.platform == "darwin" else none


def _item(item: Item) -> dict[str, object]:
    until = _iso(item.until)
    times = {"due": _iso(item.at), "overdue": until} if item.created else {"until": until}
    return {"kind": item.kind, "key_id": item.key_id, "profiles": list(item.names), **times}


def _lines(state: State | None, until: int, now: datetime) -> list[str]:
    from ..reminder.state import line

    lines = []
    if until > now.timestamp():
        lines.append(f"snoozed until {policy.day(datetime.fromtimestamp(until, UTC), now)}")
    if state is None:
        return [*lines, "your keys have not been looked up yet: rotate-my-key status"]
    ripe = [item for item in state.items if item.at <= now.timestamp()]
    if ripe:
        lines.append(f"says next: {line(ripe, state.limit, int(now.timestamp()), 'default')}")
    coming = [item.at for item in state.items if item.at > now.timestamp()]
    if coming:
        lines.append(f"the next key is due on {policy.day(datetime.fromtimestamp(min(coming), UTC), now)}")
    return lines


def _iso(moment: int) -> str | None:
    return datetime.fromtimestamp(moment, UTC).isoformat() if moment else None


# What login shells read


def cache(app: App) -> FileCache:
    """What AWS last said of the keys here. Made before the files are read: what changes later is newer."""
    from ..state.history import FileCache

    paths, made_from = app.paths, _newest(app)
    return FileCache(
        os.path.join(paths.state_dir, "status.json"),
        (paths.credentials, paths.config),
        lambda rows: _keep(app, partial(_update, app, rows, made_from)),
    )


def folder(app: App) -> Folder:
    """This user's folder of the reminder."""
    from ..reminder.folder import Folder
    from ..reminder.shell import Folders

    paths = app.paths
    config = os.path.dirname(paths.config_file)
    return Folder(Folders(os.path.join(paths.state_dir, "reminder"), config, paths.site_file))


def again(app: App) -> None:
    """Write it again from what is cached. Raises Problem."""
    kept = cache(app).load()
    _update(app, kept.rows, _newest(app) if kept.current else 0)


def refresh(app: App) -> None:
    """The same after a run that learnt nothing of a key, and may have left a rotation unfinished."""
    _keep(app, partial(again, app))


def _keep(app: App, write: Callable[[], None]) -> None:
    try:
        write()
    except Problem as problem:
        app.detail(f"the reminder could not be kept up to date: {problem.message}")


def _update(app: App, rows: Sequence[Row], made_from: int) -> None:
    """Write it. With `made_from` 0 the next login asks AWS. Raises Problem."""
    from ..reminder.folder import derive
    from ..reminder.state import FAILED, Item
    from ..rotation.facts import is_begun
    from ..rotation.survey import with_notes
    from ..rotation.unfinished import unfinished
    from ..schedule import job
    from .wiring import Wiring

    now, mine = int(time.time()), folder(app)
    here = Wiring.of(app).here
    marked = with_notes(rows, unfinished(here, mend=False)) if is_begun(here) else rows
    found = derive(marked, app.settings.policy, app.settings.exclude)
    scheduled = os.path.lexists(os.path.join(app.paths.state_dir, job.FILE))
    if scheduled and (failed := job.failure(job.load_runs(app.paths.state_dir))):  # nobody watches the daily run
        found.items.append(Item(FAILED, "schedule", (), 0, created=int(failed.at.timestamp())))
    found.snoozed = _snoozed(app, mine)
    mine.write(found, made_from, now)


def _snoozed(app: App, mine: Folder) -> int:
    """Until when nothing is said; 0 where the site allows no putting off."""
    return mine.snoozed() if app.settings.snooze else 0


def _newest(app: App) -> int:
    paths = app.paths
    rotations = os.path.join(paths.state_dir, "rotations")
    times = [0]
    for path in (paths.credentials, paths.config, paths.config_file, paths.site_file, rotations):
        try:
            times.append(os.stat(path).st_mtime_ns)
        except (OSError, ValueError):
            continue
    return max(times)
