"""`fleet report`: every key of all users; for a terminal numbers, a histogram of ages, and a table."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from ...core.errors import WrongUsage, explain
from ...core.hints import Hint
from ...core.policy import clock, day, format_duration, mask, number, span, used
from ...fleet.judge import BENCHMARK, VERSIONS, AgeBar, Row, Status
from ...fleet.notices import Remark, about, alike, failed
from ...fleet.report import Earlier, KeyReport, RecallCurve, ReportOrigin, keep, page, stem, table, values
from ..app import App
from ..layout import table as fitted
from .common import chosen, open_fleet, stoppable, surveyed, tell_unseen

if TYPE_CHECKING:  # loaded for the terminal alone
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


_STYLES = {"root": "bold magenta", "overdue": "red", "due": "yellow", "unused": "cyan", "fresh": "green"}
_STYLES |= {"exempt": "dim", "inactive": "dim"}
_WIDEST = 40  # of the bars, in columns
_LISTED = 30  # users who are open; --json has all
_PIPE_WIDTH = 200  # where there is no terminal to fit into
_FITS_OWNER, _WIDE = 100, 140  # columns of a terminal that has room for owners, and for all of it


def report(
    app: App,
    *,
    every: bool,
    exact: bool,
    recalls: bool,
    since: str | None,
    out: str | None,
    least: str | None,
    user: tuple[str, ...],
    account: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
    as_html: bool,
) -> int:
    """Print it in one of its forms, then say on stderr, with --quiet too, which accounts failed."""
    if as_json + as_csv + as_html + bool(out) > 1:
        what = "--json, --csv and --html" if not out else "--out and --json, --csv or --html"
        raise WrongUsage(f"{what} cannot be combined", Hint("fleet", "report", "--html"))
    earlier = Earlier(_bytes(since), since) if since else None
    with stoppable(app, "nothing was changed"):
        settings, assembly = open_fleet(app)
        settings = chosen(app, replace(settings, include=()), user, account)  # [include] is for what is sent and done
        surveys, mapping, now = surveyed(app, settings, assembly, user, account, lambda user: recalls, exact=exact)
    origin = ReportOrigin(assembly.organization.me().arn, assembly.organization.number, str(app.again()))
    found = KeyReport(surveys, settings, mapping, now, origin, earlier, recalls=recalls)
    if out:
        for file in keep(found, stem(found), partial(_write, out), every=every):
            app.out(f"{file.sha256}  {file.name}")
    elif not (least and app.quiet):  # a script looks at the exit code alone
        _put(app, found, every=every, as_json=as_json, as_csv=as_csv, as_html=as_html)
    if found.recalls is not None and not as_json and not (least and app.quiet):
        tell = app.say if as_csv or as_html or out else app.out
        for line in (line for each in found.recalls for line in _curve(each, now)):
            tell(_printable(line))
        if not found.recalls and not found.code:
            app.say("No user is recalled.")
    tell_unseen(app, assembly, surveys, settings)
    for same in alike(Remark(str(each.account), note) for each in surveys for note in each.notes):
        app.say(f"{about(same)}: {same.text}")
    return found.check(least) if least else found.code


def _put(app: App, found: KeyReport, *, every: bool, **form: bool) -> None:
    if form["as_json"]:
        app.json(values(found))
    elif form["as_csv"]:
        app.put(table(found))
    elif form["as_html"]:
        app.put(chain(page(found, every=every), ("\n",)))
    else:
        app.out(report_text(found, app, every=every), exact=True)


def _curve(curve: RecallCurve, now: datetime) -> Iterator[str]:
    """A recall for a terminal: a bar for each day, and who is still open."""
    recall, both = curve.recall, f" ({curve.both} with an old key that still works)" if curve.both else ""
    yield f"Recall of {clock(recall.at, now)}, to be replaced by {clock(recall.by, now)}: {recall.reason}"
    off = f"{curve.off} without a key"
    yield f"  {number(curve.users, 'user')}: {curve.rotated} rotated{both}, {len(curve.still)} open, {off}"
    for each_day, many in curve.by_day:
        share = many / curve.users
        yield f"  {each_day}  {'#' * round(share * _WIDEST):{_WIDEST}}  {share:4.0%}"
    for account, user, owner in curve.still[:_LISTED]:
        yield f"  open: {user} in {account} ({owner.address or owner.name})"
    if len(curve.still) > _LISTED:
        yield f"  and {len(curve.still) - _LISTED:,} more; --json has all"


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise explain(error, "read", path) from None


def _write(folder: str, name: str, data: bytes) -> None:
    """A new file in the folder, which is made if it is not there."""
    path = os.path.join(folder, name)
    try:
        os.makedirs(folder, exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)
    except OSError as error:
        raise explain(error, "write", path) from None


def report_text(report: KeyReport, app: App, *, every: bool) -> str:
    """The whole report as text, coloured for a terminal."""
    from rich.console import Console

    terminal = sys.stdout is not None and sys.stdout.isatty()
    console = Console(
        file=io.StringIO(),
        force_terminal=terminal or app.forced_color,
        no_color=app.no_color,
        width=shutil.get_terminal_size().columns if terminal else _PIPE_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not terminal,
        legacy_windows=False,
    )
    utf8 = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "").startswith("utf")
    with console.capture() as capture:
        _print(console, report, app.width(), every=every, block="█" if utf8 else "#")
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def _print(console: Console, report: KeyReport, width: int, *, every: bool, block: str) -> None:
    from rich.text import Text

    for line in _summary(report):
        console.print(Text(line))
    rows = report.rows if every else report.listed
    broken = "\n".join(
        f"unknown  {about(same, most=len(same.abouts))}: {same.text}"
        for same in failed(report.surveys, report.settings.accounts)
    )
    rest = len(report.rows) - len(rows)
    for there, part in (
        (any(bar.keys or bar.exempt for bar in report.ages), lambda: _histogram(report.ages, block)),
        (broken, lambda: Text(_printable(broken, "\n"), style="red")),
        (rows, lambda: _keys(report, rows, width)),
        (rest, lambda: Text(f"{number(rest, 'more key')} without need for action (--all shows every key)")),
        (report.change, lambda: Text(_printable("\n".join(_change(report)), "\n"))),
    ):
        if there:
            console.print()
            console.print(part())


def _summary(report: KeyReport) -> Iterator[str]:
    counts, policy = report.counts, report.settings.policy
    due = format_duration(max(policy.max_age - policy.remind_before, policy.max_age * 0))
    failed = f" ({counts['failed']:,} failed)" if counts["failed"] else ""
    yield (
        f"{number(counts['accounts'], 'account')}{failed}, "
        f"{number(counts['users'], 'user')}, {number(counts['keys'], 'key')}; "
        f"due at {due}, overdue at {format_duration(policy.max_age)}"
    )
    kinds = [f"{counts[each.value]:,} {'of root' if each is Status.ROOT else each.value}" for each in Status]
    kinds[1] += f" ({counts['recalled']:,} recalled)" if counts["recalled"] else ""
    yield ", ".join([*kinds, f"{counts['unused']:,} not used for {format_duration(report.settings.unused_after)}"])
    failing = [f"{seen.failed:,} fail {each.number}" for each, seen in report.figures.items() if seen.failed]
    exempt = " (the benchmark has no exemptions)" if any(seen.exempt for seen in report.figures.values()) else ""
    yield f"{BENCHMARK} {VERSIONS[0]}: {', '.join(failing) or 'nothing fails'}{exempt}"
    if report.sign_ins:
        fail = "fails" if len(report.sign_ins) == 1 else "fail"
        yield f"{number(len(report.sign_ins), 'user')} of these {fail} by password or MFA (--html and --json list them)"
    if counts["uncertain"]:
        yield f"{number(counts['uncertain'], 'key')} of users who may be exempt: this could not be read"
    ages = [report.now - survey.at for survey in report.surveys if survey.at]
    if ages and max(ages).total_seconds() >= 60:
        yield f"the oldest data is {span(max(ages))} old: AWS creates credential reports every four hours"


def _change(report: KeyReport) -> Iterator[str]:
    if change := report.change:
        earlier, names = change.earlier, (*(each.value for each in Status), "unused")
        kinds = (f"{name} {earlier.counts[name]:,} -> {report.counts[name]:,}" for name in names)
        yield f"since {day(earlier.at)} ({earlier.name}): {', '.join(kinds)}"
        verb = "needs" if len(change.solved) == 1 else "need"
        yield f"{number(len(change.solved), 'key')} no longer {verb} attention, {len(change.new):,} new"
        if earlier.fingerprint != report.settings.fingerprint:
            yield "the rules changed in between"
        if change.apart:
            yield f"not compared, since only one of the reports covers them: {', '.join(change.apart)}"


def _histogram(bars: Sequence[AgeBar], block: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    most = max(bar.keys + bar.exempt for bar in bars)
    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    table.add_column("AGE", justify="right")
    table.add_column("KEYS", justify="right")
    table.add_column("active keys of users, without root")
    for bar in bars:
        total = bar.keys + bar.exempt
        width = -(-total * _WIDEST // most)
        exempt = bar.exempt * width // total if total else 0
        drawn = Text(block * (width - exempt), style=_STYLES[bar.verdict.value])
        drawn.append(block * exempt, style=_STYLES["exempt"])
        drawn.append(f" {bar.exempt:,} exempt" if bar.exempt else "", style=_STYLES["exempt"])
        table.add_row(bar.label, f"{total:,}", drawn)
    return table


def _keys(report: KeyReport, rows: Sequence[Row], width: int) -> Text:
    """A row a key, fitted to that width as all tables are; 0 for no terminal."""
    from rich.text import Text

    columns = {name: cell for name, (least, cell) in _COLUMNS.items() if (width or _PIPE_WIDTH) >= least}
    if report.counts["accounts"] == 1:
        del columns["ACCOUNT"]
    wide = not width or width >= _WIDE
    cells = [[row.kind, *(_printable(cell(row, report.now, wide)) for cell in columns.values())] for row in rows]
    lines = fitted([["VERDICT", *columns], *cells], width)
    shown = [Text(lines[0], style="bold")]
    for row, line in zip(rows, lines[1:], strict=True):
        shown.append(Text.assemble((row.kind, _STYLES[row.kind]), line.removeprefix(row.kind)))
    return Text("\n").join(shown)


def _last_use(row: Row, now: datetime, wide: bool) -> str:
    use = row.key.last_use
    if use is None:
        return "unknown"
    where = (use.service, use.region) if wide else ("", "")
    return used(use.at, *where, now).removeprefix("last ").removeprefix("used ")


# By name: from which width of the terminal on, and what stands there. An age from the credential report is a least one:
# the key may have been changed since it was made.
_COLUMNS: Mapping[str, tuple[int, Callable[[Row, datetime, bool], str]]] = {
    "ACCOUNT": (0, lambda row, now, wide: str(row.account) if wide else row.account.name or row.account.number),
    "USER": (0, lambda row, now, wide: row.user.name),
    "KEY": (0, lambda row, now, wide: mask(row.key.key_id) if row.key.key_id else "-"),
    "AGE": (0, lambda row, now, wide: span(row.age, at_least=not row.exact)),
    "LAST USE": (0, _last_use),
    "OWNER": (_FITS_OWNER, lambda row, now, wide: row.owner.address or row.owner.name),
    "CIS": (_FITS_OWNER, lambda row, now, wide: " ".join(control.number for control in row.fails)),
    "": (0, lambda row, now, wide: row.remark),
}


def _printable(text: str, but: str = "") -> str:
    """Names and tags are other people's words: none of them may steer the terminal."""
    return "".join(sign if sign.isprintable() or sign in but else "?" for sign in text)
