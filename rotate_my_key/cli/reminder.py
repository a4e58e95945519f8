"""`reminder`: puts the login reminder into a shell's start-up file, takes it out, shows it, puts it off."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..core import words
from ..core.errors import NeedsPerson, NotAllowed, Problem, WrongUsage
from ..core.policy import format_duration, parse_duration
from ..files.regular import read_start
from ..reminder import shell as shells
from ..reminder.folder import Folder, Installed
from ..reminder.shell import Tool
from . import reminding
from .app import App, _is_terminal

if TYPE_CHECKING:
    from ..reminder.state import Item, State

_LONGEST = timedelta(days=30)


def install(app: App, *, shell: str | None, rc_file: str | None, as_json: bool) -> None:
    """Put the reminder into your shell's start-up file; safe to run again."""
    chosen = shell or _detect(app)
    path = _rc_file(app, chosen, rc_file)
    mine = reminding.folder(app)
    before = mine.installed()
    places = tuple(dict.fromkeys([*before.places, (chosen, path)]))
    line = os.fsencode(shells.guard(chosen, mine.script(chosen)))
    mine.remember(Installed(_tool(app, mine), places))
    reminding.again(app)
    changed = shells.install(path, line)
    if as_json:
        app.json({"shell": chosen, "rc_file": path, "changed": changed, "script": mine.script(chosen)})
        return
    app.out(f"{app.show_path(path)}: the reminder is {'in it now' if changed else 'in it already'} ({chosen})")
    note = _unread(app, chosen, path)
    if note:
        app.say(f"note: {note}")
    app.say("New terminals say one line a day when a key is due. To take it out: rotate-my-key reminder uninstall")


def uninstall(app: App, *, shell: str | None, rc_file: str | None, as_json: bool) -> None:
    """Take the reminder out again, byte for byte; from every shell, unless one is named."""
    mine = reminding.folder(app)
    known = mine.installed()
    if rc_file:
        targets = [(shell or "", os.path.abspath(rc_file))]
    else:
        every = [*known.places, *shells.every_rc_file(app.paths.home, app.env)]
        targets = [place for place in dict.fromkeys(every) if shell in (None, place[0])]
    changed = list(dict.fromkeys(path for _, path in targets if shells.uninstall(path)))
    gone = {path for _, path in targets}
    left = tuple(place for place in known.places if place[1] not in gone)
    if left:
        mine.remember(known._replace(places=left))
    else:
        mine.remove()
    if as_json:
        app.json({"changed": changed})
        return
    for path in changed:
        app.out(f"{app.show_path(path)}: the reminder is out of it")
    if not changed:
        app.out("The reminder was not installed.")


def show(app: App, *, shell: str | None, system: bool, as_json: bool) -> None:
    """What is installed and when it speaks next; with --shell or --system the text that goes into the shell."""
    mine = reminding.folder(app)
    if shell or system:
        chosen = shell or _detect(app)
        text = _text(app, mine, chosen, system)
        if as_json:
            app.json({"shell": chosen, "system": system, "text": text})
        else:
            app.out(text.rstrip("\n"))
        return
    places, state = mine.installed().places, mine.load()
    now = datetime.now(UTC)
    if as_json:
        app.json(_report(app, mine, state))
        return
    for name, path in places:
        app.out(f"installed in {app.show_path(path)} ({name})")
    if not places:
        app.out("not installed (rotate-my-key reminder install)")
    for line in _lines(state, reminding.snoozed(app, mine), now):
        app.out(line)


def snooze(app: App, *, duration: str, as_json: bool) -> None:
    """Say nothing for a while: `snooze 3d`, at most 30d; 0 ends it. Your site may forbid it."""
    length = parse_duration(duration)
    if length > _LONGEST:
        limit = format_duration(_LONGEST)
        raise WrongUsage(f"{duration} is too long: the longest is {limit}", f"rotate-my-key reminder snooze {limit}")
    if length and not app.settings.snooze:
        raise NotAllowed(*_forbidden(app))
    mine = reminding.folder(app)
    until = int(time.time() + length.total_seconds()) if length else 0
    mine.snooze(until)
    reminding.again(app)
    moment = datetime.fromtimestamp(until, UTC)
    if as_json:
        app.json({"snoozed_until": moment.isoformat() if length else None})
    elif length:
        app.out(f"The reminder is silent until {words.day(moment)}, {moment.astimezone():%H:%M}.")
    else:
        app.out("The reminder speaks again.")


def say(app: App) -> int:
    """What login shells run; `main.py` takes a shorter way there."""
    from ..reminder.login import ASK, main
    from .main import run

    return main(reminding.folder(app).path, lambda: run(ASK, app.env))


def _detect(app: App) -> str:
    found = shells.detect(app.env, os.getppid(), shells.process, terminal=_is_terminal(sys.stderr))
    if not found:
        raise NeedsPerson("cannot tell which shell you use", "rotate-my-key reminder install --shell bash")
    return found


def _rc_file(app: App, shell: str, given: str | None) -> str:
    return os.path.abspath(given) if given else shells.rc_file(shell, app.paths.home, app.env)


def _tool(app: App, mine: Folder) -> Tool:
    """The program by a path that stays when it is upgraded: the link that its installer made, if there is one."""
    own = os.path.dirname(os.path.abspath(sys.executable))
    name = "rotate-my-key.exe" if sys.platform == "win32" else "rotate-my-key"
    folders = [*app.env.get("PATH", "").split(os.pathsep), os.path.join(app.paths.home, ".local", "bin")]
    above = own
    while above != os.path.dirname(above):
        above = os.path.dirname(above)
        folders.append(os.path.join(above, "bin"))
    ours = os.path.realpath(os.path.join(own, name))
    for folder in [*filter(os.path.isabs, folders), own]:
        path = os.path.join(folder, name)
        if folder != own and os.path.realpath(path) == ours and os.access(path, os.X_OK):
            return mine.tool(path)
    if os.access(os.path.join(own, name), os.X_OK):
        return mine.tool(os.path.join(own, name))
    raise Problem("cannot tell where rotate-my-key is installed: it was not started as a command", "./install.sh")


def _text(app: App, mine: Folder, shell: str, system: bool) -> str:
    tool = _tool(app, mine)
    if not system:
        guard = shells.added(b"", os.fsencode(shells.guard(shell, mine.script(shell))))
        with_comment = "# what the line sources:"
        return f"{os.fsdecode(guard)}\n{with_comment}\n{shells.script(shell, tool, mine.folders)}"
    if tool.command.startswith(os.path.join(app.paths.home, "")):
        app.complain(
            f"note: {tool.command} is in your home; ship a file made where everybody's is: --prefix /usr/local"
        )
    return shells.system_script(shell, tool, app.paths.site_file, sys.platform)


def _unread(app: App, shell: str, path: str) -> str:
    """Why a new terminal may not read that file, or ""."""
    if shell != "bash" or os.path.basename(path) != ".bashrc":
        return ""
    for name in (".bash_profile", ".bash_login", ".profile"):
        file = os.path.join(os.path.dirname(path), name)
        if os.path.exists(file):
            return "" if b"bashrc" in read_start(file) else f"login shells read {app.show_path(file)} instead"
    return (
        "" if sys.platform == "darwin" else "login shells (ssh) read ~/.profile, and there is none that reads ~/.bashrc"
    )


def _forbidden(app: App) -> tuple[str, str]:
    origin, contact = app.settings.origin["snooze"], app.settings.contact
    ask = f"; ask {contact}" if contact else ""
    return f"the reminder may not be put off here ({origin.ceiling or origin.source}){ask}", "rotate-my-key"


def _report(app: App, mine: Folder, state: State | None) -> dict[str, object]:
    until = reminding.snoozed(app, mine)
    return {
        "installed": [{"shell": shell, "rc_file": path} for shell, path in mine.installed().places],
        "snoozed_until": _iso(until) if until > time.time() else None,
        "next": _iso(_next(mine, state)),
        "items": [_item(item) for item in state.items] if state else [],
    }


def _item(item: Item) -> dict[str, object]:
    times = {"due": item.at, "overdue": item.until} if item.created else {"until": item.until}
    named = {name: _iso(moment) for name, moment in times.items()}
    return {"kind": item.kind, "key_id": item.key_id, "profiles": list(item.names), **named}


def _next(mine: Folder, state: State | None) -> int:
    """When there is something to say, in epoch seconds; 0 if never."""
    from ..reminder import login
    from ..reminder.state import first

    said = mine.said(int(time.time()))
    return (first(state, said, login.midnights(said)) or 0) if state else 0


def _lines(state: State | None, until: int, now: datetime) -> list[str]:
    from ..reminder.state import line

    lines = []
    if until > now.timestamp():
        lines.append(f"silent until {words.day(datetime.fromtimestamp(until, UTC), now)}")
    if state is None:
        return [*lines, "nothing is known of your keys yet (rotate-my-key status)"]
    ripe = [item for item in state.items if item.at <= now.timestamp()]
    if ripe:
        lines.append(f"to say: {line(ripe, state.limit, int(now.timestamp()), 'default')}")
    coming = [item.at for item in state.items if item.at > now.timestamp()]
    if coming:
        lines.append(f"the next key is due on {words.day(datetime.fromtimestamp(min(coming), UTC), now)}")
    return lines


def _iso(moment: int) -> str | None:
    return datetime.fromtimestamp(moment, UTC).isoformat() if moment else None
