"""`config`: what the settings are, where each comes from, and changing the user's own."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import settings
from ..core.errors import Problem, WrongUsage
from ..core.hints import Hint
from ..files.paths import Paths
from ..settings import Settings, ValueOrigin
from .app import App
from .layout import table

if TYPE_CHECKING:
    from ..core.policy import Hook


def show(app: App, *, as_json: bool) -> None:
    """Print a table, or `{"version", "settings": {name: {"value", "source", "asked", "ceiling"}}, "notices"}`."""
    loaded = app.settings
    if as_json:
        entries = {name: _entry(loaded, name) for name in settings.TABLE}
        hooks = [hook.name for hook in _hooks(app)]
        app.json({"settings": entries, "after_rotate": hooks, "notices": list(loaded.notices)})
        return
    rows = [
        (name, loaded.origin[name].text or "-", _whence(loaded.origin[name]), row.meaning)
        for name, row in settings.TABLE.items()
    ]
    head, *lines = table([("SETTING", "VALUE", "FROM", "MEANING"), *rows], app.width())
    app.out("\n".join([app.style(head, bold=True), *lines]))
    for hook in _hooks(app):
        secret = ", with the secret" if hook.secret else ""
        app.out(f"after_rotate {hook.name}{secret}: {shlex.join(hook.command)}  {hook.where}")


def _hooks(app: App) -> tuple[Hook, ...]:
    """The commands that run after a rotation; where they are not run, why."""
    try:
        return settings.after_rotate(app.paths.config_file)
    except Problem as problem:
        app.complain(f"{app.style('note:', fg='yellow')} {problem.message}")
        return ()


def get(app: App, *, name: str, as_json: bool) -> None:
    """Print the value that counts, as it is written in the file, or `{"version", "name", "value", ...}`."""
    row = settings.setting(name)
    loaded = app.settings
    if as_json:
        app.json({"name": row.name, **_entry(loaded, row.name)})
    else:
        app.out(loaded.origin[row.name].text, exact=True)


def set_(app: App, *, name: str, value: str | None, unset: bool) -> None:
    """Write one line of the user's file. A file with other wrong values in it can be mended this way."""
    if unset == (value is not None):
        name, _, given = name.partition("=")  # as other programs have it
        raise WrongUsage("give either a value or --unset", Hint("config", "set", name, value or given or "VALUE"))
    if value is not None:
        return _set(app, name, value)
    from ..settings import ini

    file = app.paths.config_file
    for spelling in dict.fromkeys((name, name.replace("-", "_"))):  # any name that the file has and should not have
        if ini.change(file, spelling, None):
            return app.say(f"{spelling} is no longer set in {app.show_path(file)}")
    return app.say(f"{settings.setting(name).name} was not set in {app.show_path(file)}")


def path(app: App, *, as_json: bool) -> None:
    """Print both paths and whether they are read, or `{"version", "user": {"path", "state"}, "site": {...}}`."""
    found: dict[str, Any] = {}
    lines = []
    for whose, file, look in (("user", app.paths.config_file, _user_state), ("site", app.paths.site_file, _site_state)):
        try:
            state = look(app.paths)
        except Problem as problem:
            state = f"wrong: {problem.message}"
        found[whose] = {"path": file, "state": state}
        lines.append(f"{whose}  {file}  ({state.replace(f'{file} ', '', 1)})")
    app.result(found, *lines, as_json=as_json)


def _set(app: App, name: str, text: str) -> None:
    from ..settings import ini

    try:
        row = settings.setting(name)
    except WrongUsage as wrong:
        near = settings.near(name)
        raise WrongUsage(wrong.message, Hint("config", "set", near, text) if near else wrong.hint) from None
    try:
        value = row.read(text)
    except WrongUsage as wrong:
        hint = Hint("config", "set", row.name, row.example)
        raise WrongUsage(f"{row.name}: {wrong.message}; {wrong.hint}", hint) from None
    if row.kind == "backend":
        from ..keyring.entries import named

        named(str(value))
    site = settings.site(app.paths)
    ceiling = site.enforced.get(row.name)
    if ceiling and row.tighten(value, ceiling.value) != value:
        limit = settings.write(ceiling.value)
        contact = site.enforced.get("contact") or site.settings.get("contact")
        ask = f"; ask {contact.value}" if contact and contact.value else ""
        allowed = _ALLOWED[row.tighter].format(limit or "nothing")
        raise Problem(f"{row.name}: your site {allowed} ({ceiling.where}){ask}", Hint("config", "get", row.name))
    changed = ini.change(app.paths.config_file, row.name, value)
    now, file = f"{'now' if changed else 'already'} {settings.write(value) or 'empty'}", app.paths.config_file
    app.say(f"{row.name} is {now} in {app.show_path(file)}")
    if app.env.get(row.variable):
        app.say(f"note: {row.variable} is set, and overrides it")
    with suppress(Problem):  # another line may be wrong still
        for notice in settings.load(app.paths, app.env, {}).notices:
            app.say(f"note: {notice}")


_ALLOWED = {
    "less": "allows at most {}",
    "more": "asks for at least {}",
    "no": "allows only {}",
    "fewer": "allows only {}",
    "higher": "asks for at least {}",
    "-": "fixes it at {}",
}


def _entry(loaded: Settings, name: str) -> dict[str, object]:
    """One setting for --json: durations as text, lists as arrays, switches as true and false."""
    value, origin = getattr(loaded, name), loaded.origin[name]
    plain = list(value) if isinstance(value, tuple) else value if isinstance(value, bool) else origin.text
    return {"value": plain, "source": origin.source, "asked": origin.asked, "ceiling": origin.ceiling or None}


def _whence(origin: ValueOrigin) -> str:
    if not origin.ceiling:
        return origin.source
    return f"limited by {origin.ceiling}; {origin.source} has {origin.asked or 'nothing'}"


def _user_state(paths: Paths) -> str:
    if not os.path.lexists(paths.config_file):
        return "not there yet"
    settings.user(paths.config_file)
    return "read"


def _site_state(paths: Paths) -> str:
    return settings.site(paths).state
