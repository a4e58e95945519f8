"""The report in its forms for programs and for people: JSON, CSV, and a page.

- JSON: docs/json.md has the fields. CSV (RFC 4180, UTF-8): a row a key. A cell that a spreadsheet would take for a
  formula gets an apostrophe in front (OWASP, "CSV Injection").
- The page needs nothing else: no script, no font, no request to anybody. Its charts are numbers here: where each
  rectangle and word stands; `templates/report/page.html.j2` draws them, and escapes what other people named.
- Where all three are kept as files, the page names the two others with the SHA-256 of each.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from .. import __version__
from ..core.errors import WrongUsage
from ..core.hints import Hint
from ..core.policy import format_duration, join, number, span
from ..settings.fleet import WHO, Exempt, FleetSettings, Rule, Who
from .judge import (
    BENCHMARK,
    VERSIONS,
    AgeBar,
    Control,
    Figure,
    KeyCounts,
    Row,
    SignIn,
    Status,
    count,
    figures,
    histogram,
    judge,
    sign_ins,
)
from .messages import day, used
from .model import AccountSurvey, AwsAccount
from .survey import first_code

T = TypeVar("T")


class ReportOrigin(NamedTuple):
    """Who made a report: the caller's ARN, the organization's ID ("" if that was not asked), the command."""

    by: str = ""
    organization: str = ""
    command: str = ""


class Earlier(NamedTuple):
    """An earlier report, read from its JSON: `name` and SHA-256 of that file, `fingerprint` of the rules, `counts` by
    name, what `failed` by the number of the recommendation, the accounts that it covers, and its keys."""

    name: str
    sha256: str
    at: datetime
    fingerprint: str
    counts: Mapping[str, int]
    failed: Mapping[str, int]
    accounts: frozenset[str]
    keys: Sequence[Mapping[str, Any]]


def read_earlier(data: bytes, name: str) -> Earlier:
    """The JSON of a report. Raises WrongUsage for anything else."""
    hint = Hint("fleet", "report", "--json")
    try:
        found = json.loads(data)
        if found["version"] != _VERSION:
            raise WrongUsage(f"{name} was made by a newer version (format {found['version']})", hint)
        keys = [{each: key.get(each) for each in _COMPARED} for key in found["keys"]]
        if not all(value is None or isinstance(value, str | bool) for key in keys for value in key.values()):
            raise ValueError(name)
        at = datetime.fromisoformat(found["at"])
        if at.tzinfo is None or not 2006 <= at.year <= 2200:
            raise ValueError(name)
        return Earlier(
            name,
            sha256(data).hexdigest(),
            at,
            str(found["limits"]["fingerprint"]),
            {each: int(found["counts"][each]) for each in _FIGURES},
            {str(each["number"]): int(each["failed"]) for each in found["controls"] if "failed" in each},
            frozenset(str(each["account"]) for each in found["accounts"] if not each["problem"]),
            keys,
        )
    except (ValueError, ArithmeticError, KeyError, TypeError, AttributeError, RecursionError):
        raise WrongUsage(f"{name} is not a report as --json prints it", hint) from None


_VERSION = 1  # of the JSON
_FIGURES = ("accounts", "failed", "users", "keys", *(each.value for each in Status), "unused")
_COMPARED = ("account", "account_name", "user", "arn", "key_id", "created", "verdict", "unused")
_TO_DO = {Status.ROOT.value, Status.OVERDUE.value, Status.DUE.value}


class Solved(NamedTuple):
    """A key that needed attention in an earlier report and does not now: what it was, and what it is (or `gone`)."""

    then: Mapping[str, Any]
    was: str
    now: str


class ReportChange(NamedTuple):
    """What is different since an earlier report: keys `solved`, and `new` ones, which did not need attention then.
    Keys of accounts that only one of the reports covers (`apart`) are not compared."""

    earlier: Earlier
    solved: Sequence[Solved]
    new: Sequence[Row]
    apart: Sequence[str]


def compare(earlier: Earlier, surveys: Sequence[AccountSurvey], rows: Sequence[Row]) -> ReportChange:
    """Each key with itself: by its ID if both know that, else by its user and date."""
    covered = frozenset(survey.account.number for survey in surveys if not survey.problem)
    both = covered & earlier.accounts
    here = {name: row for row in rows for name in (row.key.key_id, (row.user.arn, time(row.key.created))) if name}
    there = {name for key in earlier.keys if _needy(key) for name in (key["key_id"], (key["arn"], key["created"]))}
    solved = []
    for key in earlier.keys:
        row = here.get(key["key_id"]) or here.get((key["arn"], key["created"]))
        if key["account"] in both and _needy(key) and not (row and row.attention):
            solved.append(Solved(key, _kind(key), row.kind if row else "gone"))
    new = [
        row
        for row in rows
        if row.account.number in both
        and row.attention
        and not ({row.key.key_id, (row.user.arn, time(row.key.created))} - {None}) & there
    ]
    return ReportChange(earlier, solved, new, sorted(covered ^ earlier.accounts))


def _needy(key: Mapping[str, Any]) -> bool:
    """As `Row.attention` has it."""
    return key["verdict"] in _TO_DO or bool(key["unused"])


def _kind(key: Mapping[str, Any]) -> str:
    return "unused" if key["verdict"] == Status.FRESH.value and key["unused"] else str(key["verdict"])


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What a report tells; `now` is when it was made."""

    now: datetime
    settings: FleetSettings
    surveys: Sequence[AccountSurvey]
    rows: Sequence[Row]
    sign_ins: Sequence[SignIn]
    counts: KeyCounts
    figures: Mapping[Control, Figure]
    ages: Sequence[AgeBar]
    origin: ReportOrigin
    change: ReportChange | None

    @property
    def listed(self) -> Sequence[Row]:
        """The keys that somebody should do something about, and those that fail the benchmark."""
        return [row for row in self.rows if row.listed]

    @property
    def code(self) -> int:
        """The exit code: 0 if every account was looked at, else the first of 1, 5, 4, 75 that occurred."""
        return first_code(survey.code for survey in self.surveys)

    def check(self, least: str) -> int:
        """The exit code of `--check`: 3 if a key is `least` (due or overdue) or root's, else that of the report."""
        meant = (Status.ROOT, Status.OVERDUE, *([Status.DUE] if least == "due" else []))
        return 3 if any(self.counts.standings[each] for each in meant) else self.code


def make(
    surveys: Sequence[AccountSurvey],
    settings: FleetSettings,
    mapping: Mapping[str, str],
    now: datetime,
    origin: ReportOrigin = ReportOrigin(),  # noqa: B008  it cannot be changed
    earlier: Earlier | None = None,
) -> KeyReport:
    """Judge all keys; `mapping` has the addresses of owners (see owners.py)."""
    rows, fails = judge(surveys, settings, mapping, now), sign_ins(surveys, now)
    return KeyReport(
        now,
        settings,
        surveys,
        rows,
        fails,
        count(surveys, rows),
        figures(surveys, rows, fails),
        histogram(rows, settings.policy),
        origin,
        compare(earlier, surveys, rows) if earlier else None,
    )


def values(report: KeyReport) -> dict[str, Any]:
    """All of it: every account, every key."""
    settings, counts = report.settings, report.counts
    return {
        "at": time(report.now),
        "by": report.origin.by,
        "organization": report.origin.organization,
        "command": report.origin.command,
        "program": __version__,
        "limits": {
            "where": settings.where,
            "fingerprint": settings.fingerprint,
            "max_age": format_duration(settings.policy.max_age),
            "remind_before": format_duration(settings.policy.remind_before),
            "unused_after": format_duration(settings.unused_after),
        },
        "counts": {
            **{name: getattr(counts, name) for name in ("accounts", "failed", "users", "with_keys", "keys")},
            **{standing.value: number for standing, number in counts.standings.items()},
            **{name: getattr(counts, name) for name in ("unused", "uncertain")},
        },
        "benchmark": f"{BENCHMARK} {VERSIONS[0]}",
        "controls": [
            {
                "number": control.number,
                "v5": control.numbers[1],
                "v7": control.numbers[2],
                "title": control.title,
                "unit": control.unit.value,
                **figure._asdict(),
                "rate": figure.rate,
            }
            for control, figure in report.figures.items()
        ],
        "ages": [
            {
                "from": format_duration(bar.start),
                "to": format_duration(bar.end) if bar.end is not None else None,
                "verdict": bar.verdict.value,
                "keys": bar.keys,
                "exempt": bar.exempt,
            }
            for bar in report.ages
        ],
        "accounts": [_account(survey) for survey in report.surveys],
        "sign_ins": _Each(report.sign_ins, _sign_in),
        "since": _since(report.change) if report.change else None,
        "keys": _Each(report.rows, _key),
    }


def _since(change: ReportChange) -> dict[str, Any]:
    earlier = change.earlier
    return {
        "at": time(earlier.at),
        "sha256": earlier.sha256,
        "fingerprint": earlier.fingerprint,
        "counts": dict(earlier.counts),
        "solved": [
            {**{name: each.then[name] for name in ("account", "arn", "key_id")}, "was": each.was, "now": each.now}
            for each in change.solved
        ],
        "new": [
            {"account": row.account.number, "arn": row.user.arn, "key_id": row.key.key_id, "now": row.kind}
            for row in change.new
        ],
        "apart": list(change.apart),
    }


def _sign_in(each: SignIn) -> dict[str, Any]:
    user = each.user
    return {
        "account": each.account.number,
        "user": user.name,
        "arn": user.arn,
        "mfa": user.mfa,
        "signed_in": time(user.signed_in) if user.signed_in else None,
        "password_set": time(user.password_set) if user.password_set else None,
        "cis": [control.number for control in each.fails],
    }


class _Each(list[dict[str, Any]]):
    """What is told of each, made when the JSON encoder or the page comes to it: thousands at once would take 15 MB."""

    def __init__(self, found: Sequence[T], told: Callable[[T], dict[str, Any]]) -> None:
        super().__init__()
        self._found, self._told = found, told

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._told, self._found)


def time(moment: datetime) -> str:
    """`2026-02-04T09:00:00+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _account(survey: AccountSurvey) -> dict[str, Any]:
    return {
        "account": survey.account.number,
        "name": survey.account.name,
        "users": sum(not user.is_root for user in survey.users),
        "source": survey.source.value,
        "at": time(survey.at) if survey.at else None,
        "problem": {"message": survey.problem, "hint": survey.hint, "code": survey.code} if survey.problem else None,
        "notes": list(survey.notes),
    }


def _key(row: Row) -> dict[str, Any]:
    key, use = row.key, row.key.last_use
    used_at = time(use.at) if use and use.at else None
    return {
        "account": row.account.number,
        "account_name": row.account.name,
        "user": row.user.name,
        "arn": row.user.arn,
        "key_id": key.key_id,
        "active": key.active,
        "verdict": row.standing.value,
        "created": time(key.created),
        "exact": row.exact,
        "age_days": row.age.days,
        "due": time(row.policy.due_at(key.created)),
        "overdue": time(row.policy.overdue_at(key.created)),
        "last_use": {"at": used_at, "service": use.service, "region": use.region} if use else None,
        "unused": row.unused,
        "exempt": row.exempt,
        "exempt_until": str(row.until) if row.until else None,
        "exempt_by": row.by,
        "exempt_ended": row.ended,
        "uncertain": row.uncertain,
        "owner": {"name": row.owner.name, "address": row.owner.address, "how": row.owner.how},
        "cis": [control.number for control in row.fails],
    }


_HEAD = (
    *("verdict", "account", "account_name", "user", "arn", "key_id", "active", "created", "exact", "age_days"),
    *("last_used", "last_used_service", "last_used_region", "unused", "exempt", "uncertain"),
    *("owner", "owner_address", "cis", "problem", "exempt_until", "exempt_by", "exempt_ended"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(report: KeyReport) -> str:
    """Every key, in the order of the report; first a row for each account that could not be looked at."""
    out = io.StringIO()
    rows = csv.DictWriter(out, _HEAD, restval="", extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    for survey in report.surveys:
        if survey.problem:
            there = {"account": survey.account.number, "account_name": safe(survey.account.name)}
            rows.writerow({"verdict": "problem", **there, "problem": safe(survey.problem)})
    rows.writerows(_cells(_key(row)) for row in report.rows)
    return out.getvalue()


def safe(text: str) -> str:
    """The text, so that no spreadsheet runs it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(key: Mapping[str, Any]) -> dict[str, str]:
    """The row of CSV, out of that of JSON."""
    use = key["last_use"] or {"at": "unknown", "service": "", "region": ""}
    flat = {"last_used": use["at"], "last_used_service": use["service"], "last_used_region": use["region"]}
    flat |= {"owner": key["owner"]["name"], "owner_address": key["owner"]["address"], "cis": " ".join(key["cis"])}
    words = {True: "yes", False: "no", None: ""}
    said = {**key, **flat}.items()
    return {
        name: safe(words[value] if value is None or isinstance(value, bool) else str(value))
        for name, value in said
        if name in _HEAD
    }


# In units of the drawing, which grows and shrinks with the page.
WIDTH = 360
_ROW, _BAR = 24, 16
_LABEL, _NUMBER = 88, 56  # room for the words left and right of the bars
STATUS_WORDS = {
    Status.ROOT: "root",
    Status.OVERDUE: "overdue",
    Status.DUE: "due",
    Status.FRESH: "fresh",
    Status.EXEMPT: "exempt",
    Status.INACTIVE: "inactive",
}


def _charts(report: KeyReport) -> Iterator[dict[str, Any]]:
    """How old users' active keys are, for root's are to be deleted whatever their age; how many have which verdict."""
    ages = [(bar.label, {bar.verdict.value: bar.keys, "exempt": bar.exempt}) for bar in report.ages]
    yield _chart("Ages of active keys, without root", ages)
    standings = report.counts.standings.items()
    yield _chart("Verdicts", [(STATUS_WORDS[each], {each.value: number}) for each, number in standings])


def _chart(title: str, parts: Sequence[tuple[str, Mapping[str, int]]]) -> dict[str, Any]:
    """Lines from top to bottom. `words` tells the same to who does not see them."""
    most = max((sum(numbers.values()) for _, numbers in parts), default=0) or 1
    scale = (WIDTH - _LABEL - _NUMBER) / most
    return {
        "title": title,
        "words": "; ".join(f"{label}: {sum(numbers.values()):,}" for label, numbers in parts),
        "width": WIDTH,
        "height": _ROW * len(parts),
        "label": _LABEL - 8,
        "bar": _BAR,
        "lines": [_line(label, numbers, place, scale) for place, (label, numbers) in enumerate(parts)],
    }


def _line(label: str, numbers: Mapping[str, int], place: int, scale: float) -> dict[str, Any]:
    """A bar of pieces, with its label and number; `y` is its upper edge, `middle` where words stand, `end` where the
    number begins. The kind of a piece names its colour."""
    pieces: list[dict[str, Any]] = []
    x, end = float(_LABEL), 0.0
    for kind, count_ in numbers.items():
        if count_:
            width = max(count_ * scale, 1.5)  # one key among thousands is still seen
            pieces.append({"x": round(x, 2), "width": round(width, 2), "kind": kind})
            end = round(x, 2) + round(width, 2)
            x += width
    y = place * _ROW + (_ROW - _BAR) / 2
    edges = {"y": y, "middle": y + _BAR / 2, "end": (end or _LABEL) + 6}
    return {"label": label, "number": sum(numbers.values()), **edges, "pieces": pieces}


_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates", "report")


class DataFile(NamedTuple):
    """One of the files of a report."""

    name: str
    sha256: str


def page(report: KeyReport, *, every: bool = False, twins: Sequence[DataFile] = ()) -> str:
    """The page, with the keys that need attention, or with `every` key. `docs/it/report.md` says what is on it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # here: no other form needs it

    engine = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters.update(
        day=day,
        moment=lambda at: f"{day(at.astimezone(UTC))}, {at.astimezone(UTC):%H:%M} UTC",
        number=lambda value: f"{value:,}",
        count=number,
    )
    stream = engine.get_template("page.html.j2").stream(_values(report, every), twins=twins)
    stream.enable_buffering(500)  # render() would hold each of the parts, 20 MB of them
    return "".join(stream)


def stem(report: KeyReport, account: str = "") -> str:
    """What the names of a report's files begin with: `access-keys-20261125T120000Z`."""
    return f"access-keys-{report.now.astimezone(UTC):%Y%m%dT%H%M%SZ}{account and f'-{account}'}"


def keep(report: KeyReport, name: str, put: Callable[[str, bytes], None], *, every: bool = False) -> list[DataFile]:
    """Hand JSON, CSV and the page, which names the two, to `put`, each with its file name; `name` is their stem."""
    kept: list[DataFile] = []
    for ending, text in (("json", _json), ("csv", table), ("html", lambda it: page(it, every=every, twins=kept))):
        data = text(report).encode()
        put(f"{name}.{ending}", data)
        kept.append(DataFile(f"{name}.{ending}", sha256(data).hexdigest()))
    return kept


def _json(report: KeyReport) -> str:
    """As `--json` prints it."""
    text = io.StringIO()
    json.dump({"version": _VERSION, **values(report)}, text, indent=2, ensure_ascii=False)
    return f"{text.getvalue()}\n"


def _values(report: KeyReport, every: bool) -> dict[str, Any]:
    settings, counts = report.settings, report.counts
    policy, standings = settings.policy, counts.standings
    rows = report.rows if every else report.listed
    seen = [survey.at for survey in report.surveys if survey.at]
    return {
        "now": report.now,
        "version": __version__,
        "origin": report.origin,
        "settings": settings,
        "exempt_rules": join(_rules(settings.exempt, report.now)),
        "limited": join(_said_of(each, report.now) for each in settings.limits),
        "oldest": min(seen, default=None),
        "limits": {
            "due": span(max(policy.max_age - policy.remind_before, timedelta(0))),
            "overdue": span(policy.max_age),
            "unused": span(settings.unused_after),
        },
        "counts": counts,
        "tiles": [  # what to see first: kind (its colour), words, number
            ("root", "of root (delete them)", standings[Status.ROOT]),
            ("overdue", "overdue", standings[Status.OVERDUE]),
            ("due", "due", standings[Status.DUE]),
            ("unused", f"not used for {span(settings.unused_after)}", counts.unused),
        ],
        "charts": list(_charts(report)),
        "benchmark": BENCHMARK,
        "versions": VERSIONS,
        "figures": report.figures,
        "change": report.change,
        "compared": list(_compared(report)),
        "changed": list(_changed(report.change)),
        "sign_ins": report.sign_ins,
        "failed": [survey for survey in report.surveys if survey.problem],
        "unreported": sum(not each.problem and each.source.value == "lists" for each in report.surveys),
        "notes": [(survey.account, note) for survey in report.surveys for note in survey.notes],
        "sums": SUMS,
        "accounts": _accounts(report.surveys, report.rows),
        "owners": _owners(report.rows),
        "total": _sum("All", report.rows),
        "exempt": _exempt(report.rows),
        "several": len(report.surveys) > 1,
        "rows": _Each(rows, lambda row: _row(row, report.now)),
        "rest": len(report.rows) - len(rows),
    }


def _rules(rules: Exempt, now: datetime) -> Iterator[str]:
    yield from _whom(rules)
    if rules.never_signed_in:
        yield "users without a password who never signed in"
    yield from (_said_of(each, now) for each in rules.rules)


def _whom(who: Who) -> Iterator[str]:
    for what in WHO:
        if said := getattr(who, what):
            yield f"{what[:-1] if len(said) == 1 else what} {', '.join(said)}"


def _said_of(rule: Rule, now: datetime) -> str:
    """`contractors (path /ext/, max_age 30d, until 2027-03-31, by jane)`."""
    ages = (f"{name} {format_duration(age) if age is not None else 'never'}" for name, age in rule.limits.items())
    until = [f"{'ended' if rule.over(now.date()) else 'until'} {rule.until}"] if rule.until else []
    return f"{rule.title} ({', '.join([*_whom(rule), *ages, *until, *([f'by {rule.by}'] if rule.by else [])])})"


def _compared(report: KeyReport) -> Iterator[tuple[str, int, int]]:
    """Words, the number in the earlier report, the number now."""
    if not report.change:
        return
    then, counts = report.change.earlier, report.counts
    now = {each.value: many for each, many in counts.standings.items()}
    for name in _FIGURES:
        words = {"accounts": "accounts", "failed": "accounts not checked", "users": "users", "keys": "keys"}
        yield words.get(name, f"{name} keys"), then.counts[name], now.get(name, getattr(counts, name, 0))
    for control, figure in report.figures.items():
        if control.number in then.failed:
            yield f"{VERSIONS[0]} {control.number}, failed", then.failed[control.number], figure.failed


def _changed(change: ReportChange | None) -> Iterator[tuple[str, str, str, str, str]]:
    """Account, user, key, what it was and what it is, of each key that is in another state."""
    for key, was, now in change.solved if change else ():
        yield str(AwsAccount(key["account"], key["account_name"])), key["user"], key["key_id"] or "", was, now
    for row in change.new if change else ():
        yield str(row.account), row.user.name, row.key.key_id or "", "needed nothing", row.kind


def _row(row: Row, now: datetime) -> dict[str, Any]:
    use = used(row.key.last_use, now).removeprefix("last ").removeprefix("used ").removeprefix("use ")
    return {
        "kind": row.kind,
        "verdict": STATUS_WORDS[row.standing] if row.kind != "unused" else "unused",
        "account": row.account,
        "user": row.user.name,
        "key": row.key.key_id or "",
        "age": span(row.age, at_least=not row.exact),
        "created": day(row.key.created),
        "use": use,
        "owner": row.owner.name,
        "address": row.owner.address if row.owner.address != row.owner.name else "",
        "remark": row.remark,
        "cis": ", ".join(control.number for control in row.fails),
    }


SUMS = ("Keys", *(STATUS_WORDS[each].capitalize() for each in Status), "Unused")


def _sum(name: str, rows: Iterable[Row]) -> dict[str, Any]:
    """How many keys of which kind; each has one verdict, and may be unused besides."""
    rows = list(rows)
    kinds = Counter(row.standing for row in rows)
    return {"name": name, "sums": [len(rows), *(kinds[each] for each in Status), sum(row.unused for row in rows)]}


def _grouped(rows: Sequence[Row], of: Callable[[Row], str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(of(row), []).append(row)
    return groups


def _most_first(found: Mapping[str, Any]) -> tuple[Any, ...]:
    _, root, overdue, due, *_, unused = found["sums"]
    return (-root, -overdue, -due, -unused, found["name"])


def _accounts(surveys: Sequence[AccountSurvey], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line an account: first those that could not be looked at, then those with the most to do."""
    there = _grouped(rows, lambda row: row.account.number)
    found = [
        {
            **_sum(str(survey.account), there.get(survey.account.number, ())),
            "users": sum(not user.is_root for user in survey.users),
            "source": survey.source.value,
            "at": survey.at,
            "problem": survey.problem,
        }
        for survey in surveys
    ]
    return sorted(found, key=lambda each: (not each["problem"], *_most_first(each)))


def _owners(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line for each owner who has something to do, the most first; the others in one line."""
    theirs = _grouped(rows, lambda row: row.owner.address or row.owner.name)
    busy = {name: mine for name, mine in theirs.items() if any(row.attention for row in mine)}
    rest = [row for name, mine in theirs.items() if name not in busy for row in mine]
    found = sorted((_sum(name, mine) for name, mine in busy.items()), key=_most_first)
    return [*found, *([_sum(number(len(theirs) - len(busy), "other owner"), rest)] if rest else [])]


def _exempt(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line a user who is left alone and has a key, with why."""
    theirs = _grouped([row for row in rows if row.exempt], lambda row: row.user.arn)
    return [
        {
            "account": mine[0].account,
            "user": mine[0].user.name,
            "why": mine[0].remark,
            "active": f"{sum(row.key.active for row in mine)} of {len(mine)}",
            "age": span(max(row.age for row in mine), at_least=not all(row.exact for row in mine)),
        }
        for mine in sorted(theirs.values(), key=lambda mine: (mine[0].account.number, mine[0].user.name))
    ]
