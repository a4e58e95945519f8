"""What AWS says about the key, the user and the way there: age, status, second key, rights. Only calls that read; a
network that is away is no finding."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from shlex import quote
from typing import TYPE_CHECKING

from ..aws import connections
from ..core.errors import Denied, KeyRefused, NeedsPerson, Problem, TryLater
from ..core.hints import Hint
from ..core.model import Identity, Look, is_exempt, recalled, second_in_use, wanted_by_it
from ..core.policy import Policy, Verdict, in_words, mask, number
from ..profiles.kinds import odd_length, rivals
from ..profiles.which import Active
from .computer import NOWHERE, Computer, Finding, Level, Where

if TYPE_CHECKING:
    from ..aws.iam import IamAccount, Rights

_MAY = {"iam:CreateAccessKey": "create", "iam:UpdateAccessKey": "deactivate", "iam:DeleteAccessKey": "delete"}
_UNKNOWN = "permissions not checked: needs iam:SimulatePrincipalPolicy"
_SKEW_REFUSED = timedelta(minutes=15)  # AWS: "Signature expired", "RequestExpired"
_SKEW = timedelta(minutes=2)


class Online:
    """Asks AWS about the key in force; what came of it is in `identity`, `findings` and `unchecked`."""

    def __init__(self, computer: Computer, active: Active) -> None:
        self._computer, self._active = computer, active
        self._where = Where(active.place.path)
        self.identity: Identity | None = None
        self.findings: list[Finding] = []
        self.unchecked: list[str] = []

    def ask(self, account: IamAccount, ours: Collection[str]) -> None:
        """`ours` are ids of rotations under way, or that one has deleted. Never raises a Problem."""
        self.findings += self._region()
        try:
            self.findings += self._endpoints(account)
        except Problem as problem:
            if not self.findings:  # a region that there is not has been said
                self.findings.append(self._settings(problem))
            return
        try:
            look = account.look([self._active.pair])
        except Problem as problem:
            self._no_answer(account, problem)
        else:
            self.identity = look.identity
            if look.identity.is_user:
                rights = account.rights(look.identity.arn)
                self.findings += self._key(look)
                self.findings += self._same_by_sso(look.identity.account)
                for key in look.keys:
                    if key.key_id != self._active.pair.key_id and key.key_id not in ours:
                        self.findings.append(self._second(look, key.key_id, account))
                self.findings += _denials(rights)
                self.unchecked += [] if rights.known else [_UNKNOWN]
            else:
                self.findings.append(self._no_user(look.identity))
        offset = account.clock_offset
        if abs(offset) > _SKEW and not any(found.code == "clock" for found in self.findings):
            self.findings.append(self._clock(offset))

    # The way to AWS

    def _region(self) -> Iterator[Finding]:
        region = self._active.region
        if meant := connections.nearest_region(region) if region else None:
            variable = "AWS_DEFAULT_REGION" if self._computer.env.get("AWS_DEFAULT_REGION") else ""
            remedy = f"export {variable}={meant}" if variable else self._set_region(meant)
            message = f"there is no region {region}; did you mean {meant}?"
            where = self._computer.origin(variable) if variable else NOWHERE
            yield Finding(Level.BROKEN, "region", message, remedy, where)

    def _set_region(self, region: str) -> str:
        return f"aws configure set region {region} --profile {quote(self._active.profile)}"

    def _endpoint_set(self) -> Where:
        for name in ("AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"):
            if self._computer.env.get(name):
                return self._computer.origin(name)
        return self._computer.setting("endpoint_url")

    def _endpoints(self, account: IamAccount) -> Iterator[Finding]:
        where, foreign = self._endpoint_set(), account.foreign_endpoints
        if foreign and where != NOWHERE:
            message = f"requests go to {' and '.join(foreign)}, which is not AWS"
            yield self._computer.set_at(Level.WARNING, "foreign-endpoint", message, where)

    def _settings(self, problem: Problem) -> Finding:
        """Settings that botocore cannot use, and endpoints that are not encrypted."""
        computer, code = self._computer, "aws-settings"
        if named := re.match(r"unset (\w+)", problem.hint):
            return computer.in_variable(Level.BROKEN, code, problem.message, named[1])
        if set_wrong := re.match(r"the value of (\w+) in profile", problem.message):
            return computer.set_at(Level.BROKEN, code, problem.message, computer.setting(set_wrong[1]))
        where = self._endpoint_set()
        if where == NOWHERE or "endpoint" not in f"{problem.message} {problem.hint}":
            return computer.problem(Level.BROKEN, code, problem, "aws configure list")
        return computer.set_at(Level.BROKEN, "endpoint", problem.message, where)

    def _clock(self, offset: timedelta) -> Finding:
        minutes = number(round(abs(offset) / timedelta(minutes=1)), "minute")
        message = f"this computer's clock is {minutes} {'slow' if offset > timedelta(0) else 'fast'}"
        by_platform = {"win32": "w32tm /resync", "darwin": "sudo sntp -sS time.apple.com"}
        remedy = by_platform.get(self._computer.platform, "sudo timedatectl set-ntp true")
        return Finding(Level.BROKEN if abs(offset) > _SKEW_REFUSED else Level.WARNING, "clock", message, remedy)

    # What AWS said

    def _no_user(self, who: Identity) -> Finding:
        if not who.is_root:
            message = f"{who.arn} is not an IAM user"
            return Finding(Level.BROKEN, "not-a-user", message, Hint("status"), self._where)
        message = "this is a key of the account's root user; create an IAM user (or use `aws login`) and delete the key"
        key_id, profile = self._active.pair.key_id, quote(self._active.holder)
        remedy = f"aws iam delete-access-key --access-key-id {key_id} --profile {profile}"
        return Finding(Level.BROKEN, "root-key", message, remedy, self._where)

    def _key(self, look: Look) -> Iterator[Finding]:
        """The key itself, and whether it is needed."""
        settings, key_id = self._computer.settings, self._active.pair.key_id
        policy = Policy() if isinstance(settings, Problem) else settings.policy
        user, shown = look.identity.user, f"key {mask(key_id)}"
        rotate = Hint("rotate", *self._mixed(), profile=self._active.profile)
        key = next((key for key in look.keys if key.key_id == key_id), None)
        found: tuple[Level, str, str, str]
        if key is None:
            found = Level.WARNING, "not-listed", f"AWS does not list {shown} among {user}'s keys", Hint("status")
        elif not key.active:
            found = Level.BROKEN, "switched-off", f"{shown} is inactive in AWS ({key.status})", Hint("adopt")
        elif is_exempt(look.tags):
            force = Hint("rotate", "--force", *self._mixed(), profile=self._active.profile)
            found = Level.ADVICE, "exempt", f"user {user} is tagged as exempt; --force rotates the key anyway", force
        elif recall := recalled(look.tags, key.created, look.now):
            found = Level.WARNING, "recalled", f"{shown}: {in_words(recall.by, recall.reason, look.now)}", rotate
        elif (verdict := policy.verdict(key, look.now)) is not Verdict.FRESH:
            old = f"{shown} is {(look.now - key.created).days} days old, maximum age is {policy.max_age.days} days"
            found = Level.WARNING if verdict is Verdict.OVERDUE else Level.ADVICE, verdict.value, old, rotate
        elif wanted_by_it(look.tags, key_id):
            found = Level.ADVICE, "due", f"IT asks you to replace {shown}", rotate
        else:
            return
        yield Finding(*found, self._where)

    def _mixed(self) -> list[str]:
        """The option without which a key beside other ways to sign in is not rotated."""
        profiles, holder = self._computer.profiles, self._active.holder
        mixed = not isinstance(profiles, Problem) and rivals(profiles.merged.get(holder, {}), holder)
        return ["--mixed"] if mixed else []

    def _same_by_sso(self, account: str) -> Iterator[Finding]:
        """A way into the same account that needs no long-term key."""
        for file in self._computer.read_files:
            for section, values in file.settings.items():
                if values.get("sso_account_id") == account:
                    name = section.removeprefix("profile ").strip("'\" ")
                    message = f"profile {name} signs in to the same account through SSO; you may not need the key"
                    where = Where(file.path, file.line_of(section, "sso_account_id"))
                    remedy = f"aws sso login --profile {quote(name)}"
                    yield Finding(Level.ADVICE, "sso-beside-key", message, remedy, where)
                    return

    def _second(self, look: Look, key_id: str, account: IamAccount) -> Finding:
        key = next(key for key in look.keys if key.key_id == key_id)
        who, age = look.identity.user, f"{(look.now - key.created).days} days old"
        name = self._active.profile
        if self._computer.holding([key_id]):
            message = f"both keys of {who} are in use here; a rotation puts the newer one everywhere first"
            return Finding(Level.ADVICE, "both-keys-here", message, Hint("rotate", "--force", "--dry-run"))
        if key.active:
            own = next((each for each in look.keys if each.key_id == self._active.pair.key_id), key)
            use = account.last_use(key_id)
            said, remedy = second_in_use(name, own, key, use, look)
            return Finding(Level.BROKEN, "second-key", f"{who} has {said}", remedy)
        message = f"{who} has a second key, {mask(key_id)} (inactive, {age}); a rotation needs that slot"
        return Finding(Level.WARNING, "inactive-second-key", message, Hint("delete-key", key_id, profile=name))

    # What AWS said instead of an answer

    def _no_answer(self, account: IamAccount, problem: Problem) -> None:
        what, computer = f"key {mask(self._active.pair.key_id)} not checked in AWS", self._computer
        if isinstance(problem, Denied):
            self.findings.append(self._denied(problem))
            self.unchecked.append(f"age and second key not checked: {problem.message}")
            try:
                self.identity = account.identify(self._active.pair)
            except Problem as unanswered:
                self.unchecked.append(f"{what}: {unanswered.message}")
        elif isinstance(problem, NeedsPerson):
            self.findings.append(computer.problem(Level.ADVICE, "mfa", problem, Hint("doctor", "--help")))
            self.unchecked.append(f"{what}: {problem.message}")
        elif isinstance(problem, KeyRefused):
            self.findings.append(self._refused(problem))
        elif isinstance(problem, TryLater):
            self.findings += self._proxy(problem)
            self.unchecked.append(f"{what}: {problem.message}")
        elif abs(account.clock_offset) > _SKEW_REFUSED:
            self.findings.append(self._clock(account.clock_offset))
        else:
            other = computer.problem(Level.BROKEN, "connection", problem, "aws configure list")
            self.findings.append(self._partition(account, problem) or other)

    def _denied(self, problem: Denied) -> Finding:
        """Told apart as a rotation does it: for want of MFA, if the policy or a device that is set says so."""
        if problem.quarantined:
            return _leaked()
        device = self._computer.setting("mfa_serial") != NOWHERE or bool(
            getattr(self._computer.settings, "mfa_serial", "")
        )
        if problem.mfa or device:
            message = f"{problem.action} is denied without MFA; a rotation asks for a code"
            return Finding(Level.ADVICE, "mfa", message, Hint("doctor", "--mfa-code", "CODE"))
        return Finding(Level.BROKEN, "denied", problem.message, Hint("policy", "self"))

    def _refused(self, problem: KeyRefused) -> Finding:
        pair = self._active.pair
        message = "; ".join(filter(None, (problem.message, odd_length(pair.key_id, pair.secret))))
        if problem.wrong_secret:
            remedy = f"aws configure --profile {quote(self._active.holder)}"
            return Finding(Level.BROKEN, "wrong-secret", message, remedy, self._where)
        if not self._active.region:
            self.unchecked.append("China and GovCloud not checked: no region is set, and their keys work only there")
        return Finding(Level.BROKEN, "key-refused", message, Hint("adopt"), self._where)

    def _proxy(self, problem: TryLater) -> Iterator[Finding]:
        variable = next(filter(self._computer.env.get, ("https_proxy", "HTTPS_PROXY")), "")
        if variable and "proxy" in problem.message:
            yield self._computer.in_variable(Level.WARNING, "proxy", f"{variable}: {problem.message}", variable)

    def _partition(self, account: IamAccount, problem: Problem) -> Finding | None:
        """A region of China or GovCloud for a key of another partition; IAM and STS are elsewhere then."""
        try:
            self.identity = account.identify(self._active.pair)
        except Problem:
            return None
        region, theirs = self._active.region, self.identity.partition
        if not region or connections.partition_of(region) in ("", theirs):
            return None
        return Finding(Level.BROKEN, "partition", problem.message, self._set_region(connections.main_region(theirs)))


def _denials(rights: Rights) -> Iterator[Finding]:
    """What the user may not do, for good or without MFA."""
    if rights.quarantined:
        yield _leaked()
    for action in rights.denied:
        message = f"you may not call {action}, so a rotation cannot {_MAY[action]} a key"
        yield Finding(Level.BROKEN, "denied", message, Hint("policy", "self"))
    if rights.tagging:
        message = f"you may call {' and '.join(rights.tagging)} on your own user, so a stolen key could hide a recall"
        yield Finding(Level.ADVICE, "own-tags", message, Hint("policy", "self", lead="ask IT for no more than"))
    if rights.with_mfa:
        message = f"a rotation asks for an MFA code; without one, {', '.join(rights.with_mfa)} would be denied"
        yield Finding(Level.ADVICE, "mfa", message, Hint("rotate", "--mfa-code", "CODE"))


def _leaked() -> Finding:
    message = "the key has leaked: AWS found it in public and put the user in quarantine; tell IT"
    return Finding(Level.BROKEN, "leaked", message, Hint("rotate", "--force", "--keep-old", "0", "--overlap", "0"))
