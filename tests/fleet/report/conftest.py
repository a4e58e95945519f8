"""A desk of somebody at IT, with AWS beside it; and a report made of fakes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from rotate_my_key.core.model import AccessKey, LastUse
from rotate_my_key.fleet import report as forms
from rotate_my_key.fleet.report import KeyReport
from rotate_my_key.fleet.survey import ReportWait, survey_accounts
from rotate_my_key.settings.fleet import Accounts, Exempt, FleetSettings, Owners
from tests.cli.conftest import Desk, empty  # noqa: F401 - fixtures
from tests.fleet.fakes import NOW, FakeDirectory, FakeOrganization

DAY = timedelta(days=1)
SETTINGS = FleetSettings(
    accounts=Accounts(role="fleet"),
    owners=Owners(domain="example.com"),
    exempt=Exempt(names=("svc-*",)),
    where="fleet.ini",
)


def page(made: KeyReport, **more: Any) -> str:
    """The page, whole."""
    return "".join(forms.page(made, **more))


def table(made: KeyReport) -> str:
    """The CSV, whole."""
    return "".join(forms.table(made))


@pytest.fixture
def it(empty: Desk) -> Desk:  # noqa: F811
    """Who runs it: a user of the main account whose own key is young and in use."""
    empty.profiles(default=empty.aws.add_key("alice", 3 * DAY, use=LastUse(datetime.now(UTC), "s3", "eu-west-1")))
    return empty


@pytest.fixture
def accounts() -> list[FakeDirectory]:
    """Two accounts with keys of every kind."""
    first, second = FakeDirectory("111111111111", "shop"), FakeDirectory("222222222222")
    used = LastUse(NOW - DAY, "s3", "eu-west-1")
    first.root_keys.append(AccessKey("AKIAROOT", "Active", NOW - 700 * DAY))
    for name, age in {"fresh": 10, "due": 80, "overdue": 98, "off": 300, "svc-build": 400}.items():
        first.user(name)
        first.key(name, age, "Inactive" if name == "off" else "Active", used)
    second.user("oldest", 500)
    second.user("unused", 50)
    return [first, second]


@pytest.fixture
def report(accounts: list[FakeDirectory]) -> Callable[..., KeyReport]:
    """Make a report of these accounts."""

    def made(settings: FleetSettings = SETTINGS, **more: Any) -> KeyReport:
        waiting = ReportWait(lambda seconds: None, count().__next__)
        surveys = survey_accounts(FakeOrganization(*accounts), settings, NOW, waiting)
        return KeyReport(surveys, settings, {}, NOW, **more)

    return made
