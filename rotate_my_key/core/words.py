"""Small words for values: spans of time, days, lists. Pure, and on the fast path, so it imports next to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta


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


def span(duration: timedelta, *, at_least: bool = False) -> str:
    """`98 days`, `3 hours`, `1 minute`: rounded down to the largest unit. `at_least`: `98+ days`."""
    seconds = int(duration.total_seconds())
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            text = number(seconds // size, name)
            return text.replace(" ", "+ ") if at_least else text
    return "a moment"


def used(at: datetime | None, service: str, region: str, now: datetime) -> str:
    """`last used 3 hours ago (s3, eu-west-1)`."""
    if at is None:
        return "no use on record"
    where = ", ".join(word for word in (service, region) if word and word != "N/A")
    return f"last used {span(now - at)} ago" + (f" ({where})" if where else "")


def stamp(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the second, for `--json`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as aligned columns, two blanks apart; the last column is as long as it is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """What was probably meant, or ""."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), "")
