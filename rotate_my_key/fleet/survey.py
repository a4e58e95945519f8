"""All users and keys of some accounts, with as few calls as will do.

- First every account is asked for its credential report, which AWS then makes meanwhile; then they are collected.
- ListAccessKeys and ListUserTags are called only for users who need attention by their report. It tells no ids, so each
  of its slots is matched with a listed key, to learn its last use without another call; where that is not certain AWS
  is asked. The groups that are exempt are read once an account, if anybody there needs attention.
- An account whose report is denied, throttled, cannot be read or never comes is listed user by user. What goes wrong in
  an account is a survey with a problem, or a note; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Lock
from typing import NamedTuple, TypeVar

from ..core.errors import Denied, Gone, Problem, Throttled, TryLater, WrongUsage
from ..core.model import AccessKey, LastUse, read_recall, recalled
from ..core.parallel import Pool
from ..settings.fleet import Accounts, FleetSettings
from .accounts import AccountDirectory, AwsOrganization
from .credential_report import entries
from .judge import is_unused, may_fit, possible
from .model import AccountSurvey, AwsAccount, FleetKey, FleetUser, SurveySource

T = TypeVar("T")

# Seconds, each pause twice the one before: AWS takes a moment for a small account and up to a minute for a large one,
# and a report that comes within half a minute costs no more than ten calls.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
_PATIENT = 10.0  # seconds: what failed after so long was waited for and tried again already, and is not begun anew
_UNANSWERED = 3  # keys in a row
_TAG = "tag:"  # of an account
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
    """Whether AWS answers at all: where account after account only takes time, the rest is not asked. Thread-safe."""

    monotonic: Callable[[], float]
    lost: int = 0
    last: TryLater | None = None
    _lock: Lock = field(default_factory=Lock)

    def ask(self, verb: Callable[[], T]) -> T:
        """What the verb gives. Raises TryLater without asking where nobody answered, and what the verb raises."""
        if (last := self.last) and self.lost >= _ACCOUNTS:
            raise type(last)(f"not tried any more: {last.message}", last.hint)
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
    """The CSV, and when it was made. `ready` is what AWS said when it was asked for the report. The first try is made
    without asking again, a call less: at once if it was `asked_before` other accounts were. Raises NeverCame, and what
    the directory raises."""
    until = waiting.monotonic() + waiting.longest
    pause, attempt = _FIRST_PAUSE, True
    if not ready and not asked_before:
        waiting.sleep(pause)
    while True:
        began = waiting.monotonic()
        problem: Problem = NeverCame(f"the credential report was not ready after {waiting.longest:.0f} s")
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
    `trouble`: their keys could not be listed, so that they are as the report has them; without one the user is None."""

    user: FleetUser | None
    attention: bool = False
    trouble: Problem | None = None


def at_work(user: FleetUser) -> bool:
    """Whether a user has a key that works."""
    return any(key.active for key in user.keys)


def survey_accounts(
    organization: AwsOrganization,
    settings: FleetSettings,
    now: datetime,
    waiting: ReportWait,
    *,
    exact: bool = False,
    recalls: Callable[[FleetUser], bool] = lambda user: False,
    progress: Progress = lambda what, done, total: None,
    workers: int = 8,
) -> list[AccountSurvey]:
    """Look at all accounts of the settings, `workers` at a time; one survey each, in the organization's order. The keys
    of those are listed who need attention, or with `exact` of everybody who has one. The tags of those for whom
    `recalls` says so are read whatever the ages of their keys: they say whether IT has recalled them. Raises Problem if
    it cannot be known which accounts there are."""
    answering = map(Answering, [waiting.monotonic] * 2)
    run = _SurveyRun(settings, now, waiting, exact or settings.exact, recalls, *answering)
    accounts = meant(accounts_of(organization, settings.accounts), settings)
    with Pool(workers) as pool:
        looks = pool.map(
            lambda each: _AccountLook(run, organization.directory(each)).request(),
            accounts,
            partial(progress, "asking for reports"),
        )
        pool.map(lambda look: look.collect(len(looks) > 1), looks, partial(progress, "collecting reports"))
        jobs = [(look, user) for look in looks if not look.problem for user, closely in look.users if closely]
        pool.map(lambda job: job[0].details(job[1]), jobs, partial(progress, "looking at users"))
    return [look.survey(account) for account, look in zip(accounts, looks, strict=True)]


def accounts_of(organization: AwsOrganization, accounts: Accounts) -> tuple[AwsAccount, ...]:
    """The accounts that the settings mean. Without a role that is the caller's own alone. Raises WrongUsage for others;
    Problem if there is none, so that looking at nothing is not taken for finding nothing."""
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
        why = "[accounts] excludes all of them" if chosen else "the organization has no active account"
        raise Problem(f"there is no account to check: {why}", "aws organizations list-accounts")
    return left


def resolved(organization: AwsOrganization, settings: FleetSettings) -> FleetSettings:
    """The settings with the numbers of those accounts in [enforce] that are not named by number, as far as [accounts]
    means them. They stay in it, so that a unit without accounts is not "nowhere". Raises Problem."""
    said = settings.enforce.accounts
    if all(each.isdigit() for each in said):
        return settings
    there = accounts_of(organization, settings.accounts)
    tagged = {each: organization.tags(each) for each in there if any(name.startswith(_TAG) for name in said)}
    found: list[str] = []
    for name in said:
        key, _, value = name.removeprefix(_TAG).partition("=")
        if name == "all":
            found += [each.number for each in there]
        elif name.startswith(_TAG):
            found += [each.number for each, tags in tagged.items() if tags.get(key) == value]
        elif not name.isdigit():
            try:
                unit = organization.within(name)
            except Gone:
                what = f"the organization has no unit {name}, which [enforce] accounts names"
                raise Gone(what, "aws organizations list-roots") from None
            found += [each.number for each in there if each.number in unit]
    return replace(settings, enforce=replace(settings.enforce, accounts=tuple(dict.fromkeys((*said, *found)))))


def meant(accounts: Iterable[AwsAccount], settings: FleetSettings) -> list[AwsAccount]:
    """Those of the accounts that [include] and the command's options leave."""
    lists = [who.accounts for who in settings.include if who.accounts]
    return [each for each in accounts if all(each.number in numbers for numbers in lists)]


class _SurveyRun(NamedTuple):
    """What all accounts are looked at with."""

    settings: FleetSettings
    now: datetime
    waiting: ReportWait
    exact: bool
    recalls: Callable[[FleetUser], bool]
    reports: Answering
    lists: Answering

    def attention(self, user: FleetUser) -> bool:
        """Whether somebody should see to a user's keys."""
        theirs, after = tuple(possible(user, self.settings, None, self.now.date())), self.settings.unused_after
        return any(
            recalled(user.tags, key.created, self.now)
            or is_unused(key, after, self.now)
            or any(self.now >= each.policy.due_at(key.created) for each in theirs)
            for key in user.keys
            if key.active
        )

    def meant(self, user: FleetUser) -> bool:
        """Whether a user may be one of those that are asked for."""
        return all(may_fit(user, who, None) for who in self.settings.include)


@dataclass(slots=True)
class _AccountLook:
    """One account on the way; its verbs are run in threads. `users` are with whether they are to be looked at, `found`
    by ARN; `tags_first` are the ARNs of those of whom nothing more is asked unless their tags say so. `later`: AWS is
    throttling there, or away, after all patience, so that others need not be asked about now. After three keys in a row
    without an answer no last use is asked for any more: who is denied or throttled is so for thousands of keys."""

    run: _SurveyRun
    directory: AccountDirectory
    source: SurveySource = SurveySource.REPORT
    at: datetime | None = None
    users: list[tuple[FleetUser, bool]] = field(default_factory=list)
    found: dict[str, Details] = field(default_factory=dict)
    tags_first: set[str] = field(default_factory=set)
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    ready: bool = False
    problem: Problem | None = None
    later: TryLater | None = None
    unanswered: int = 0

    def request(self) -> _AccountLook:
        """Ask for the report."""
        try:
            self.ready = self.run.reports.ask(self.directory.request_report)
        except Problem as problem:
            self._without_report(problem)
        return self

    def collect(self, asked_before: bool) -> None:
        """Fetch the report, and see who needs attention. `asked_before`: others were asked since."""
        if self.problem:
            return
        if self.source is SurveySource.REPORT:
            try:
                wanted = partial(fetch, self.directory, self.ready, asked_before, self.run.waiting)
                text, self.at = self.run.reports.ask(wanted)
                for user, more in entries(text, self.directory.account.number):  # IAM lists no keys of root
                    if not self.run.meant(user):
                        continue
                    needed = more or (self.run.exact and user.keys) or self.run.attention(user)
                    if not needed and self.run.recalls(user):
                        needed = True
                        self.tags_first.add(user.arn)
                    self.users.append((user, not user.is_root and bool(needed)))
            except Problem as problem:
                self._without_report(problem)
        try:
            if self.source is SurveySource.LISTS and not self.problem:
                self.at = self.run.now
                users = self.run.lists.ask(lambda: [*self.directory.users()])
                self.users = [(user, True) for user in users if self.run.meant(user)]
            if any(closely for _, closely in self.users):
                self._groups()
        except Problem as problem:
            self.problem = problem

    def _without_report(self, problem: Problem) -> None:
        """Lists instead, unless they would end the same way: without the role, without a network."""
        hopeless = isinstance(problem, TryLater) or (isinstance(problem, Denied) and problem.action.startswith("sts:"))
        if hopeless and not isinstance(problem, NeverCame | Throttled):
            self.problem = problem
            return
        self.source = SurveySource.LISTS
        self.users.clear()
        self.notes.append(f"users were listed instead, without the keys of root: {problem.message}")

    def _groups(self) -> None:
        for group in self.run.settings.groups(self.run.now.date()):
            try:
                self.members[group] = self.directory.members(group)
            except Gone:
                self.members[group] = frozenset()
            except Problem as problem:
                self.notes.append(f"who is in group {group}, and so exempt, is unknown: {problem.message}")

    def details(self, user: FleetUser) -> None:
        """Look closer at one user; where AWS is throttling or away after all patience, at no more."""
        self.found[user.arn] = self._unlooked(user, self.later) if self.later else self._details(user)

    def _unlooked(self, user: FleetUser, problem: Problem) -> Details:
        """What is known of a user whose keys could not be listed."""
        return Details(user if self.source is SurveySource.REPORT else None, trouble=problem)

    def _details(self, user: FleetUser) -> Details:
        """Their keys; if they need attention as they are now, their tags and groups too."""
        trouble: Problem | None = None
        try:
            if user.arn in self.tags_first:
                user = self._with_tags(user)
                if not read_recall(user.tags):
                    return Details(user, True)
            user = self._with_keys(user)
        except Gone:
            return Details(None)
        except Problem as problem:
            self.later = problem if isinstance(problem, TryLater) else self.later
            if isinstance(problem, TryLater) or self.source is SurveySource.LISTS:
                return self._unlooked(user, problem)
            trouble = problem
        if not self.run.attention(user) and not self.run.recalls(user):
            return Details(user, trouble=trouble)
        try:
            user = user if user.arn in self.tags_first else self._with_tags(user)
        except Gone:
            return Details(None)
        groups = frozenset(group for group, members in self.members.items() if user.name in members)
        known = groups or len(self.members) == len(self.run.settings.groups(self.run.now.date()))
        return Details(replace(user, groups=groups if known else None), True, trouble)

    def _with_tags(self, user: FleetUser) -> FleetUser:
        """Throttled is unknown, as if denied. Raises Gone."""
        try:
            return replace(user, tags=self.directory.tags(user.name))
        except Gone:
            raise
        except Problem as problem:
            self.later = problem if isinstance(problem, TryLater) else self.later
            return user

    def _with_keys(self, user: FleetUser) -> FleetUser:
        listed = self.directory.keys(user.name)
        known, keys = _matched(user.keys, listed), list[FleetKey]()
        for key in listed:
            use = known.get(key.key_id)
            if use is None and self.unanswered < _UNANSWERED:
                use = self.directory.last_use(key.key_id)
                self.unanswered = 0 if use else self.unanswered + 1
            keys.append(FleetKey(key.active, key.created, key.key_id, use))
        return replace(user, keys=tuple(keys))

    def survey(self, account: AwsAccount) -> AccountSurvey:
        """All that was found."""
        details = [self.found.get(user.arn, Details(user)) for user, _ in self.users]
        users = tuple(each.user for each in details if each.user)
        troubles = [each.trouble for each in details if each.trouble]
        if troubles and not users:
            self.problem = troubles[0]
        notes = tuple(self.notes)
        if problem := self.problem:
            return AccountSurvey(account, (), self.source, None, problem.message, notes, problem.code, problem.hint)
        notes = (*notes, *_unknown(self.source, details, troubles))
        code = first_code(each.code for each in troubles)
        return AccountSurvey(account, users, self.source, self.at, "", notes, code)


def _matched(slots: Sequence[FleetKey], listed: Sequence[AccessKey]) -> Mapping[str, LastUse]:
    """The last uses that the report tells of, by key id; of keys that are certainly those of a slot only. A slot's date
    is when its key was made or last changed. So equal dates match, if there is but one pair of them, and what is then
    left over, if it is one of each and the key is not younger than the slot."""
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


def _unknown(source: SurveySource, looked_at: Sequence[Details], troubles: Sequence[Problem]) -> Iterator[str]:
    """What could not be learned of some users."""
    if troubles:
        what = "the keys" if source is SurveySource.LISTS else "IDs and exact ages of the keys"
        yield f"{what} of {_people(len(troubles))} are unknown: {troubles[0].message}"
    untold = sum(each.attention and each.user is not None and each.user.tags is None for each in looked_at)
    if untold:
        yield f"the tags of {_people(untold)} are unknown, and so are exemptions, recalls and owners by tag"
    keys = [key for each in looked_at if each.user for key in each.user.keys if key.key_id and key.active]
    unused = sum(key.last_use is None for key in keys)
    if unused:
        yield f"the last use of {'one key' if unused == 1 else f'{unused:,} keys'} is unknown"


def _people(count: int) -> str:
    return "one user" if count == 1 else f"{count:,} users"


def first_code(codes: Iterable[int]) -> int:
    """With several the first of 1, 5, 4, 75 that occurred; 0 for none."""
    occurred = set(codes) - {0}
    return next((code for code in (1, 5, 4, 75) if code in occurred), max(occurred, default=0))
