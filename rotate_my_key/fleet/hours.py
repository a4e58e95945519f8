"""When keys may be touched: weekdays and hours in a time zone. Pure but for the time zone's data.

The day is that of the time zone. An hour span `9-17` is from 9:00 until before 17:00; one like `22-6` goes over
midnight, and its weekday is that of the moment.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..errors import WrongUsage
from ..settings.fleet import Enforce

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def closed(enforce: Enforce, now: datetime) -> str:
    """Why nothing may be done at this moment, or "". Raises WrongUsage for what cannot be understood."""
    local = now.astimezone(zone(enforce.timezone))
    days = [day.strip().lower()[:3] for day in enforce.weekdays]
    strange = [day for day in days if day not in _DAYS]
    if strange:
        raise WrongUsage(f"{strange[0]!r} is not a weekday", f"there are {', '.join(_DAYS)}")
    if _DAYS[local.weekday()] not in days:
        return f"it is {local:%A} in {enforce.timezone}, and acts are allowed on {', '.join(days) or 'no day'}"
    begin, end = _span(enforce.hours)
    if begin <= local.hour < end or (begin > end and not end <= local.hour < begin):
        return ""
    return f"it is {local:%H:%M} in {enforce.timezone}, and acts are allowed from {begin} to {end} o'clock"


def zone(name: str) -> tzinfo:
    """A time zone by its name in the IANA database; UTC needs none.

    Raises WrongUsage, which says so where there is no database.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        pass
    try:
        ZoneInfo("Europe/London")
    except ZoneInfoNotFoundError:
        raise WrongUsage(
            f"the time zone {name} cannot be found: this system has no time zones (Windows has none of its own)",
            "pip install tzdata, in the environment of rotate-my-key",
        ) from None
    raise WrongUsage(f"{name!r} is not a time zone", "write it like UTC or Europe/Vienna")


def _span(text: str) -> tuple[int, int]:
    begin, _, end = text.partition("-")
    if not (begin.strip().isdecimal() and end.strip().isdecimal() and int(begin) <= 24 and int(end) <= 24):
        raise WrongUsage(f"{text!r} is not a span of hours", "write it like 9-17, or 0-24 for always")
    return int(begin), int(end)
