"""AWS's clock, and which of its Date headers is believed."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from rotate_my_key.aws.client import AwsClock

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)


class Clocks:
    """AWS's clock as we learn it; `here` is this computer's."""

    def __init__(self) -> None:
        self.here = NOW
        self.aws = AwsClock(lambda: self.here)

    def hear(self, date: str | datetime, *, took: float = 0.0, accepted: bool = True) -> timedelta:
        """An answer comes, `took` seconds after it was asked for; gives how far AWS's clock is from ours then."""
        asked = self.here
        self.here += timedelta(seconds=took)
        text = date if isinstance(date, str) else format_datetime(date, usegmt=True)
        self.aws.heard(text, asked, accepted=accepted)
        return self.aws.now() - self.here


@pytest.mark.parametrize("seconds", [0, 1, 3])
def test_a_date_within_the_call_changes_nothing(seconds: int) -> None:
    """It was written at some time between request and answer, and has whole seconds."""
    assert Clocks().hear(NOW + timedelta(seconds=seconds), took=3.5) == timedelta(0)


@pytest.mark.parametrize(("minutes", "off"), [(10, 600), (-10, -599), (15, 900), (-15, -899)])
def test_a_clock_that_aws_bears(minutes: int, off: int) -> None:
    """Ours is corrected."""
    assert Clocks().hear(NOW + timedelta(minutes=minutes)) == timedelta(seconds=off)


def test_a_laptop_that_slept_before_the_answer_was_read() -> None:
    """The answer waited for hours in the socket: AWS's time has gone on."""
    clocks = Clocks()
    clocks.hear(NOW + timedelta(minutes=5))
    assert clocks.hear(NOW + timedelta(minutes=5), took=5 * 3600) == timedelta(0)


def test_a_laptop_that_slept_between_two_calls() -> None:
    """Nothing is the matter: both clocks went on."""
    clocks = Clocks()
    clocks.hear(NOW)
    clocks.here += timedelta(hours=7)
    assert clocks.hear(NOW + timedelta(hours=7)) == timedelta(0)


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Tue, 99 Foo 2026 99:99:99 +99:99",
        "Wed, 02 Sep 2026 12:00:00 GMT",
        "",
        "-",
        " ",
        ",,,",
        "\x00",
    ],
)
@pytest.mark.parametrize("accepted", [True, False])
def test_a_date_that_cannot_be(date: str, accepted: bool) -> None:
    """No key's age is reckoned by it: AWS would not have taken, and does not take, what is signed at our time."""
    clocks = Clocks()
    clocks.hear(NOW + timedelta(seconds=90))
    assert abs(clocks.hear(date, accepted=accepted)) <= timedelta(seconds=90)


def test_minus_zero_is_utc() -> None:
    """RFC 5322 writes so where the zone is not known; RFC 9110 knows no other than UTC."""
    assert Clocks().hear("Tue, 01 Sep 2026 12:05:00 -0000") == timedelta(minutes=5)


def test_our_own_clock_is_wrong() -> None:
    """AWS refuses what we sign: by how much we are off is known, to be said."""
    clocks = Clocks()
    clocks.hear(NOW + timedelta(days=90), accepted=False)
    assert clocks.aws.offset == timedelta(days=90)
    assert clocks.aws.now() == NOW
