"""What AWS says of the key, the user and the way there. Only calls that read; a network that is away is no finding."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from ..aws import endpoints
from ..aws.iam import Rights
from ..errors import Denied, KeyRefused, NeedsPerson, Problem, TryLater, mask
from ..model import Credentials, Identity, LastUse, Look
from ..policy import Policy
from ..profiles.file import odd_length, quote
from ..profiles.which import Active
from . import remedies, user
from .computer import Computer
from .finding import NOWHERE, Finding, Level, Where

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
        """See `aws.permissions`."""


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
            result.findings += user.user(computer, active, look, policy)
            result.findings += user.second(computer, active, look, account.last_use, ours)
            result.findings += user.denials(rights)
            result.unchecked += [] if rights.known else [user.UNTOLD]
        else:
            result.findings.append(user.no_user(active, look.identity))
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
        remedy, where = remedies.unset(computer, named[1]), computer.origin(named[1])
        return Finding(Level.BROKEN, "aws-settings", problem.message, remedy, where)
    if set_wrong := re.match(r"the value of (\w+) in profile", problem.message):
        where = _setting(computer, set_wrong[1])
        return Finding(Level.BROKEN, "aws-settings", problem.message, _unset(computer, where), where)
    variable = _endpoint_variable(computer)
    where = computer.origin(variable) if variable else _setting(computer, "endpoint_url")
    if where == NOWHERE or "endpoint" not in f"{problem.message} {problem.hint}":
        return remedies.finding(computer, Level.BROKEN, "aws-settings", problem, "aws configure list")
    return Finding(Level.BROKEN, "endpoint", problem.message, _unset(computer, where), where)


def _setting(computer: Computer, name: str) -> Where:
    for file in computer.read_files:
        for section, values in file.sections.items():
            if name in values or any(name in value for value in values.values() if value.startswith("\n")):
                return Where(file.path, file.line_of(section, name) if name in values else None)
    return NOWHERE


def _unset(computer: Computer, where: Where) -> str:
    return remedies.unset(computer, where.variable) if where.variable else remedies.edit(computer, where)


def _clock(computer: Computer, offset: timedelta, codes: Collection[str]) -> Iterator[Finding]:
    if abs(offset) > _SKEW and "clock" not in codes:
        yield _clock_finding(computer, offset, Level.BROKEN if abs(offset) > _SKEW_REFUSED else Level.WARNING)


def _clock_finding(computer: Computer, offset: timedelta, level: Level) -> Finding:
    minutes = round(abs(offset) / timedelta(minutes=1))
    direction = "slow" if offset > timedelta(0) else "fast"
    message = f"this computer's clock is {minutes} minute{'s' * (minutes != 1)} {direction} by AWS's"
    return Finding(level, "clock", message, remedies.set_clock(computer))


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
        result.findings.append(remedies.finding(computer, Level.ADVICE, "mfa", problem, "rotate-my-key doctor --help"))
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
    return remedies.finding(computer, Level.BROKEN, "connection", problem, "aws configure list")


def _denied(computer: Computer, problem: Denied) -> Finding:
    """Told apart as a rotation does it: for want of MFA, if the policy or a device that is set says so."""
    if problem.quarantined:
        return user.leaked()
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
        yield Finding(
            Level.WARNING, "proxy", f"{variable}: {problem.message}", remedies.unset(computer, variable), where
        )
