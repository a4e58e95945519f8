"""What AWS says of a user and its keys, once it has answered: age, status, second key, rights."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime

from ..aws.iam import Rights
from ..errors import mask
from ..model import Identity, LastUse, Look, is_exempt
from ..policy import Policy, Verdict
from ..profiles.file import quote
from ..profiles.which import Active
from .computer import Computer
from .finding import Finding, Level, Where

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
        for section, values in file.sections.items():
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
