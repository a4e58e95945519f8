"""`doctor`: which key is used here and why, what could make a rotation fail, and each remedy. Changes nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..core import policy
from ..core.errors import Problem
from ..core.hints import Hint
from ..core.policy import mask
from ..doctor import Computer, Finding, Level, Report, Where, examine
from ..files.regular import read_start
from ..profiles.which import Active
from . import reminder
from .app import App
from .layout import wrap
from .wiring import Wiring

if TYPE_CHECKING:
    from ..aws.iam import IamAccount

_SHOW = Hint("schedule", "show")


def _reminder(app: App) -> Iterator[Finding]:
    """The reminder: its block in the start-up files, and the program that it runs. Nothing if it is not installed."""
    from ..reminder.shell import has_block

    mine = reminder.folder(app)
    installed = mine.installed()
    for shell, path in installed.places:
        again = Hint("reminder", "install", "--shell", shell)
        if not has_block(read_start(path)) or not os.path.isfile(mine.script(shell)):
            message = f"the reminder was installed in {app.show_path(path)} ({shell}) but is no longer there"
            yield Finding(Level.WARNING, "reminder", message, again, Where(path))
    tool = installed.tool
    if tool and installed.places and not os.access(tool.command, os.X_OK):
        message = f"the reminder runs {app.show_path(tool.command)}, which no longer exists"
        yield Finding(Level.WARNING, "reminder", message, Hint("reminder", "install"), Where(tool.command))


def _schedule(app: App) -> Iterator[Finding]:
    """The daily run: still as it was installed, and no failure that only a person can fix."""
    from ..schedule import job as jobs
    from ..schedule import schedulers

    try:
        job = jobs.this_job(app.env, app.paths)
    except Problem:
        job = None
    there = False
    for scheduler in schedulers(app.env, app.paths, Wiring.of(app).host.name):
        try:
            installed = scheduler.installed(job)
        except Problem as problem:
            yield Finding(Level.WARNING, "schedule", f"{scheduler.title}: {problem.message}", _SHOW)
            continue
        there = there or installed is not None
        if installed and installed.trouble:
            message, where = f"{scheduler.title}: {installed.trouble}", Where(installed.where)
            yield Finding(Level.WARNING, "schedule", message, Hint("schedule", "install"), where)
    failed = jobs.failure(jobs.load_runs(app.paths.state_dir)) if there else None
    if failed:
        message = f"the daily run of {policy.day(failed.at)} failed: {failed.message}"
        yield Finding(Level.WARNING, "schedule", message, failed.hint or _SHOW)


_HIDING = ("key-in-environment", "token-in-environment")
_LEVELS = {Level.BROKEN: "problem", Level.WARNING: "warning", Level.ADVICE: "note"}
_INDENT = " " * 9  # what a finding's level takes
_COLORS = {Level.BROKEN: "red", Level.WARNING: "yellow", Level.ADVICE: "cyan"}


def run(app: App, *, profile: str | None, as_json: bool) -> int:
    """Say which key is used here and why, and what could make a rotation fail."""
    wiring = Wiring(app, asks=False)
    computer = Computer(
        app.env,
        app.paths,
        __version__,
        profile,
        sys.argv[0],
        keyring=wiring.keyring.pair,
        search=wiring.here.places.search,
        put_back=wiring.put_back,
    )
    with app.waiting("checking your keys..."):
        report = examine(computer, partial(_account, wiring), datetime.now(UTC), [*_reminder(app), *_schedule(app)])
    found = (replace(finding, remedy=app.about(finding.remedy)) for finding in report.findings)
    report = replace(report, findings=tuple(found))
    if as_json:
        app.json(_json(report))
    else:
        _tell(app, report)
    return 1 if report.broken else 0


def _account(wiring: Wiring, active: Active) -> IamAccount:
    """The way to AWS for a key; settings that cannot be read are no obstacle here."""
    from ..aws.iam import IamAccount

    try:
        return wiring.account(active.profile)
    except Problem:
        return IamAccount(wiring.aws, active.profile)


def _tell(app: App, report: Report) -> None:
    """First whether all is well, then what to do, then what was not checked."""
    app.out(app.style(summary(report), bold=True))
    if report.active:
        who = f", {report.identity.user} in {report.identity.account}" if report.identity else ""
        hidden = any(found.code in _HIDING and found.level is Level.BROKEN for found in report.findings)
        which = "The profile's key, hidden by the environment," if hidden else "The key in use"
        app.out(f"{which} is {mask(report.active.pair.key_id)}{who}:")
        for reason in report.active.trail:
            app.out(f"  {reason}")
    for finding in report.findings:
        level = app.style(f"{_LEVELS[finding.level]:<8}", fg=_COLORS[finding.level], bold=True)
        app.out(wrap(f"{level} {finding.message}{_where(app, finding)}", app.width(), _INDENT), exact=True)
        app.out(f"{_INDENT}{finding.remedy}", exact=True)
    for text in report.unchecked:
        app.out(f"{text[:1].upper()}{text[1:]}")


def _where(app: App, finding: Finding) -> str:
    """Where it is set, as far as the message does not say so itself."""
    where, words = finding.where, []
    if where.variable and where.variable not in finding.message:
        words.append(where.variable)
    shown = app.show_path(where.file)
    if where.file and shown not in finding.message and where.file not in finding.message:
        words.append(f"{shown}, line {where.line}" if where.line else shown)
    return f" ({', '.join(words)})" if words else ""


def summary(report: Report) -> str:
    """`1 problem, 2 warnings`; where AWS gave no answer, nothing is well for certain."""
    levels = [finding.level for finding in report.findings]
    counted = [policy.number(levels.count(level), word) for level, word in _LEVELS.items() if level in levels]
    if report.active and not report.identity and report.unchecked:
        return f"{', '.join(counted) or 'No problems found'}; AWS could not be asked"
    return ", ".join(counted) if Level.BROKEN in levels or Level.WARNING in levels else "No problems found."


def _json(report: Report) -> dict[str, Any]:
    """See docs/json.md."""
    return {
        "key": _key_json(report),
        "findings": [
            {
                "level": finding.level.value,
                "code": finding.code,
                "message": finding.message,
                "remedy": finding.remedy,
                "file": finding.where.file or None,
                "line": finding.where.line,
                "variable": finding.where.variable or None,
            }
            for finding in report.findings
        ],
        "unchecked": list(report.unchecked),
        "advice": report.advice or None,
    }


def _key_json(report: Report) -> dict[str, Any] | None:
    active, who = report.active, report.identity
    if active is None:
        return None
    return {
        "key_id": active.pair.key_id,
        "profile": active.profile,
        "holder": active.holder,
        "place": {"path": active.place.path, "profile": active.place.profile, "kind": active.place.kind.value},
        "trail": list(active.trail),
        "account": who.account if who else None,
        "user": who.user if who and who.is_user else None,
    }
