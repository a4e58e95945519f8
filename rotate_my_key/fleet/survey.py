"""All users and keys of some accounts, with as few calls as will do.

- First every account is asked for its credential report, which AWS then makes meanwhile; then they are collected. AWS
  itself gives a report again for four hours.
- ListAccessKeys and ListUserTags are called only for users who need attention by their report: two calls each. The
  groups that are exempt are read once an account, if anybody there needs attention.
- An account whose report is denied, cannot be read or never comes is listed user by user.
- What goes wrong in an account is a Survey with a problem, or a note; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..errors import Denied, Gone, Problem, TryLater, WrongUsage
from ..settings.fleet import Accounts, FleetSettings
from .cis import is_unused
from .credential_report import entries
from .details import Details, LastUses, LookReason, look_at, unlooked
from .fetching import Answering, NeverCame, ReportWait, fetch
from .model import AccountSurvey, AwsAccount, FleetUser, SurveySource
from .pool import Pool
from .ports import Directory, Organization

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose keys are listed: of those who need attention, or with `exact` of everybody who has one; with `inactive` of
    those too who have a key that is switched off."""

    exact: bool = False
    inactive: bool = False


@dataclass(slots=True)
class _Found:
    """What is known of one account on the way. `later`: AWS is throttling there, or away."""

    directory: Directory
    uses: LastUses
    source: SurveySource = SurveySource.REPORT
    at: datetime | None = None
    users: list[tuple[FleetUser, LookReason | None]] = field(default_factory=list)
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ready: bool = False
    problem: Problem | None = None
    later: TryLater | None = None


def survey_accounts(
    organization: Organization,
    settings: FleetSettings,
    now: datetime,
    waiting: ReportWait,
    *,
    wanted: Wanted | None = None,
    progress: Progress = lambda what, done, total: None,
    workers: int = 8,
) -> list[AccountSurvey]:
    """Look at all accounts of the settings, `workers` at a time; one Survey each, in the organization's order.

    Raises Problem if it cannot be known which accounts there are.
    """
    look = _Look(settings, now, waiting, wanted or Wanted(settings.exact))
    accounts = accounts_of(organization, settings.accounts)
    with Pool(workers) as pool:
        found = pool.map(
            lambda account: look.request(organization, account), accounts, _tick(progress, "asking for reports")
        )
        pool.map(lambda one: look.collect(one, len(found) > 1), found, _tick(progress, "collecting reports"))
        jobs = [(one, user, asked) for one in found if not one.problem for user, asked in one.users if asked]
        details = pool.map(lambda job: look.details(*job), jobs, _tick(progress, "looking at users"))
    known = {id(user): each for (_, user, _), each in zip(jobs, details, strict=True)}
    return [_survey(account, one, known) for account, one in zip(accounts, found, strict=True)]


def _tick(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def accounts_of(organization: Organization, accounts: Accounts) -> tuple[AwsAccount, ...]:
    """The accounts that the settings mean. Without `role` that is the caller's own.

    Raises WrongUsage if `only` names others and there is no role to assume; Problem if none is left, so that looking at
    nothing is never taken for finding nothing; else what the organization raises.
    """
    if not accounts.role:
        own = organization.me().account
        others = [number for number in accounts.only if number != own]
        if others:
            raise WrongUsage(
                f"account {others[0]} is not your own ({own}), and no role is set",
                "set role in [accounts] of the fleet's settings",
            )
        return (AwsAccount(own),)
    chosen = [AwsAccount(number) for number in accounts.only] if accounts.only else list(organization.accounts())
    left = tuple(account for account in chosen if account.number not in accounts.but)
    if not left:
        why = "[accounts] leaves all of them out" if chosen else "the organization lists no active account"
        raise Problem(f"there is no account to look at: {why}", "aws organizations list-accounts")
    return left


class _Look:
    """One look at all accounts: its verbs are run in threads, one account or user at a time."""

    def __init__(self, settings: FleetSettings, now: datetime, waiting: ReportWait, wanted: Wanted) -> None:
        self._settings = settings
        self._now = now
        self._waiting = waiting
        self._wanted = wanted
        self._aws = Answering(waiting.monotonic)

    def request(self, organization: Organization, account: AwsAccount) -> _Found:
        """Ask an account for its report."""
        directory = organization.directory(account)
        found = _Found(directory, LastUses(directory))
        try:
            found.ready = self._aws.ask(directory.request_report)
        except Problem as problem:
            self._without_report(found, problem)
        return found

    def collect(self, found: _Found, asked_before: bool) -> None:
        """Fetch the report, and see who needs attention. `asked_before`: others were asked since."""
        if found.problem:
            return
        if found.source is SurveySource.REPORT:
            try:
                self._read(found, asked_before)
            except Problem as problem:
                self._without_report(found, problem)
        try:
            if found.source is SurveySource.LISTS and not found.problem:
                found.at = self._now
                found.users = [(user, LookReason.BY_LIST) for user in found.directory.users()]
            if any(asked for _, asked in found.users):
                self._groups(found)
        except Problem as problem:
            found.problem = problem

    def _read(self, found: _Found, asked_before: bool) -> None:
        text, found.at = self._aws.ask(lambda: fetch(found.directory, found.ready, asked_before, self._waiting))
        for user, more in entries(text, found.directory.account.number):
            found.users.append((user, self._asked(user, more)))

    def _without_report(self, found: _Found, problem: Problem) -> None:
        """Lists instead, unless they would end the same way: without the role, without a network, throttled."""
        hopeless = isinstance(problem, TryLater) or (isinstance(problem, Denied) and problem.action.startswith("sts:"))
        if hopeless and not isinstance(problem, NeverCame):
            found.problem = problem
            return
        found.source = SurveySource.LISTS
        found.users.clear()
        found.notes.append(f"users were listed instead, and root's keys are not seen: {problem.message}")

    def _asked(self, user: FleetUser, more: bool) -> LookReason | None:
        if user.is_root:
            return None  # IAM lists the keys of users only
        keys, wanted = user.keys, self._wanted
        listed = more or (wanted.exact and keys) or (wanted.inactive and not all(key.active for key in keys))
        return LookReason.BY_REPORT if listed or self._attention(user) else None

    def _attention(self, user: FleetUser) -> bool:
        policy, after = self._settings.policy, self._settings.unused_after
        active = [key for key in user.keys if key.active]
        return any(self._now >= policy.due_at(key.created) or is_unused(key, after, self._now) for key in active)

    def _groups(self, found: _Found) -> None:
        for group in self._settings.exempt.groups:
            try:
                found.members[group] = found.directory.members(group)
            except Gone:
                found.members[group] = frozenset()
            except Problem as problem:
                found.notes.append(f"who is in group {group}, and so exempt, is not known: {problem.message}")

    def details(self, found: _Found, user: FleetUser, asked: LookReason) -> Details:
        """Look closer at one user; where AWS is throttling or away after all patience, at no more."""
        if found.later:
            return unlooked(user, asked, found.later)
        keep = self._wanted.inactive
        details = look_at(
            found.directory, found.uses, user, asked, lambda each: self._attention(each) or (keep and _off(each))
        )
        found.later = details.later
        if details.user and details.attention:
            return replace(details, user=replace(details.user, groups=self._groups_of(found, user.name)))
        return details

    def _groups_of(self, found: _Found, name: str) -> frozenset[str] | None:
        """The exempt groups that a user is in; None if that is not known."""
        groups = frozenset(group for group, members in found.members.items() if name in members)
        complete = len(found.members) == len(self._settings.exempt.groups)
        return groups if groups or complete else None


def _off(user: FleetUser) -> bool:
    return not all(key.active for key in user.keys)


def _survey(account: AwsAccount, found: _Found, known: dict[int, Details]) -> AccountSurvey:
    looked_at = [known.get(id(user), Details(user)) for user, _ in found.users]
    users = tuple(each.user for each in looked_at if each.user)
    troubles = [each.trouble for each in looked_at if each.trouble]
    if troubles and not users:
        found.problem = troubles[0]
    if problem := found.problem:
        notes = tuple(found.notes)
        return AccountSurvey(account, (), found.source, None, problem.message, notes, problem.code, problem.hint)
    notes = (*found.notes, *_unknown(found.source, looked_at, troubles))
    return AccountSurvey(account, users, found.source, found.at, "", notes, first_code(each.code for each in troubles))


def _unknown(source: SurveySource, looked_at: Sequence[Details], troubles: Sequence[Problem]) -> Iterator[str]:
    """What could not be learned of some users."""
    if troubles:
        what = "the keys" if source is SurveySource.LISTS else "ids and exact ages of the keys"
        yield f"{what} of {_people(len(troubles))} are not known: {troubles[0].message}"
    untold = sum(each.attention and each.user is not None and each.user.tags is None for each in looked_at)
    if untold:
        yield f"the tags of {_people(untold)}, and so who is exempt or an owner by tag, are not known"
    keys = [key for each in looked_at if each.user for key in each.user.keys if key.key_id and key.active]
    unused = sum(key.last_use is None for key in keys)
    if unused:
        yield f"the last use of {'one key' if unused == 1 else f'{unused:,} keys'} is not known"


def _people(count: int) -> str:
    return "one user" if count == 1 else f"{count:,} users"


def first_code(codes: Iterable[int]) -> int:
    """With several the first of 1, 5, 4, 75 that occurred; 0 for none."""
    occurred = set(codes) - {0}
    return next((code for code in (1, 5, 4, 75) if code in occurred), max(occurred, default=0))
