"""What AWS says of the key, the user and the way there: age, status, second key, rights. Only calls that read; a
network that is away is no finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from shlex import quote
from typing import Protocol

from ..aws import endpoints
from ..aws.iam import Rights
from ..core.errors import Denied, KeyRefused, NeedsPerson, Problem, TryLater, mask
from ..core.model import Credentials, Identity, LastUse, Look, is_exempt
from ..core.policy import Policy, Verdict
from ..profiles.file import odd_length
from ..profiles.which import Active
from .computer import NOWHERE, Computer, Finding, Level, Where

_MAY = {"iam:CreateAccessKey": "make", "iam:UpdateAccessKey": "switch off", "iam:DeleteAccessKey": "delete"}
UNTOLD = "whether you may make, switch off and delete keys: AWS tells only who may call iam:SimulatePrincipalPolicy"


def no_user(active: Active, who: Identity) -> Finding:
    """Root, or a role."""
    where = Where(active.place.path)
    if who.is_root:
        message = "this is a key of the account's root user; make an IAM user (or use `aws login`), and delete the key"
        profile = f"--profile {quote(active.holder)}"
        remedy = f"aws iam delete-access-key --access-key-id {active.pair.key_id} {profile}"
        return Finding(Level.BROKEN, "root-key", message, remedy, where)
    return Finding(Level.BROKEN, "not-a-user", f"{who.arn} is not an IAM user", "rotate-my-key status", where)


def user(computer: Computer, active: Active, look: Look, policy: Policy) -> Iterator[Finding]:
    """The key itself, and whether it is needed."""
    command = f"rotate-my-key rotate -p {quote(active.profile)}"
    key = next((key for key in look.keys if key.key_id == active.pair.key_id), None)
    where = Where(active.place.path)
    if key is None:
        message = f"AWS does not list key {mask(active.pair.key_id)} among those of {look.identity.user}"
        yield Finding(Level.WARNING, "not-listed", message, "rotate-my-key status", where)
    elif not key.active:
        message = f"key {mask(key.key_id)} is switched off at AWS ({key.status})"
        yield Finding(Level.BROKEN, "switched-off", message, "rotate-my-key adopt", where)
    elif is_exempt(look.tags):
        message = f"user {look.identity.user} is tagged as exempt, so a rotation has to be forced"
        yield Finding(Level.ADVICE, "exempt", message, f"{command} --force", where)
    elif (verdict := policy.verdict(key, look.now)) is not Verdict.FRESH:
        days = (look.now - key.created).days
        message = f"key {mask(key.key_id)} is {days} days old, the limit is {policy.max_age.days}"
        level = Level.WARNING if verdict is Verdict.OVERDUE else Level.ADVICE
        yield Finding(level, verdict.value, message, command, where)
    yield from _same_by_sso(computer, look.identity.account)


def _same_by_sso(computer: Computer, account: str) -> Iterator[Finding]:
    """A way into the same account that needs no long-term key."""
    for file in computer.read_files:
        for section, values in file.settings.items():
            if values.get("sso_account_id") == account:
                name = section.removeprefix("profile ").strip("'\" ")
                message = f"profile {name} signs in to the same account through SSO: the key may not be needed"
                where = Where(file.path, file.line_of(section, "sso_account_id"))
                yield Finding(Level.ADVICE, "sso-beside-key", message, f"aws sso login --profile {quote(name)}", where)
                return


def second(
    computer: Computer, active: Active, look: Look, last_use: Callable[[str], LastUse | None], ours: Collection[str]
) -> Iterator[Finding]:
    """The other key. `ours` are ids of rotations under way, or that one has deleted."""
    for key in look.keys:
        if key.key_id == active.pair.key_id or key.key_id in ours:
            continue
        profile = "" if active.profile == "default" else f" -p {quote(active.profile)}"
        delete = f"rotate-my-key delete-key {key.key_id}{profile}"
        who, age = look.identity.user, f"{(look.now - key.created).days} days old"
        if computer.holding([key.key_id]):
            message = f"both keys of {who} are in use here; a rotation puts the younger one everywhere first"
            yield Finding(Level.ADVICE, "both-keys-here", message, "rotate-my-key rotate --force --dry-run")
        elif key.active:
            used = _used(last_use(key.key_id), look.now)
            message = f"{who} has a second active key {mask(key.key_id)} ({age}, {used}), and AWS allows no third"
            yield Finding(Level.BROKEN, "second-key", message, delete)
        else:
            message = f"{who} has a second key {mask(key.key_id)} ({age}), switched off; a rotation needs its place"
            yield Finding(Level.WARNING, "inactive-second-key", message, delete)


def _used(use: LastUse | None, now: datetime) -> str:
    if use is None:
        return "its last use is not known"
    if use.at is None:
        return "no use of it is on record"
    return f"last used {(now - use.at).days} days ago by {use.service} in {use.region}"


def denials(rights: Rights) -> Iterator[Finding]:
    """What the user may not do, for good or without MFA."""
    if rights.quarantined:
        yield leaked()
    for action in rights.denied:
        message = f"you are not allowed to call {action}: a rotation cannot {_MAY[action]} a key"
        yield Finding(Level.BROKEN, "denied", message, "rotate-my-key policy self")
    if rights.with_mfa:
        message = f"a rotation asks for an MFA code: without one, {', '.join(rights.with_mfa)} would be denied"
        yield Finding(Level.ADVICE, "mfa", message, "rotate-my-key rotate --mfa-code CODE")


def leaked() -> Finding:
    """The user is in quarantine."""
    message = "AWS found a key of this user in public and put the user in quarantine: the key has leaked; tell IT"
    return Finding(Level.BROKEN, "leaked", message, "rotate-my-key rotate --force --keep-old 0")


_SKEW_REFUSED = timedelta(minutes=15)  # AWS: "Signature expired", "RequestExpired"
_SKEW = timedelta(minutes=2)


class Account(Protocol):
    """What is asked of `aws.account.IamAccount`."""

    @property
    def foreign_endpoints(self) -> tuple[str, ...]:
        """The endpoints that are not AWS's own. Raises Problem for settings that cannot be used."""

    @property
    def clock_offset(self) -> timedelta:
        """AWS's clock minus ours, as of the last answer."""

    def look(self, pairs: Sequence[Credentials]) -> Look:
        """See `rotation.ports.Account`."""

    def identify(self, pair: Credentials) -> Identity:
        """GetCallerIdentity."""

    def last_use(self, key_id: str) -> LastUse | None:
        """See `rotation.ports.Account`."""

    def rights(self, arn: str) -> Rights:
        """See `aws.iam`."""


@dataclass
class Online:
    """What came of it."""

    identity: Identity | None = None
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def check(computer: Computer, active: Active, account: Account, policy: Policy, ours: Collection[str]) -> Online:
    """Ask AWS. `ours` are ids of rotations under way, or that one has deleted. Never raises a Problem."""
    result = Online()
    result.findings += _region(computer, active)
    try:
        result.findings += _endpoints(computer, account)
    except Problem as problem:
        if not result.findings:  # a region that there is not has been said
            result.findings.append(_settings(computer, problem))
        return result
    try:
        look = account.look([active.pair])
    except Problem as problem:
        _not_looked(computer, active, account, problem, result)
    else:
        result.identity = look.identity
        if look.identity.is_user:
            rights = account.rights(look.identity.arn)
            result.findings += user(computer, active, look, policy)
            result.findings += second(computer, active, look, account.last_use, ours)
            result.findings += denials(rights)
            result.unchecked += [] if rights.known else [UNTOLD]
        else:
            result.findings.append(no_user(active, look.identity))
    result.findings += _clock(computer, account.clock_offset, [found.code for found in result.findings])
    return result


# The way to AWS


def _region(computer: Computer, active: Active) -> Iterator[Finding]:
    meant = endpoints.nearest_region(active.region) if active.region else None
    if meant:
        variable = "AWS_DEFAULT_REGION" if computer.env.get("AWS_DEFAULT_REGION") else ""
        remedy = f"aws configure set region {meant} --profile {quote(active.profile)}"
        remedy = f"export {variable}={meant}" if variable else remedy
        message = f"there is no region {active.region}; did you mean {meant}?"
        yield Finding(Level.BROKEN, "region", message, remedy, computer.origin(variable) if variable else NOWHERE)


def _endpoint_variable(computer: Computer) -> str:
    named = ("AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")
    return next((name for name in named if computer.env.get(name)), "")


def _endpoints(computer: Computer, account: Account) -> Iterator[Finding]:
    variable = _endpoint_variable(computer)
    where = computer.origin(variable) if variable else _setting(computer, "endpoint_url")
    foreign = account.foreign_endpoints
    if foreign and where != NOWHERE:
        message = f"requests go to {' and '.join(foreign)}, which is not AWS"
        yield Finding(Level.WARNING, "foreign-endpoint", message, _unset(computer, where), where)


def _settings(computer: Computer, problem: Problem) -> Finding:
    """Settings that botocore cannot use, and endpoints that are not encrypted."""
    if named := re.match(r"unset (\w+)", problem.hint):
        remedy, where = computer.unset(named[1]), computer.origin(named[1])
        return Finding(Level.BROKEN, "aws-settings", problem.message, remedy, where)
    if set_wrong := re.match(r"the value of (\w+) in profile", problem.message):
        where = _setting(computer, set_wrong[1])
        return Finding(Level.BROKEN, "aws-settings", problem.message, _unset(computer, where), where)
    variable = _endpoint_variable(computer)
    where = computer.origin(variable) if variable else _setting(computer, "endpoint_url")
    if where == NOWHERE or "endpoint" not in f"{problem.message} {problem.hint}":
        return computer.finding(Level.BROKEN, "aws-settings", problem, "aws configure list")
    return Finding(Level.BROKEN, "endpoint", problem.message, _unset(computer, where), where)


def _setting(computer: Computer, name: str) -> Where:
    for file in computer.read_files:
        for section, values in file.settings.items():
            if name in values or any(name in value for value in values.values() if value.startswith("\n")):
                return Where(file.path, file.line_of(section, name) if name in values else None)
    return NOWHERE


def _unset(computer: Computer, where: Where) -> str:
    return computer.unset(where.variable) if where.variable else computer.edit(where)


def _clock(computer: Computer, offset: timedelta, codes: Collection[str]) -> Iterator[Finding]:
    if abs(offset) > _SKEW and "clock" not in codes:
        yield _clock_finding(computer, offset, Level.BROKEN if abs(offset) > _SKEW_REFUSED else Level.WARNING)


def _clock_finding(computer: Computer, offset: timedelta, level: Level) -> Finding:
    minutes = round(abs(offset) / timedelta(minutes=1))
    direction = "slow" if offset > timedelta(0) else "fast"
    message = f"this computer's clock is {minutes} minute{'s' * (minutes != 1)} {direction} by AWS's"
    return Finding(level, "clock", message, computer.set_clock())


# What AWS said instead of an answer


def _not_looked(computer: Computer, active: Active, account: Account, problem: Problem, result: Online) -> None:
    what = f"what AWS says of key {mask(active.pair.key_id)}"
    if isinstance(problem, Denied):
        result.findings.append(_denied(computer, problem))
        result.unchecked.append(f"the key's age, a second key: {problem.message}")
        try:
            result.identity = account.identify(active.pair)
        except Problem as other:
            result.unchecked.append(f"{what}: {other.message}")
    elif isinstance(problem, NeedsPerson):
        result.findings.append(computer.finding(Level.ADVICE, "mfa", problem, "rotate-my-key doctor --help"))
        result.unchecked.append(f"{what}: {problem.message}")
    elif isinstance(problem, KeyRefused):
        result.findings.append(_refused(active, problem))
    elif isinstance(problem, TryLater):
        result.findings += _proxy(computer, problem)
        result.unchecked.append(f"{what}: {problem.message}")
    elif abs(account.clock_offset) > _SKEW_REFUSED:
        result.findings.append(_clock_finding(computer, account.clock_offset, Level.BROKEN))
    else:
        result.findings.append(_partition(active, account, problem, result) or _connection(computer, problem))


def _partition(active: Active, account: Account, problem: Problem, result: Online) -> Finding | None:
    """A region of China or GovCloud for a key of another partition; IAM and STS are elsewhere then."""
    try:
        result.identity = account.identify(active.pair)
    except Problem:
        return None
    theirs = result.identity.partition
    if not active.region or endpoints.partition_of(active.region) in ("", theirs):
        return None
    remedy = f"aws configure set region {endpoints.main_region(theirs)} --profile {quote(active.profile)}"
    return Finding(Level.BROKEN, "partition", problem.message, remedy)


def _connection(computer: Computer, problem: Problem) -> Finding:
    return computer.finding(Level.BROKEN, "connection", problem, "aws configure list")


def _denied(computer: Computer, problem: Denied) -> Finding:
    """Told apart as a rotation does it: for want of MFA, if the policy or a device that is set says so."""
    if problem.quarantined:
        return leaked()
    settings = computer.settings
    device = _setting(computer, "mfa_serial") != NOWHERE or bool(getattr(settings, "mfa_serial", ""))
    if problem.mfa or device:
        message = f"{problem.action} is denied without MFA; a rotation asks for a code"
        return Finding(Level.ADVICE, "mfa", message, "rotate-my-key doctor --mfa-code CODE")
    return Finding(Level.BROKEN, "denied", problem.message, "rotate-my-key policy self")


def _refused(active: Active, problem: KeyRefused) -> Finding:
    where = Where(active.place.path)
    odd = odd_length(active.pair.key_id, active.pair.secret)
    odd = f"; {odd}" if odd else ""
    if problem.wrong_secret:
        remedy = f"aws configure --profile {quote(active.holder)}"
        return Finding(Level.BROKEN, "wrong-secret", f"{problem.message}{odd}", remedy, where)
    message = f"{problem.message}{odd}"
    if not active.region:
        message += "; no region is set, which a key of AWS's China or GovCloud needs"
    return Finding(Level.BROKEN, "key-refused", message, "rotate-my-key adopt", where)


def _proxy(computer: Computer, problem: TryLater) -> Iterator[Finding]:
    variable = next((name for name in ("https_proxy", "HTTPS_PROXY") if computer.env.get(name)), "")
    if variable and "proxy" in problem.message:
        where = computer.origin(variable)
        yield Finding(Level.WARNING, "proxy", f"{variable}: {problem.message}", computer.unset(variable), where)
