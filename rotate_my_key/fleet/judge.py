"""Every key with what is to be thought of it: its status, its owner, whether its user is exempt, and what it fails.

Pure but for the mapping file: tags, groups and settings are handed in.

- Fresh, due and overdue are the laptop's own (`Policy.verdict`); what a key is beyond its age goes before them.
- Owners: the first rule that gives an address decides, then the owner of the account, then of all accounts (`*` in the
  mapping); else the first rule that gives a name. Root is nobody's by tag or name. User names and tag keys are compared
  without regard to case, as IAM does.
- What could not be read is said by `unreadable`: whoever acts on a user must ask, for "" from `exempt` is then no
  answer.
- The numbers of the CIS benchmark are its own, whatever the settings say, and it knows no exempt users. Recommendations
  were renumbered in v5.0.0, v6.0.0 and v7.0.0, which has no longer the one about a second key.
"""

from __future__ import annotations

import csv
import io
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import NamedTuple

from ..core.errors import WrongUsage
from ..core.model import Recall, recalled
from ..core.policy import Policy, Verdict, format_duration
from ..settings.fleet import WHO, Exempt, FleetSettings, Owners, Rule, Who
from ..settings.trust import read
from .model import AccountSurvey, AwsAccount, FleetKey, FleetUser, Owner, addresses_in

Addresses = Mapping[str, str]  # by `user`, `account/user`, `account/*` or `*` in lower case: see read_mapping
Members = Mapping[str, frozenset[str]]  # user names by group; a group that could not be read is missing

ROOT = "<root_account>"  # the credential report's word, and how the mapping file names root
_ACCOUNT = re.compile(r"\d{12}")
_WHO = re.compile(rf"(?:\d{{12}}/)?(?:[\w+=,.@-]{{1,64}}|\*|{ROOT})")  # IAM API reference, User: UserName
OF_ACCOUNT = "mapping of the account"  # how an owner is found who is not the user's own
_FORM = "a line is user,address, account/user,address or account/*,address; put a name with a comma in double quotes"


def read_mapping(text: str, where: str) -> dict[str, str]:
    """The mapping file: CSV with `user,address` or `account/user,address`; `#` begins a comment, and a head is passed
    over. Raises WrongUsage naming `where` and the line."""
    found: dict[str, str] = {}
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    kept = ("\n" if line.lstrip().startswith("#") else line for line in lines)
    rows = csv.reader(kept, strict=True, skipinitialspace=True)
    try:
        for cells in rows:
            row = [cell.strip() for cell in cells]
            if any(row) and [cell.lower() for cell in row] != ["user", "address"]:
                if wrong := _wrong(found, row):
                    raise WrongUsage(f"{where}, line {rows.line_num}: {wrong[0]}", wrong[1])
                found[row[0].lower()] = row[1]
    except csv.Error as error:
        raise WrongUsage(f"{where}, line {rows.line_num}: {error}", _FORM) from None
    return found


def _wrong(found: Mapping[str, str], row: list[str]) -> tuple[str, str] | None:
    """What is wrong with a line, and what to do about it."""
    if len(row) != 2:
        return f"{len(row)} values instead of two", _FORM
    who, address = row
    if not _WHO.fullmatch(who):
        return f"{who!r} is not a user name", _FORM
    if _ACCOUNT.fullmatch(who):
        return f"{who} is the number of an account", f"write {who}/* for all of its users, or account/{who} for a user"
    if not address or not address.isprintable():
        return f"{who} has no usable address", _FORM
    if found.get(who.lower(), address) != address:
        return f"{who} has a different address further up", "keep one of the two lines"
    return None


def owner_of(user: FleetUser, owners: Owners, mapping: Addresses) -> Owner:
    """Whom to tell of a user's keys; its address is "" if none is known."""
    name = ROOT if user.is_root else user.name.lower()
    found = [owner for rule in owners.by if (owner := _owner_by(rule, user, name, owners, mapping))]
    if "mapping" in owners.by and (said := mapping.get(f"{user.account}/*") or mapping.get("*")):
        found.append(Owner(said, said, OF_ACCOUNT))
    return next((owner for owner in found if owner.address), found[0] if found else Owner(user.name))


def owns(owner: Owner, address: str) -> bool:
    """Whether this is one of the owner's addresses. Who owns a whole account does not own its users."""
    said = owner.address.lower()
    return owner.how != OF_ACCOUNT and address.lower() in (addresses_in(said) or (said,))


def _owner_by(rule: str, user: FleetUser, name: str, owners: Owners, mapping: Addresses) -> Owner | None:
    if rule == "mapping" and (said := mapping.get(f"{user.account}/{name}") or mapping.get(name)):
        return Owner(said, said, "mapping")
    if name == ROOT:
        return None
    if rule == "tag" and (said := _tag(user.tags or {}, owners.tag) or ""):
        return Owner(said, _address(said, owners.domain), f"tag {owners.tag}")
    return Owner(user.name, _address(user.name, owners.domain), "user name") if rule == "name" else None


def _address(text: str, domain: str) -> str:
    """The text if it is a mail address, or several; else one in `domain`; "" if that cannot be one."""
    made = text if "@" in text or not domain else f"{text}@{domain.removeprefix('@')}"
    return ", ".join(addresses_in(made)) if "@" in made else ""


def _tag(tags: Mapping[str, str], key: str) -> str | None:
    """A tag's value without blanks around it; None if there is no such tag."""
    return next((value.strip() for name, value in tags.items() if name.lower() == key.lower()), None)


class Exemption(NamedTuple):
    """Why a user is left alone, such as `tag rotate-my-key=exempt`; until when (the end of that day), and by whom."""

    why: str
    until: date | None = None
    by: str = ""

    def __str__(self) -> str:
        until = f"until {self.until}" if self.until else ""
        return ", ".join(filter(None, (self.why, until, f"by {self.by}" if self.by else "")))


def exempt(user: FleetUser, rules: Exempt, members: Members | None, today: date) -> Exemption | None:
    """Why a user is left alone, if they are. Root never is. `members` are the users of the groups in `rules`."""
    if user.is_root:
        return None
    if said := next(_holding(user, rules, members), None):
        return Exemption(said[1])
    if rules.never_signed_in and user.password is False and user.signed_in is None:
        return Exemption("never signed in")
    rule = next((each for each in rules.rules if not each.over(today) and fits(user, each, members)), None)
    if rule is None:
        return None
    why = " and ".join(dict(_holding(user, rule, members)).values())
    return Exemption(f"{rule.title}: {why}", rule.until, rule.by)


def _holding(user: FleetUser, who: Who, members: Members | None) -> Iterator[tuple[str, str]]:
    """Which values hold of a user: the list, and in words."""
    for rule in who.tags:
        if user.tags and _has(user.tags, rule):
            yield "tags", f"tag {rule}"
    for path in who.paths:
        if user.path.startswith(f"/{path.lstrip('/')}"):
            yield "paths", f"path {path}"
    for pattern in who.names:
        if _matches(user.name, pattern):
            yield "names", f"name {pattern}"
    for group in who.groups:
        if group in (user.groups or ()) or user.name in (members or {}).get(group, ()):
            yield "groups", f"group {group}"
    if user.account in who.accounts:
        yield "accounts", f"account {user.account}"


def fits(user: FleetUser, who: Who, members: Members | None) -> bool:
    """Whether a user is certainly meant."""
    return {name for name, _ in _holding(user, who, members)} == {name for name in WHO if getattr(who, name)}


def _unknown(user: FleetUser, who: Who, members: Members | None) -> str:
    """What keeps us from knowing whether a user is meant, such as `the tags of alice`; "" if it is known."""
    unread = {}
    if who.tags and user.tags is None:
        unread["tags"] = f"the tags of {user.name}"
    if missing := [each for each in who.groups if user.groups is None and each not in (members or {})]:
        unread["groups"] = f"the members of group {missing[0]}"
    known = {name for name, _ in _holding(user, who, members)}
    sure = all(name in known or name in unread for name in WHO if getattr(who, name))
    return next((said for name, said in unread.items() if name not in known), "") if sure else ""


def may_fit(user: FleetUser, who: Who, members: Members | None) -> bool:
    """Whether a user is meant, or that is not known yet."""
    return fits(user, who, members) or bool(_unknown(user, who, members))


def included(user: FleetUser, settings: FleetSettings, members: Members | None) -> bool:
    """Whether a user is certainly among those of [include], or of the options of the command."""
    return all(fits(user, who, members) for who in settings.include)


def limit_of(user: FleetUser, settings: FleetSettings, members: Members | None, today: date) -> Rule | None:
    """The limit that counts for a user, the first that fits; None for the general ones. Root has no other."""
    there = (each for each in settings.limits if not user.is_root and not each.over(today))
    return next((each for each in there if fits(user, each, members)), None)


def possible(user: FleetUser, settings: FleetSettings, members: Members | None, today: date) -> Iterator[FleetSettings]:
    """The settings that count for a user; several where it is not known yet which."""
    for limit in settings.limits:
        if not user.is_root and not limit.over(today) and may_fit(user, limit, members):
            yield settings.limited(limit)
            if fits(user, limit, members):
                return
    yield settings


def ended(user: FleetUser, rules: Exempt, today: date) -> str:
    """Which exemption of a user has ended, "" for none."""
    mine = (rule for rule in rules.rules if not user.is_root and rule.over(today) and fits(user, rule, None))
    return next((f"{rule.title} ended on {rule.until}" for rule in mine), "")


def _has(tags: Mapping[str, str], rule: str) -> bool:
    """Whether a rule `KEY=VALUE` or `KEY` holds; the value as the laptop compares it: without regard to case."""
    key, sign, value = rule.partition("=")
    said = _tag(tags, key.strip())
    return said is not None and (not sign or said.lower() == value.strip().lower())


def _matches(name: str, pattern: str) -> bool:
    """`*` and `?` only: a bracket means nothing special."""
    parts = ({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return bool(re.fullmatch("".join(parts), name, re.IGNORECASE | re.DOTALL))


def unreadable(user: FleetUser, settings: FleetSettings, members: Members | None, today: date) -> str:
    """What keeps us from knowing whether a user is exempt and which limits count, such as `the tags of alice`; "" if it
    is known, as it is once one exemption holds, whatever else could not be read."""
    rules = settings.exempt
    if user.is_root or exempt(user, rules, members, today):
        return ""
    there = [each for each in (*rules.rules, *settings.limits) if not each.over(today)]
    lists = [Who(tags=rules.tags), Who(groups=rules.groups), *there, *settings.include]
    if said := next((said for who in lists if (said := _unknown(user, who, members))), ""):
        return said
    asked = rules.never_signed_in and user.password is None and user.signed_in is None
    return f"whether {user.name} has a password" if asked else ""


def addresses(owners: Owners) -> dict[str, str]:
    """The addresses by user in the settings' `mapping` file, if there is one. Raises WrongUsage, Problem."""
    if not owners.mapping:
        return {}
    data = read(owners.mapping)
    if data is None:
        raise WrongUsage(f"there is no file {owners.mapping}", "correct mapping in [owners] of the fleet's settings")
    try:
        return read_mapping(data.decode(), owners.mapping)
    except UnicodeDecodeError:
        raise WrongUsage(f"{owners.mapping} is not UTF-8 text", f"save it as UTF-8: {owners.mapping}") from None


BENCHMARK = "CIS Amazon Web Services Foundations Benchmark"
VERSIONS = ("v3.0.0", "v5.0.0", "v7.0.0")


@dataclass(frozen=True, slots=True, eq=False)  # each is one of CONTROLS
class Control:
    """A recommendation of the benchmark: `numbers` has its number in each of VERSIONS, "" where it is not in it. `unit`
    is what it is about, one by one."""

    numbers: tuple[str, str, str]
    title: str
    unit: str

    @property
    def number(self) -> str:
        """Its number in the first of VERSIONS."""
        return self.numbers[0]


NO_ROOT_KEY = Control(("1.4", "1.3", "2.4"), "no access key of the root user exists", "account")
ROOT_MFA = Control(("1.5", "1.4", "2.5"), "the root user signs in with MFA", "account")
MFA = Control(("1.10", "1.9", "2.10"), "users with a console password sign in with MFA", "user with a password")
UNUSED = Control(("1.12", "1.11", "2.11"), "what was not used for 45 days is disabled", "key or password")
ONE_KEY = Control(("1.13", "1.12", ""), "a user has only one active access key", "user")
ROTATED = Control(("1.14", "1.13", "2.12"), "access keys are replaced every 90 days or less", "key")
CONTROLS = (NO_ROOT_KEY, ROOT_MFA, MFA, UNUSED, ONE_KEY, ROTATED)

_UNUSED_AFTER = timedelta(days=45)
_MAX_AGE = timedelta(days=90)


def violated(key: FleetKey, user: FleetUser, now: datetime) -> Iterator[Control]:
    """What a key fails; one that is switched off fails nothing, but for root's, which must not exist."""
    if user.is_root:
        yield NO_ROOT_KEY
    if is_unused(key, _UNUSED_AFTER, now):
        yield UNUSED
    if key.active and not user.is_root and sum(each.active for each in user.keys) > 1:
        yield ONE_KEY
    if key.active and now - key.created >= _MAX_AGE:
        yield ROTATED


def sign_in_violated(user: FleetUser, now: datetime) -> Iterator[Control]:
    """What the console password of a user fails, or root's sign-in. Root without password and key has none (AWS keeps
    it so in member accounts); without a sign-in on record it counts from when the password was set."""
    if user.mfa is False and (user.password if not user.is_root else user.password is not False or user.keys):
        yield ROOT_MFA if user.is_root else MFA
    last = user.signed_in or user.password_set
    if user.password and not user.is_root and last and now - last >= _UNUSED_AFTER:
        yield UNUSED


def is_unused(key: FleetKey, after: timedelta, now: datetime) -> bool:
    """Whether an active key was not used for so long; without a use on record it counts from when it was made. Unknown
    (denied, throttled) is not unused."""
    return key.active and key.last_use is not None and now - (key.last_use.at or key.created) >= after


class Status(Enum):
    """What a key is, in the order in which it matters."""

    ROOT = "root"
    OVERDUE = "overdue"
    DUE = "due"
    FRESH = "fresh"
    EXEMPT = "exempt"
    INACTIVE = "inactive"


_ORDER = {standing: number for number, standing in enumerate(Status)}


@dataclass(frozen=True, slots=True)
class Row:
    """One key. `by_age` is its verdict if age, and a `recall` by IT, were all that counts; `exempt` says why its user
    is left alone, and `uncertain` what keeps us from knowing that, both "" if nothing. `fails` are the benchmark's
    recommendations. The exemption lasts `until` the end of that day, and was decided `by` somebody; `ended` is one that
    no longer counts. `policy` has the limits of this user."""

    account: AwsAccount
    user: FleetUser
    key: FleetKey
    standing: Status
    by_age: Verdict
    age: timedelta
    owner: Owner
    exempt: str = ""
    uncertain: str = ""
    unused: bool = False
    fails: tuple[Control, ...] = ()
    until: date | None = None
    by: str = ""
    ended: str = ""
    policy: Policy = Policy()  # noqa: RUF009 - it cannot be changed
    recall: Recall | None = None

    @property
    def overdue_at(self) -> datetime:
        """When it is or was overdue: by its age, or when it was recalled if that is earlier."""
        by_age = self.policy.overdue_at(self.key.created)
        return min(by_age, self.recall.at) if self.recall else by_age

    @property
    def due_at(self) -> datetime:
        """When it is or was due."""
        return min(self.policy.due_at(self.key.created), self.overdue_at)

    @property
    def exact(self) -> bool:
        """Whether the age is exact: without an id it is from the credential report, and the key may be older."""
        return self.key.key_id is not None

    @property
    def attention(self) -> bool:
        """Whether somebody should do something about it."""
        return self.standing in (Status.ROOT, Status.OVERDUE, Status.DUE) or self.unused

    @property
    def kind(self) -> str:
        """The word for what it is: an unused key that is fresh is `unused`."""
        return "unused" if self.standing is Status.FRESH and self.unused else self.standing.value

    @property
    def remark(self) -> str:
        """That it is recalled; why its user is left alone, or may be."""
        call, said = self.recall, ""
        if call:
            said = f"recalled on {call.at:%Y-%m-%d}, to be replaced by {call.by:%Y-%m-%d}"
            said += call.reason and f": {call.reason}"
        left = str(Exemption(self.exempt, self.until, self.by)) if self.exempt else ""
        unsure = f"exempt? {self.uncertain} could not be read" if self.uncertain else ""
        left = left or unsure or (f"no longer exempt: {self.ended}" if self.ended and self.attention else "")
        return "; ".join(filter(None, (said, left)))


def judge(surveys: Iterable[AccountSurvey], settings: FleetSettings, mapping: Addresses, now: datetime) -> list[Row]:
    """All keys: root's first, then the overdue, the due, the unused, the rest; the oldest first among equals."""
    users = ((survey.account, user) for survey in surveys for user in survey.users if user.keys)
    return sorted(
        (row for account, user in users for row in _rows(account, user, settings, mapping, now)),
        key=lambda row: (
            _ORDER[row.standing],
            row.standing is Status.FRESH and not row.unused,
            -row.age,
            row.account.number,
            row.user.name,
            row.key.key_id or "",
        ),
    )


def _rows(
    account: AwsAccount, user: FleetUser, settings: FleetSettings, mapping: Addresses, now: datetime
) -> Iterator[Row]:
    owner, today = owner_of(user, settings.owners, mapping), now.date()
    reason = exempt(user, settings.exempt, None, today)
    over = "" if reason else ended(user, settings.exempt, today)
    policy = settings.limited(limit_of(user, settings, None, today)).policy
    left = reason or Exemption("")
    for key in user.keys:
        alone = user.is_root or reason or not key.active
        recall = None if alone else recalled(user.tags, key.created, now)
        by_age = Verdict.OVERDUE if recall else policy.verdict(key, now)
        if user.is_root:
            standing = Status.ROOT
        elif not key.active:
            standing = Status.INACTIVE
        else:
            standing = Status.EXEMPT if reason else Status(by_age.value)
        unused = is_unused(key, settings.unused_after, now)
        needed = standing in (Status.OVERDUE, Status.DUE) or unused
        uncertain = unreadable(user, settings, None, today) if needed else ""
        age, fails = max(now - key.created, timedelta(0)), tuple(violated(key, user, now))
        unused = unused and standing is not Status.EXEMPT
        said = (left.why, uncertain, unused, fails, left.until, left.by, over, policy, recall)
        yield Row(account, user, key, standing, by_age, age, owner, *said)


_MARKS = tuple(timedelta(days=days) for days in (0, 30, 60, 90, 180, 365, 730))


class SignIn(NamedTuple):
    """A user, or root, whose sign-in to the console fails something."""

    account: AwsAccount
    user: FleetUser
    fails: tuple[Control, ...]


def sign_ins(surveys: Iterable[AccountSurvey], now: datetime) -> list[SignIn]:
    """All of them, by account and name. Only a credential report tells of passwords and MFA."""
    found = (
        SignIn(survey.account, user, fails)
        for survey in surveys
        for user in survey.users
        if (fails := tuple(sign_in_violated(user, now)))
    )
    return sorted(found, key=lambda each: (not each.user.is_root, each.account.number, each.user.name))


class Figure(NamedTuple):
    """How a recommendation is kept: of `checked` units, so many `failed`, of these `exempt`; `keys` that fail it."""

    checked: int
    failed: int
    exempt: int
    keys: int

    @property
    def rate(self) -> int | None:
        """Percent that pass, rounded down, so that 100 means all; None if there was nothing to check."""
        return (self.checked - self.failed) * 100 // self.checked if self.checked else None


def figures(surveys: Iterable[AccountSurvey], rows: Iterable[Row], fails: Iterable[SignIn]) -> dict[Control, Figure]:
    """All that the benchmark says of keys, passwords and MFA; what could not be read counts nowhere."""
    checked, keys = Counter[Control](), Counter[Control]()
    failed: dict[Control, dict[str | int, str]] = {each: {} for each in CONTROLS}  # what fails, with why it is exempt
    for user in (user for survey in surveys for user in survey.users):
        active = [key for key in user.keys if key.active]
        checked[ROTATED] += len(active)
        checked[UNUSED] += sum(key.last_use is not None for key in active)
        if user.is_root:
            checked[NO_ROOT_KEY] += 1
            checked[ROOT_MFA] += user.mfa is not None and (user.password is not False or bool(user.keys))
        else:
            checked[UNUSED] += bool(user.password)
            checked[ONE_KEY] += bool(active)
            checked[MFA] += bool(user.password) and user.mfa is not None
    for number, row in enumerate(rows):
        for control in row.fails:
            keys[control] += 1
            once = control in (NO_ROOT_KEY, ONE_KEY)  # two keys of a user fail these once
            failed[control][row.user.arn if once else number] = row.exempt
    for each in fails:
        for control in each.fails:
            failed[control][each.user.arn] = ""
    return {
        each: Figure(checked[each], len(what), sum(map(bool, what.values())), keys[each])
        for each, what in failed.items()
    }


def count(surveys: Sequence[AccountSurvey], rows: Sequence[Row]) -> dict[str, int]:
    """The numbers of a report, in the order of its JSON: `failed` accounts could not be looked at, `users` are without
    root, and every Status has a number."""
    people = [user for survey in surveys for user in survey.users if not user.is_root]
    standings = Counter(row.standing for row in rows)
    return {
        "accounts": len(surveys),
        "failed": sum(bool(survey.problem) for survey in surveys),
        "users": len(people),
        "with_keys": sum(bool(user.keys) for user in people),
        "keys": len(rows),
        **{each.value: standings[each] for each in Status},
        "unused": sum(row.unused for row in rows),
        "uncertain": sum(bool(row.uncertain) for row in rows),
        "recalled": sum(bool(row.recall) for row in rows),
    }


@dataclass(frozen=True, slots=True)
class AgeBar:
    """Active keys of users with an age from `start` up to, and without, `end` (None: older ones too), all of the same
    `verdict` by age; `exempt` of them are left alone, and are not in `keys`."""

    start: timedelta
    end: timedelta | None
    verdict: Verdict
    keys: int = 0
    exempt: int = 0

    @property
    def label(self) -> str:
        """`0-30d`, `730d+`."""
        start = format_duration(self.start)
        if self.end is None:
            return f"{start}+"
        end = format_duration(self.end)
        return f"{start.removesuffix('d') if end.endswith('d') else start}-{end}"


def histogram(rows: Sequence[Row], policy: Policy) -> list[AgeBar]:
    """The ages of active keys in bars that end where a key becomes due or overdue."""
    due = max(policy.max_age - policy.remind_before, timedelta(0))
    starts = sorted({*_MARKS, due, policy.max_age})
    active = [row for row in rows if row.standing not in (Status.ROOT, Status.INACTIVE)]
    counted = Counter((bisect_right(starts, row.age) - 1, row.standing is Status.EXEMPT) for row in active)
    bars = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], None], strict=True)):
        late = Verdict.DUE if start >= due else Verdict.FRESH
        verdict = Verdict.OVERDUE if start >= policy.max_age else late
        bars.append(AgeBar(start, end, verdict, counted[(number, False)], counted[(number, True)]))
    return bars
