"""AWS's answers about whole accounts as plain values. Pure; an answer that lacks something raises KeyError."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from .answers import Answer


class UserEntry(NamedTuple):
    """A user of ListUsers or GetUser. `signed_in`: None for "never, or not known"; `tags`: those of GetUser."""

    arn: str
    created: datetime
    signed_in: datetime | None
    tags: dict[str, str]


class AccountEntry(NamedTuple):
    """An account of Organizations' ListAccounts."""

    number: str
    name: str
    active: bool


def report_state(answer: Answer) -> bool:
    """GenerateCredentialReport: whether it is ready. The states are STARTED, INPROGRESS and COMPLETE."""
    return str(answer["State"]) == "COMPLETE"


def report(answer: Answer) -> tuple[str, datetime]:
    """GetCredentialReport: the CSV, and when it was made."""
    return bytes(answer["Content"]).decode("utf-8", "replace"), _utc(answer["GeneratedTime"])


def users(answer: Answer) -> tuple[list[UserEntry], str | None]:
    """ListUsers: one page."""
    return [_user(entry) for entry in answer["Users"]], _marker(answer)


def user(answer: Answer) -> UserEntry:
    """GetUser."""
    return _user(answer["User"])


def _user(entry: Answer) -> UserEntry:
    used = entry.get("PasswordLastUsed")
    tags = {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}
    return UserEntry(str(entry["Arn"]), _utc(entry["CreateDate"]), _utc(used) if used else None, tags)


def tags(answer: Answer) -> tuple[list[tuple[str, str]], str | None]:
    """ListUserTags: one page."""
    return [(tag["Key"], tag["Value"]) for tag in answer["Tags"]], _marker(answer)


def members(answer: Answer) -> tuple[list[str], str | None]:
    """GetGroup: one page of the names of its users."""
    return [entry["UserName"] for entry in answer["Users"]], _marker(answer)


def accounts(answer: Answer) -> tuple[list[AccountEntry], str | None]:
    """Organizations' ListAccounts: one page. `State` has taken the place of `Status` (retired in September 2026)."""
    found = [
        AccountEntry(entry["Id"], entry.get("Name", ""), (entry.get("State") or entry.get("Status")) == "ACTIVE")
        for entry in answer["Accounts"]
    ]
    return found, answer.get("NextToken") or None


def _marker(answer: Answer) -> str | None:
    return answer["Marker"] if answer.get("IsTruncated") else None


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
