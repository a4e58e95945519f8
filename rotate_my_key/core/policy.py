"""How old a key may get, and how that is said: durations, the one definition of fresh, due and overdue, the verdict of
each row, and small words for ids, spans of time, days and lists.

Pure, and apart from `model.py` because the fast path (`status --cached`) can afford little more. Times are aware
datetimes in UTC, durations are timedeltas.

A row is a plain dict of facts about one key, for `status --cached` reads it from a file and prints it again: profiles,
kind, key_id, account, user, created, last_use, used_by_others, seen_at, exempt, wanted (IT asks for its replacement),
recall (IT has recalled it: at, by, reason), refused, unknown, unfinished, told, works_until, switched_off_until,
places; times are ISO 8601 in UTC, None is "not known". `judge` adds verdict, why, age_days, due and overdue. A line of
`history` is here for the same reason, and what says which commands follow a rotation."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import WrongUsage

if TYPE_CHECKING:
    from typing import Protocol

    class Aged(Protocol):
        """What can be judged: an access key, or a row of the cached status."""

        @property
        def created(self) -> datetime:
            """CreateDate, in UTC."""


# How long a key that has left the keyring goes on working: by then every program that was given it has asked again. The
# shorter one is for the key that `undo` removes: while a note names a key, what `credentials` gives expires sooner.
# Both, less some minutes to spare, are more than the 15 in which botocore asks at each call (docs/decisions/19).
LIVE, LIVE_SOON = timedelta(hours=1), timedelta(minutes=20)

_DURATION = re.compile(r"(\d{1,6})\s*([smhdw]?)", re.IGNORECASE)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """Read `90d`, `12h`, `30m`, `45s`, `2w` or `0`; a unit is needed for anything but 0. Raises WrongUsage for anything
    else, negative numbers included."""
    match = _DURATION.fullmatch(text.strip())
    if not match or (not match[2] and int(match[1])):
        raise WrongUsage(f"{text!r} is not a duration", "write it like 90d, 12h, 30m, 45s or 0")
    return timedelta(**{_UNITS[match[2].lower() or "s"]: int(match[1])})


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: `90d`, `12h`, `0`."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s" if seconds else "0"


def exact(duration: timedelta) -> str:
    """`90 days`, `36 hours`: in the largest unit that leaves no rest."""
    text = format_duration(duration)
    return number(int(text[:-1]), _UNITS[text[-1]].removesuffix("s")) if duration else text


class Verdict(Enum):
    """How a key stands against the policy."""

    FRESH = "fresh"
    DUE = "due"
    OVERDUE = "overdue"


class Policy(NamedTuple):
    """How old a key may get: due at `max_age - remind_before`, overdue at `max_age`. A named tuple, for defining a
    dataclass takes seven times as long."""

    max_age: timedelta = timedelta(days=90)
    remind_before: timedelta = timedelta(days=15)

    def due_at(self, created: datetime) -> datetime:
        """When a key made then is due."""
        return created + max(self.max_age - self.remind_before, timedelta(0))

    def overdue_at(self, created: datetime) -> datetime:
        """When a key made then is overdue."""
        return created + self.max_age

    def verdict(self, key: Aged, now: datetime) -> Verdict:
        """Judge a key by its CreateDate: `>=`, in UTC. Laptop, reminder and fleet alike."""
        if now >= self.overdue_at(key.created):
            return Verdict.OVERDUE
        return Verdict.DUE if now >= self.due_at(key.created) else Verdict.FRESH


Row = dict[str, Any]
TWO_KEYS = "AWS allows two keys per user; remove one to go on"
OUR_SERVICES = ("iam", "sts")  # all that a rotation and a look call
_SLACK = timedelta(minutes=2)  # between AWS's clock and ours

STATIC = "static pair"
_AT_LEAST = {"due": {Verdict.DUE, Verdict.OVERDUE}, "overdue": {Verdict.OVERDUE}}


class Past(NamedTuple):
    """One line of the history: what was done here. Ids are whole, secrets are never in it.

    `action` is "rotated", "taken back", "undone", "merged", "deleted" or "imported"; `old` is the id that is gone or
    was put back, "" if an import took nobody's place. From `new_made` to `old_off` both keys worked; `used_at` is when
    something else was last seen to use the old one meanwhile, `used_by` what ("s3 in eu-west-1"). `copies` and
    `commands` are those that the old key waited for."""

    at: datetime
    action: str
    account: str
    arn: str
    old: str
    new: str | None = None
    deleted: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    new_made: datetime | None = None
    old_off: datetime | None = None
    used_at: datetime | None = None
    used_by: str = ""
    copies: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


class PendingChange(NamedTuple):
    """The places of rotation `name` went from the key `old` to `new`, a user's. `left` names the commands still to run
    once some have `begun`, and may have been told."""

    name: str
    old: str
    new: str
    account: str
    arn: str
    begun: bool = False
    left: tuple[str, ...] = ()


class Hook(NamedTuple):
    """A command of the user's own that is told of a new key. `secret`: whether it gets the new secret; `profiles`:
    those it is for, () for all; `holds_old`: whether the old key goes on working until it has succeeded; `where`: path
    and line."""

    name: str
    command: tuple[str, ...]
    where: str
    secret: bool = False
    timeout: timedelta = timedelta(minutes=1)
    profiles: tuple[str, ...] = ()
    holds_old: bool = True


def gone(history: Iterable[Past]) -> dict[str, str]:
    """What became of each key that was deleted here: `replaced here on 4 February 2026 by ...Q2XA`, the last that took
    its place."""
    ends = {key_id: past for past in history for key_id in past.deleted}

    def told(key_id: str) -> str:
        way = [key_id]
        while (past := ends.get(way[-1])) and (by := past.new if past.old == way[-1] else past.old) and by not in way:
            way.append(by)
        when = f"here on {day(ends[key_id].at)}"
        return f"replaced {when} by {mask(way[-1])}" if way[1:] else f"deleted {when}"

    return {key_id: told(key_id) for key_id in ends}


class _Key(NamedTuple):
    created: datetime


def judge(row: Row, policy: Policy, now: datetime) -> Row:
    """The row with its verdict: fresh, due, overdue, unfinished, switched off, kept, unknown, refused, exempt or not
    rotatable; and why."""
    created = _time(row.get("created"))
    verdict, why = _verdict(row, created, policy, now)
    at = _time((row.get("recall") or {}).get("at"))
    due, overdue = (policy.due_at(created), policy.overdue_at(created)) if created else (None, None)
    return {
        **row,
        "age_days": (now - created).days if created else None,
        "due": min(due, at or due).isoformat() if due else None,
        "overdue": min(overdue, at or overdue).isoformat() if overdue else None,
        "verdict": verdict,
        "why": why,
    }


def _verdict(row: Row, created: datetime | None, policy: Policy, now: datetime) -> tuple[str, str]:
    if row.get("kind") != STATIC:
        return "not rotatable", row.get("note") or row.get("kind") or ""
    if row.get("switched_off_until"):
        return "kept" if row.get("works_until") else "switched off", row.get("note") or ""
    for word in ("unfinished", "refused", "unknown"):
        if row.get(word):
            return word, str(row[word])
    if created is None:
        return "unknown", "not looked up yet"
    if row.get("exempt"):
        return "exempt", "the user is tagged exempt"
    if (recall := row.get("recall")) and (by := _time(recall["by"])):
        return Verdict.OVERDUE.value, in_words(by, recall["reason"], now)
    verdict = policy.verdict(_Key(created), now)
    return (
        (Verdict.DUE.value, "IT asks for it") if row.get("wanted") and verdict is Verdict.FRESH else (verdict.value, "")
    )


def in_words(by: datetime, reason: str, now: datetime) -> str:
    """What a person is told of a recalled key: `IT has recalled it; replace it by 9 December: laptop stolen`."""
    return f"IT has recalled it; replace it by {clock(by, now)}{reason and f': {reason}'}"


def check(rows: Sequence[Row], least: str, policy: Policy, now: datetime, oldest: float) -> int:
    """The exit code of `status --check`: 3 if any key is `least` ("due" or "overdue"); 75, never 0, if an age is not
    known or was looked up more than `oldest` seconds ago."""
    keys = [row for row in rows if row["verdict"] not in ("exempt", "not rotatable", "switched off", "kept")]
    ages = [_time(row.get("created")) for row in keys]
    by_age = {policy.verdict(_Key(age), now) for age in ages if age}
    if by_age & _AT_LEAST[least] or {row["verdict"] for row in keys} & {each.value for each in _AT_LEAST[least]}:
        return 3
    if not all(ages) or any(row["verdict"] in ("unknown", "refused") for row in keys):
        return 75
    seen = [_time(row.get("seen_at")) for row in keys]
    return 75 if any(at is None or (now - at).total_seconds() > oldest for at in seen) else 0


def _time(text: object) -> datetime | None:
    """A time with its zone; None for anything else: the cache is only a file."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def join(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *rest, last = list(words) or [""]
    return f"{', '.join(rest)} and {last}" if rest else last


def number(count: int, noun: str, many: str = "") -> str:
    """`1 key`, `2 keys`; `many` is the plural if it is another than with an s."""
    return f"{count:,} {noun if count == 1 else many or f'{noun}s'}"


def day(moment: datetime, now: datetime | None = None) -> str:
    """`4 February`, with the year if it is another one than `now`'s."""
    local = moment.astimezone()
    year = "" if now is not None and local.year == now.astimezone().year else f" {local.year}"
    return f"{local.day} {local:%B}{year}"


def clock(moment: datetime, now: datetime) -> str:
    """`today, 14:30`, `tomorrow, 14:30`, or the day."""
    local = moment.astimezone()
    days = (local.date() - now.astimezone().date()).days
    return f"{('today', 'tomorrow')[days]}, {local:%H:%M}" if days in (0, 1) else day(moment, now)


def span(duration: timedelta, *, at_least: bool = False) -> str:
    """`98 days`, `3 hours`, `1 minute`: rounded down to the largest unit. `at_least`: `98+ days`."""
    seconds = int(duration.total_seconds())
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            text = number(seconds // size, name)
            return text.replace(" ", "+ ") if at_least else text
    return "just now"


def old(age: timedelta) -> str:
    """`98 days old`, or `created just now`."""
    text = span(age)
    return f"created {text}" if text == "just now" else f"{text} old"


def used(at: datetime | None, service: str, region: str, now: datetime) -> str:
    """`last used 3 hours ago by s3 in eu-west-1`."""
    if at is None:
        return "never used"
    words = [f"{by} {word}" for by, word in (("by", service), ("in", region)) if word not in ("", "N/A")]
    text = span(now - at)
    return " ".join(["used just now" if text == "just now" else f"last used {text} ago", *words])


def by_others(use: Row | None, before: Row) -> Row | None:
    """The last use by anything but this program that is known, of what AWS says now and of the row of an earlier look.
    AWS tells the last use only, and our own calls are uses, which it shows a quarter of an hour later and more. A use
    of IAM or STS before our last look (`seen_at`) may be ours."""
    at, looked = use and _time(use["at"]), _time(before.get("seen_at"))
    if use and at and not (use["service"] in OUR_SERVICES and looked and at <= looked + _SLACK):
        return use
    if "used_by_others" in before:
        known: Row | None = before["used_by_others"]
        return known if known and _time(known["at"]) else None
    return by_others(before.get("last_use"), {"seen_at": before.get("seen_at")}) if before.get("last_use") else None


def used_by(use: Row | None, others: Row | None, now: datetime) -> str:
    """`last used 3 hours ago by s3; since then only by rotate-my-key`: of what AWS says, and of `by_others`."""
    last = _time(use["at"]) if use else None
    if others and (at := _time(others["at"])):
        since = "; since then only by rotate-my-key" if last and last > at else ""
        return used(at, others["service"] or "", others["region"] or "", now) + since
    return used(last, "rotate-my-key", "", now) if use else "last use unknown"


def stamp(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the second, for `--json`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


_SLIPS = 3  # letters that a slip adds or loses, at the most


def nearest(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """What was probably meant: the one that begins so, else the one most like it, if that is like enough; or ""."""
    from difflib import get_close_matches

    begun = [each for each in known if name and each.startswith(name)]
    near = [each for each in known if abs(len(each) - len(name)) <= _SLIPS]
    return begun[0] if len(begun) == 1 else next(iter(get_close_matches(name, near, n=1, cutoff=cutoff)), "")


def mask(key_id: str) -> str:
    """A key id for the screen and for messages: `...MPLE`."""
    return f"...{key_id[-4:]}"
