"""All users and keys of some accounts, with as few calls as will do.

- First every account is asked for its credential report, which AWS then makes meanwhile; then they are collected. AWS
  itself gives a report again for four hours.
- ListAccessKeys and ListUserTags are called only for users who need attention by their report: two calls each. The
  report tells no ids, so each of its slots is matched with a listed key, to learn its last use without another call;
  where that is not certain AWS is asked. The groups that are exempt are read once an account, if anybody there needs
  attention.
- An account whose report is denied, cannot be read or never comes is listed user by user.
- What goes wrong in an account is a survey with a problem, or a note; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock
from typing import TypeVar

from ..core.errors import Denied, Gone, Problem, TryLater, WrongUsage
from ..core.model import AccessKey, LastUse
from ..core.parallel import Pool
from ..settings.fleet import Accounts, FleetSettings
from .accounts import AccountDirectory, AwsOrganization
from .credential_report import entries
from .judge import is_unused
from .model import AccountSurvey, AwsAccount, FleetKey, FleetUser, SurveySource

T = TypeVar("T")

# Seconds, each pause twice the one before: AWS takes a moment for a small account and up to a minute for a large one,
# and a report that comes within half a minute costs no more than ten calls.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
_PATIENT = 10.0  # seconds: what failed after so long was waited for and tried again already, and is not begun anew
_UNANSWERED = 3  # keys in a row
_ACCOUNTS = 16  # after so many in a row without an answer nothing is asked of the others


@dataclass(frozen=True, slots=True)
class ReportWait:
    """How to wait for reports: at most `longest` seconds for each account. `monotonic` is in seconds."""

    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    longest: float = 180.0


class NeverCame(TryLater):
    """AWS did not make the report in time."""


@dataclass
class Answering:
    """Whether AWS answers at all. Safe to share between threads.

    Where one account after the other only lets time pass, each of hundreds would do so; the rest is not asked.
    """

    monotonic: Callable[[], float]
    lost: int = 0
    last: TryLater | None = None
    _lock: Lock = field(default_factory=Lock)

    def ask(self, verb: Callable[[], T]) -> T:
        """What the verb gives. Raises TryLater without asking where nobody answered, and what the verb raises."""
        if self.last and self.lost >= _ACCOUNTS:
            raise TryLater(f"not asked any more: {self.last.message}", self.last.hint)
        began = self.monotonic()
        try:
            answer = verb()
        except TryLater as problem:
            if not isinstance(problem, NeverCame) and self.monotonic() - began >= _PATIENT:
                with self._lock:
                    self.lost, self.last = self.lost + 1, problem
            raise
        self.lost = 0
        return answer


def fetch(directory: AccountDirectory, ready: bool, asked_before: bool, waiting: ReportWait) -> tuple[str, datetime]:
    """The CSV, and when it was made. `ready` is what AWS said when it was asked for the report.

    The first try is made without asking if it is there by now, which is a call less: at once if it was `asked_before`
    other accounts were. Raises NeverCame, and what the directory raises.
    """
    until = waiting.monotonic() + waiting.longest
    pause, attempt = _FIRST_PAUSE, True
    if not ready and not asked_before:
        waiting.sleep(pause)
    while True:
        began = waiting.monotonic()
        problem: Problem = NeverCame(f"the credential report did not come within {waiting.longest:.0f} s")
        try:
            if ready or attempt:
                return directory.report()
        except (TryLater, Gone) as error:  # not there yet, or it has expired since
            problem = error if ready else problem
            if waiting.monotonic() - began >= _PATIENT:
                raise error from None
        if waiting.monotonic() >= until:
            raise problem
        pause, attempt = min(pause * 2, _LONGEST_PAUSE), False
        waiting.sleep(pause)
        ready = directory.request_report()


Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True, slots=True)
class Details:
    """A user as they are now, None if they are gone. `attention`: their tags were asked for, None are denied.

    `trouble`: their keys could not be listed, so that they are as the report has them; without a report the user is
    None.
    """

    user: FleetUser | None
    attention: bool = False
    trouble: Problem | None = None


@dataclass(slots=True)
class _Found:
    """What is known of one account on the way. `users` are with whether they are to be looked at, `details` by ARN.

    `later`: AWS is throttling there, or away, after all patience, so that others need not be asked about now. After
    three keys in a row without an answer no last use is asked for any more: who is denied or throttled is so for
    thousands of keys.
    """

    directory: AccountDirectory
    source: SurveySource = SurveySource.REPORT
    at: datetime | None = None
    users: list[tuple[FleetUser, bool]] = field(default_factory=list)
    details: dict[str, Details] = field(default_factory=dict)
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ready: bool = False
    problem: Problem | None = None
    later: TryLater | None = None
    unanswered: int = 0

    def last_use(self, key_id: str) -> LastUse | None:
        """GetAccessKeyLastUsed; None for unknown."""
        if self.unanswered >= _UNANSWERED:
            return None
        use = self.directory.last_use(key_id)
        self.unanswered = 0 if use else self.unanswered + 1
        return use

    def passing(self, problem: Problem) -> None:
        """Remember a problem that will pass."""
        if isinstance(problem, TryLater):
            self.later = problem

    def unlooked(self, user: FleetUser, problem: Problem) -> Details:
        """What is known of a user whose keys could not be listed."""
        return Details(user if self.source is SurveySource.REPORT else None, trouble=problem)


def survey_accounts(
    organization: AwsOrganization,
    settings: FleetSettings,
    now: datetime,
    waiting: ReportWait,
    *,
    exact: bool = False,
    progress: Progress = lambda what, done, total: None,
    workers: int = 8,
) -> list[AccountSurvey]:
    """Look at all accounts of the settings, `workers` at a time; one survey each, in the organization's order.

    The keys of those are listed who need attention, or with `exact` of everybody who has one. Raises Problem if it
    cannot be known which accounts there are.
    """
    look = _Look(settings, now, waiting, exact or settings.exact)
    accounts = accounts_of(organization, settings.accounts)
    with Pool(workers) as pool:
        found = pool.map(
            lambda account: look.request(organization, account), accounts, _tick(progress, "asking for reports")
        )
        pool.map(lambda one: look.collect(one, len(found) > 1), found, _tick(progress, "collecting reports"))
        jobs = [(one, user) for one in found if not one.problem for user, closely in one.users if closely]
        pool.map(lambda job: look.details(*job), jobs, _tick(progress, "looking at users"))
    return [_survey(account, one) for account, one in zip(accounts, found, strict=True)]


def _tick(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)


def accounts_of(organization: AwsOrganization, accounts: Accounts) -> tuple[AwsAccount, ...]:
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

    def __init__(self, settings: FleetSettings, now: datetime, waiting: ReportWait, exact: bool) -> None:
        self._settings = settings
        self._now = now
        self._waiting = waiting
        self._exact = exact
        self._aws = Answering(waiting.monotonic)

    def request(self, organization: AwsOrganization, account: AwsAccount) -> _Found:
        """Ask an account for its report."""
        directory = organization.directory(account)
        found = _Found(directory)
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
                found.users = [(user, True) for user in found.directory.users()]
            if any(closely for _, closely in found.users):
                self._groups(found)
        except Problem as problem:
            found.problem = problem

    def _read(self, found: _Found, asked_before: bool) -> None:
        text, found.at = self._aws.ask(lambda: fetch(found.directory, found.ready, asked_before, self._waiting))
        for user, more in entries(text, found.directory.account.number):
            found.users.append((user, self._needed(user, more)))

    def _without_report(self, found: _Found, problem: Problem) -> None:
        """Lists instead, unless they would end the same way: without the role, without a network, throttled."""
        hopeless = isinstance(problem, TryLater) or (isinstance(problem, Denied) and problem.action.startswith("sts:"))
        if hopeless and not isinstance(problem, NeverCame):
            found.problem = problem
            return
        found.source = SurveySource.LISTS
        found.users.clear()
        found.notes.append(f"users were listed instead, and root's keys are not seen: {problem.message}")

    def _needed(self, user: FleetUser, more: bool) -> bool:
        """Whether a user of the report is to be looked at; IAM lists the keys of users only, not root's."""
        return not user.is_root and bool(more or (self._exact and user.keys) or self._attention(user))

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

    def details(self, found: _Found, user: FleetUser) -> None:
        """Look closer at one user; where AWS is throttling or away after all patience, at no more."""
        found.details[user.arn] = self._details(found, user)

    def _details(self, found: _Found, user: FleetUser) -> Details:
        """Their keys; if they need attention as they are now, their tags and groups too."""
        if found.later:
            return found.unlooked(user, found.later)
        trouble: Problem | None = None
        try:
            user = self._with_keys(found, user)
        except Gone:
            return Details(None)
        except Problem as problem:
            found.passing(problem)
            if isinstance(problem, TryLater) or found.source is SurveySource.LISTS:
                return found.unlooked(user, problem)
            trouble = problem
        if not self._attention(user):
            return Details(user, trouble=trouble)
        try:
            user = replace(user, tags=found.directory.tags(user.name))
        except Gone:
            return Details(None)
        except Problem as problem:  # throttled: unknown, as if denied
            found.passing(problem)
        return Details(replace(user, groups=self._groups_of(found, user.name)), True, trouble)

    def _with_keys(self, found: _Found, user: FleetUser) -> FleetUser:
        listed = found.directory.keys(user.name)
        known = _matched(user.keys, listed)
        uses = (known.get(key.key_id) or found.last_use(key.key_id) for key in listed)
        keys = (FleetKey(key.active, key.created, key.key_id, use) for key, use in zip(listed, uses, strict=True))
        return replace(user, keys=tuple(keys))

    def _groups_of(self, found: _Found, name: str) -> frozenset[str] | None:
        """The exempt groups that a user is in; None if that is not known."""
        groups = frozenset(group for group, members in found.members.items() if name in members)
        complete = len(found.members) == len(self._settings.exempt.groups)
        return groups if groups or complete else None


def _matched(slots: Sequence[FleetKey], listed: Sequence[AccessKey]) -> Mapping[str, LastUse]:
    """The last uses that the report tells of, by key id; of keys that are certainly those of a slot only.

    A slot's date is when its key was made or last changed. So equal dates match, if there is but one pair of them, and
    what is then left over, if it is one of each and the key is not younger than the slot.
    """
    pairs = []
    for slot in slots:
        same = [key for key in listed if key.created == slot.created]
        twins = [each for each in slots if each.created == slot.created]
        if len(same) == len(twins) == 1:
            pairs.append((same[0], slot))
    keys_left = [key for key in listed if key not in [pair[0] for pair in pairs]]
    slots_left = [slot for slot in slots if slot not in [pair[1] for pair in pairs]]
    if len(keys_left) == len(slots_left) == 1 and keys_left[0].created <= slots_left[0].created:
        pairs.append((keys_left[0], slots_left[0]))
    return {key.key_id: slot.last_use for key, slot in pairs if slot.last_use}


def _survey(account: AwsAccount, found: _Found) -> AccountSurvey:
    looked_at = [found.details.get(user.arn, Details(user)) for user, _ in found.users]
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
