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
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from .. import __version__
from ..core.errors import WrongUsage
from ..core.hints import Hint
from ..core.model import Recall, read_recall
from ..core.policy import format_duration, join, number, span, stamp
from ..settings.fleet import WHO, Exempt, FleetSettings, Rule, Who
from . import judge
from .judge import BENCHMARK, VERSIONS, Addresses, AgeBar, Control, Figure, Row, SignIn, Status
from .messages import day, used
from .model import AccountSurvey, AwsAccount, FleetUser, Owner
from .survey import first_code


class ReportOrigin(NamedTuple):
    """Who made a report: the caller's ARN, the organization's ID ("" if that was not asked), the command."""

    by: str = ""
    organization: str = ""
    command: str = ""


class Earlier:
    """An earlier report, read from its JSON: `name` and SHA-256 of that file, `fingerprint` of the rules, `counts` by
    name, what `failed` by the number of the recommendation, the accounts that it covers, and its keys. Raises
    WrongUsage for anything else."""

    def __init__(self, data: bytes, name: str) -> None:
        hint = Hint("fleet", "report", "--json")
        self.name, self.sha256 = name, sha256(data).hexdigest()
        try:
            found = json.loads(data)
            if found["version"] != _VERSION:
                raise WrongUsage(f"{name} was made by a newer version (format {found['version']})", hint)
            self.keys = [{each: key.get(each) for each in _COMPARED} for key in found["keys"]]
            if not all(value is None or isinstance(value, str | bool) for key in self.keys for value in key.values()):
                raise ValueError(name)
            self.at = datetime.fromisoformat(found["at"])
            if self.at.tzinfo is None or not 2006 <= self.at.year <= 2200:
                raise ValueError(name)
            self.fingerprint = str(found["limits"]["fingerprint"])
            self.counts = {each: int(found["counts"][each]) for each in _FIGURES}
            failed = (each for each in found["controls"] if "failed" in each)
            self.failed = {str(each["number"]): int(each["failed"]) for each in failed}
            self.accounts = {str(each["account"]) for each in found["accounts"] if not each["problem"]}
        except (ValueError, ArithmeticError, KeyError, TypeError, AttributeError, RecursionError):
            raise WrongUsage(f"{name} is not a report as --json prints it", hint) from None


_VERSION = 1  # of the JSON
_FIGURES = ("accounts", "failed", "users", "keys", *(each.value for each in Status), "unused")
_COMPARED = ("account", "account_name", "user", "arn", "key_id", "created", "verdict", "unused")


class Solved(NamedTuple):
    """A key that needed attention in an earlier report and does not now: what it was, and what it is (or `gone`)."""

    then: Mapping[str, Any]
    was: str
    now: str


class ReportChange:
    """What is different since an earlier report: keys `solved`, and `new` ones, which did not need attention then. A
    key is compared with itself, by its ID if both know that, else by its user and date; keys of accounts that only one
    of the reports covers (`apart`) are not."""

    def __init__(self, earlier: Earlier, surveys: Sequence[AccountSurvey], rows: Sequence[Row]) -> None:
        covered = {survey.account.number for survey in surveys if not survey.problem}
        both, self.earlier, self.apart = covered & earlier.accounts, earlier, sorted(covered ^ earlier.accounts)
        here = {name: row for row in rows for name in (row.key.key_id, (row.user.arn, stamp(row.key.created))) if name}
        needy = [key for key in earlier.keys if _kind(key) in _TO_DO]
        there = {name for key in needy for name in (key["key_id"], (key["arn"], key["created"]))}
        self.solved = []
        for key in needy:
            row = here.get(key["key_id"]) or here.get((key["arn"], key["created"]))
            if key["account"] in both and not (row and row.attention):
                self.solved.append(Solved(key, _kind(key), row.kind if row else "gone"))
        self.new = [
            row
            for row in rows
            if row.account.number in both
            and row.attention
            and not ({row.key.key_id, (row.user.arn, stamp(row.key.created))} - {None}) & there
        ]


_TO_DO = {"root", "overdue", "due", "unused"}  # as `Row.attention` has it


def _kind(key: Mapping[str, Any]) -> str:
    return "unused" if key["verdict"] == Status.FRESH.value and key["unused"] else str(key["verdict"])


class RecallCurve:
    """One recall: `users` by what became of them, and how many had answered `by_day`, in all, at the end of each day.
    `rotated`: they have a younger key (of which `both` have an old one, too, that still works); `still` have none, each
    with account and owner; of the others, `off`, no key works."""

    def __init__(
        self, marks: Sequence[tuple[Recall, AwsAccount, FleetUser]], settings: FleetSettings, mapping: Addresses
    ) -> None:
        days, self.both, still, total = Counter[date](), 0, list[tuple[AwsAccount, str, Owner]](), 0
        for recall, account, user in marks:
            active = [key.created for key in user.keys if key.active]
            younger = [created for created in active if created >= recall.at]
            if younger:
                days[min(younger).date()] += 1
                self.both += len(younger) < len(active)
            elif active:
                still.append((account, user.name, judge.owner_of(user, settings.owners, mapping)))
        self.by_day = [(day, total := total + days[day]) for day in sorted(days)]
        self.recall, self.users, self.rotated = marks[0][0], len(marks), total
        self.still, self.off = sorted(still, key=lambda each: each[:2]), len(marks) - total - len(still)


def curves(
    surveys: Iterable[AccountSurvey], settings: FleetSettings, mapping: Addresses, now: datetime
) -> list[RecallCurve]:
    """The recalls that the tags of all users tell of, the latest first; whoever is exempt is in none."""
    found: dict[tuple[str, datetime], list[tuple[Recall, AwsAccount, FleetUser]]] = {}
    for account, user in ((survey.account, user) for survey in surveys for user in survey.users):
        if (recall := read_recall(user.tags)) and not judge.exempt(user, settings.exempt, None, now.date()):
            found.setdefault((recall.reason, recall.by), []).append((recall, account, user))
    made = (RecallCurve(marks, settings, mapping) for marks in found.values())
    return sorted(made, key=lambda curve: curve.recall.at, reverse=True)


class KeyReport:
    """What a report tells of these surveys: all keys judged, counted and compared. `mapping` has the addresses of
    owners; `now` is when it is made; its recalls are None if the tags of all users were not read."""

    def __init__(
        self,
        surveys: Sequence[AccountSurvey],
        settings: FleetSettings,
        mapping: Addresses,
        now: datetime,
        origin: ReportOrigin = ReportOrigin(),  # noqa: B008  it cannot be changed
        earlier: Earlier | None = None,
        *,
        recalls: bool = False,
    ) -> None:
        self.surveys, self.settings, self.now, self.origin = surveys, settings, now, origin
        self.rows, self.sign_ins = judge.judge(surveys, settings, mapping, now), judge.sign_ins(surveys, now)
        self.counts, self.ages = judge.count(surveys, self.rows), judge.histogram(self.rows, settings.policy)
        self.figures = judge.figures(surveys, self.rows, self.sign_ins)
        self.change = ReportChange(earlier, surveys, self.rows) if earlier else None
        self.recalls = curves(surveys, settings, mapping, now) if recalls else None

    @property
    def listed(self) -> Sequence[Row]:
        """The keys that somebody should do something about, and those that fail the benchmark, for its figures can be
        counted here."""
        return [row for row in self.rows if row.attention or row.fails]

    @property
    def code(self) -> int:
        """The exit code: 0 if every account was looked at, else the first of 1, 5, 4, 75 that occurred."""
        return first_code(survey.code for survey in self.surveys)

    def check(self, least: str) -> int:
        """The exit code of `--check`: 3 if a key is `least` (due or overdue) or root's, else that of the report."""
        return 3 if any(self.counts[each] for each in ("root", "overdue", least)) else self.code


def values(report: KeyReport) -> dict[str, Any]:
    """All of it: every account, every key."""
    settings = report.settings
    ages = {"max_age": settings.policy.max_age, "remind_before": settings.policy.remind_before}
    limits = {name: format_duration(age) for name, age in (*ages.items(), ("unused_after", settings.unused_after))}
    return {
        "at": stamp(report.now),
        **report.origin._asdict(),
        "program": __version__,
        "limits": {"where": settings.where, "fingerprint": settings.fingerprint, **limits},
        "counts": dict(report.counts),
        "benchmark": f"{BENCHMARK} {VERSIONS[0]}",
        "controls": [_control(*each) for each in report.figures.items()],
        "ages": [_age(bar) for bar in report.ages],
        "accounts": [_account(survey) for survey in report.surveys],
        "sign_ins": _Each(report.sign_ins, _sign_in),
        "since": _since(report.change) if report.change else None,
        "keys": _Each(report.rows, _key),
        **({} if report.recalls is None else {"recalls": [_recall(curve) for curve in report.recalls]}),
    }


def _control(control: Control, figure: Figure) -> dict[str, Any]:
    numbers = dict(zip(("number", "v5", "v7"), control.numbers, strict=True))
    return {**numbers, "title": control.title, "unit": control.unit, **figure._asdict(), "rate": figure.rate}


def _age(bar: AgeBar) -> dict[str, Any]:
    ends = {"from": format_duration(bar.start), "to": format_duration(bar.end) if bar.end is not None else None}
    return {**ends, "verdict": bar.verdict.value, "keys": bar.keys, "exempt": bar.exempt}


def _recall(curve: RecallCurve) -> dict[str, Any]:
    numbers = {name: getattr(curve, name) for name in ("users", "rotated", "both", "off")}
    still = [
        {"account": account.number, "user": user, "owner": owner.address or owner.name}
        for account, user, owner in curve.still
    ]
    days = [{"day": str(day), "rotated": many} for day, many in curve.by_day]
    return {**curve.recall.row, **numbers, "open": len(still), "days": days, "open_users": still}


def _since(change: ReportChange) -> dict[str, Any]:
    earlier = change.earlier
    return {
        "at": stamp(earlier.at),
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
        "signed_in": stamp(user.signed_in),
        "password_set": stamp(user.password_set),
        "cis": [control.number for control in each.fails],
    }


class _Each(list[dict[str, Any]]):
    """What is told of each, made when the JSON encoder or the page comes to it: thousands at once would take 15 MB."""

    def __init__(self, found: Sequence[Any], told: Callable[[Any], dict[str, Any]]) -> None:
        super().__init__()
        self._found, self._told = found, told

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._told, self._found)


def _account(survey: AccountSurvey) -> dict[str, Any]:
    return {
        "account": survey.account.number,
        "name": survey.account.name,
        "users": sum(not user.is_root for user in survey.users),
        "source": survey.source.value,
        "at": stamp(survey.at),
        "problem": {"message": survey.problem, "hint": survey.hint, "code": survey.code} if survey.problem else None,
        "notes": list(survey.notes),
    }


def _key(row: Row) -> dict[str, Any]:
    key, use = row.key, row.key.last_use
    return {
        "account": row.account.number,
        "account_name": row.account.name,
        "user": row.user.name,
        "arn": row.user.arn,
        "key_id": key.key_id,
        "active": key.active,
        "verdict": row.standing.value,
        "created": stamp(key.created),
        "exact": row.exact,
        "age_days": row.age.days,
        "due": stamp(row.due_at),
        "overdue": stamp(row.overdue_at),
        "last_use": {"at": stamp(use.at), "service": use.service, "region": use.region} if use else None,
        "unused": row.unused,
        "exempt": row.exempt,
        "exempt_until": str(row.until) if row.until else None,
        "exempt_by": row.by,
        "exempt_ended": row.ended,
        "uncertain": row.uncertain,
        "owner": {"name": row.owner.name, "address": row.owner.address, "how": row.owner.how},
        "cis": [control.number for control in row.fails],
        "recall": row.recall.row if row.recall else None,
    }


_HEAD = (
    *("verdict", "account", "account_name", "user", "arn", "key_id", "active", "created", "exact", "age_days"),
    *("last_used", "last_used_service", "last_used_region", "unused", "exempt", "uncertain"),
    *("owner", "owner_address", "cis", "problem", "exempt_until", "exempt_by", "exempt_ended"),
    *("recalled", "recalled_until", "recall_reason"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Line:
    """What csv writes into; it gives back what is written, a row at a time."""

    @staticmethod
    def write(text: str) -> str:
        """The row itself."""
        return text


def table(report: KeyReport) -> Iterator[str]:
    """CSV, line by line: every key, in the order of the report; first each account that could not be looked at."""
    rows = csv.DictWriter(_Line, _HEAD, restval="", extrasaction="ignore", lineterminator="\n")
    yield rows.writeheader()
    for survey in report.surveys:
        if survey.problem:
            there = {"account": survey.account.number, "account_name": safe(survey.account.name)}
            yield rows.writerow({"verdict": "problem", **there, "problem": safe(survey.problem)})
    yield from (rows.writerow(_cells(_key(row))) for row in report.rows)


def safe(text: str) -> str:
    """The text, so that no spreadsheet runs it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(key: Mapping[str, Any]) -> dict[str, str]:
    """The row of CSV, out of that of JSON."""
    use = key["last_use"] or {"at": "unknown", "service": "", "region": ""}
    flat = {"last_used": use["at"], "last_used_service": use["service"], "last_used_region": use["region"]}
    flat |= {"owner": key["owner"]["name"], "owner_address": key["owner"]["address"], "cis": " ".join(key["cis"])}
    call = key["recall"] or {"at": "", "by": "", "reason": ""}
    flat |= {"recalled": call["at"], "recalled_until": call["by"], "recall_reason": call["reason"]}
    return {name: safe(_plain(value)) for name, value in {**key, **flat}.items() if name in _HEAD}


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: ""}[value]
    return str(value)


# In units of the drawing, which grows and shrinks with the page.
WIDTH = 360
_ROW, _BAR = 24, 16
_LABEL, _NUMBER = 88, 56  # room for the words left and right of the bars


def _charts(report: KeyReport) -> Iterator[dict[str, Any]]:
    """How old users' active keys are, for root's are to be deleted whatever their age; how many have which verdict."""
    ages = [(bar.label, {bar.verdict.value: bar.keys, "exempt": bar.exempt}) for bar in report.ages]
    yield _chart("Ages of active keys, without root", ages)
    yield _chart("Verdicts", [(each.value, {each.value: report.counts[each.value]}) for each in Status])


def _answers(curve: RecallCurve) -> list[dict[str, Any]]:
    """None where nobody has rotated."""
    days = [(str(day), {"fresh": many}) for day, many in curve.by_day]
    return [_chart("Users who have rotated, by day", days)] if days else []


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


def page(report: KeyReport, *, every: bool = False, twins: Sequence[DataFile] = ()) -> Iterator[str]:
    """The page, in pieces: with keys that need attention, or `every` key. docs/it/report.md says what is on it."""
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
        span=span,
        used=lambda use: re.sub("^(last )?used? ", "", used(use, report.now)),
        moment=lambda at: f"{day(at.astimezone(UTC))}, {at.astimezone(UTC):%H:%M} UTC",
        number=lambda value: f"{value:,}",
        count=number,
    )
    return engine.get_template("page.html.j2").generate(_values(report, every), twins=twins)


def stem(report: KeyReport, account: str = "") -> str:
    """What the names of a report's files begin with: `access-keys-20261125T120000Z`."""
    return f"access-keys-{report.now.astimezone(UTC):%Y%m%dT%H%M%SZ}{account and f'-{account}'}"


def keep(report: KeyReport, name: str, put: Callable[[str, bytes], None], *, every: bool = False) -> list[DataFile]:
    """Hand JSON, CSV and the page, which names the two, to `put`, each with its file name; `name` is their stem."""
    kept: list[DataFile] = []
    for ending, form in (("json", _json), ("csv", table), ("html", lambda it: page(it, every=every, twins=kept))):
        file = io.BytesIO()
        file.writelines(piece.encode() for piece in form(report))
        put(f"{name}.{ending}", data := file.getvalue())
        kept.append(DataFile(f"{name}.{ending}", sha256(data).hexdigest()))
    return kept


def _json(report: KeyReport) -> Iterator[str]:
    """As `--json` prints it."""
    yield from json.JSONEncoder(indent=2, ensure_ascii=False).iterencode({"version": _VERSION, **values(report)})
    yield "\n"


def _values(report: KeyReport, every: bool) -> dict[str, Any]:
    """What the template sees besides the report's own."""
    settings, surveys = report.settings, report.surveys
    policy, counts = settings.policy, report.counts
    return {
        **vars(report),
        "version": __version__,
        "exempt_rules": join(_rules(settings.exempt, report.now)),
        "limited": join(_said_of(each, report.now) for each in settings.limits),
        "oldest": min((survey.at for survey in surveys if survey.at), default=None),
        "due_after": max(policy.max_age - policy.remind_before, timedelta(0)),
        "tiles": [  # what to see first: kind (its colour), words, number
            ("root", "of root (delete them)", counts["root"]),
            ("overdue", "overdue", counts["overdue"]),
            ("due", "due", counts["due"]),
            ("unused", f"not used for {span(settings.unused_after)}", counts["unused"]),
        ],
        "charts": list(_charts(report)),
        "benchmark": BENCHMARK,
        "versions": VERSIONS,
        "recalls": [(curve, _answers(curve)) for curve in report.recalls or ()],
        "compared": list(_compared(report)),
        "changed": list(_changed(report.change)),
        "failed": [survey for survey in surveys if survey.problem],
        "unreported": sum(not each.problem and each.source.value == "lists" for each in surveys),
        "notes": [(survey.account, note) for survey in surveys for note in survey.notes],
        "sums": SUMS,
        "accounts": _accounts(surveys, report.rows),
        "owners": _owners(report.rows),
        "total": _sum("All", report.rows),
        "exempt": _exempt(report.rows),
        "listed": report.rows if every else report.listed,
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
    then = report.change.earlier
    words = {"accounts": "accounts", "failed": "accounts not checked", "users": "users", "keys": "keys"}
    for name in _FIGURES:
        yield words.get(name, f"{name} keys"), then.counts[name], report.counts[name]
    for control, figure in report.figures.items():
        if control.number in then.failed:
            yield f"{VERSIONS[0]} {control.number}, failed", then.failed[control.number], figure.failed


def _changed(change: ReportChange | None) -> Iterator[tuple[str, str, str, str, str]]:
    """Account, user, key, what it was and what it is, of each key that is in another state."""
    for key, was, now in change.solved if change else ():
        yield str(AwsAccount(key["account"], key["account_name"])), key["user"], key["key_id"] or "", was, now
    for row in change.new if change else ():
        yield str(row.account), row.user.name, row.key.key_id or "", "needed nothing", row.kind


SUMS = ("Keys", *(each.value.capitalize() for each in Status), "Unused")


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
