"""What AWS says to those who run the fleet: the failures of `errors.py` and of more services, with IT's next command.

No message holds a value, a body or a URL that is signed. The codes are those of each service's API reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from botocore.exceptions import ClientError, ParamValidationError

from ..errors import Denied, Gone, KeyRefused, NoRoom, NotAllowed, Problem, TryLater, mask
from .errors import Sent, translate
from .failures import DENIED, code_of, message_of

GONE = frozenset(
    {
        *("NoSuchEntity", "NotFound", "NotFoundException", "ResourceNotFoundException", "ParameterNotFound"),
        *("NoSuchBucket", "NoSuchKey", "ParameterVersionNotFound"),
    }
)
_DENIED = DENIED | {"AuthorizationError", "AuthorizationErrorException", "KMSAccessDenied", "KMSAccessDeniedException"}
_EXISTS = frozenset({"ResourceExistsException", "ResourceAlreadyExistsException"})
_NO_ORGANIZATION = frozenset({"AWSOrganizationsNotInUseException"})
_NOT_READY = frozenset({"ReportNotPresent", "ReportExpired", "ReportInProgress"})
_REJECTED = frozenset({"MessageRejected", "MailFromDomainNotVerifiedException"})
_PAUSED = frozenset({"AccountSuspendedException", "SendingPausedException"})
# Which policy has an action (rotate-my-key policy NAME): the first whose pattern fits.
_POLICIES = (
    (r"iam:(CreateAccessKey|GetUser)|secretsmanager:(?!Get)\w+|s3:(Get|Delete|List)\w+", "fleet-reissue"),
    (r"iam:(UpdateAccessKey|DeleteAccessKey|UntagUser)|logs:\w+|s3:PutObject", "fleet-enforce"),
    (r"iam:TagUser|ses:\w+|sns:\w+|secretsmanager:GetSecretValue", "fleet-remind"),
    (r".*", "fleet-report"),
)
# What the services say where a KMS key of one's own is in the way, without naming the action ("Access to KMS is not
# allowed", Secrets Manager; "The ciphertext refers to a customer master key that does not exist ...", SSM).
_KMS = re.compile(r"^(Access to KMS|The ciphertext refers)")
_KMS_ACTIONS = dict.fromkeys(("secretsmanager:PutSecretValue", "secretsmanager:CreateSecret"), "kms:GenerateDataKey")
_NAMES = {"sesv2": "ses"}  # how policies call a service


def passes(error: Exception) -> bool:
    """Whether waiting may help at all: a quota of a day or of an account goes by the codes of throttling."""
    return code_of(error) != "LimitExceededException" and not _is_daily(error)


def _is_daily(error: Exception) -> bool:
    """SES: "Daily message quota exceeded"."""
    return bool(re.search(r"daily.*quota", message_of(error), re.IGNORECASE))


class Exists(Problem):
    """There is one of this name already."""


class Leaving(Problem):
    """A secret is being deleted, and its name is taken until that is done."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """In whose name a call is made: the account's number ("" for the caller's own), and who signs, in words."""

    account: str
    signer: str

    def explain(self, error: Exception, sent: Sent) -> Problem:
        """The problem to raise for a failure; see Calls."""
        sent = replace(sent, action=_action(sent.action))
        if isinstance(error, ParamValidationError):  # its message quotes the values
            return Problem(f"a name or value is none that {sent.action} takes", "check the names in the settings")
        found = self._answered(error, sent.action) if isinstance(error, ClientError) else None
        return found or self._reworded(translate(error, sent), sent, sent.action)

    def _answered(self, error: ClientError, action: str) -> Problem | None:
        code, message = code_of(error), message_of(error)
        if code in _NO_ORGANIZATION:
            return Denied(
                "this account is in no organization", "name accounts: only = ... in [accounts]", action=action
            )
        if code in _NOT_READY:
            return TryLater("the credential report is not ready", "repeat the command in a minute")
        if code in GONE:
            return Gone(f"there is no such thing for {action}{self._there}", "check the name")
        if code in _EXISTS:
            return Exists(f"there is one of this name already ({action})")
        if code == "InvalidRequestException" and ("deletion" in message or "deleted" in message):
            return Leaving(f"it is about to be deleted ({action})")
        if code in _REJECTED:
            return _rejected(message)
        if code == "BadRequestException" and action.startswith("ses:"):
            return _bad_mail(message)
        if code in _PAUSED:
            return NotAllowed("SES does not send for this account", "look at it with: aws sesv2 get-account")
        if _is_daily(error):
            return TryLater("SES sends no more today: the daily quota is used up", "repeat the command tomorrow")
        if code in ("LimitExceeded", "LimitExceededException"):
            return _quota(action)
        if code in DENIED and _KMS.search(message):
            return self._denied(Denied(""), _KMS_ACTIONS.get(action, "kms:Decrypt"))
        if code in _DENIED - DENIED:
            return self._denied(Denied("", action=action), action)
        return None

    def _reworded(self, problem: Problem, sent: Sent, action: str) -> Problem:
        if isinstance(problem, Denied) and not problem.quarantined:
            return self._denied(problem, action)
        if isinstance(problem, KeyRefused):
            return KeyRefused(
                f"AWS does not accept the credentials of {self.signer} (key {mask(sent.key_id)}){self._there}",
                "look at them with: aws sts get-caller-identity (a region that is not enabled says the same)",
                wrong_secret=problem.wrong_secret,
            )
        if type(problem) is Problem and problem.hint.endswith("rotate-my-key doctor"):
            return Problem(f"{problem.message}{self._there}", "check region, endpoint and names in the settings")
        return problem

    def _denied(self, denied: Denied, action: str) -> Denied:
        action = denied.action or action
        if denied.explicit:
            what = f"a policy forbids {action}{self._there} (explicit deny)"
        else:
            what = f"{self.signer} is not allowed to call {action}{self._there}"
        return Denied(what, _allow(denied, action), action=action, explicit=denied.explicit, mfa=denied.mfa)

    @property
    def _there(self) -> str:
        return f" in account {self.account}" if self.account else ""


def _allow(denied: Denied, action: str) -> str:
    """The hint: what allows an action."""
    if action.startswith("kms:"):
        return "allow it in the policy of the KMS key, and to who signs"
    name = next(policy for pattern, policy in _POLICIES if re.fullmatch(pattern, action))
    allow = f"allow it: rotate-my-key policy {name}"
    if denied.explicit:
        return f"if MFA is demanded, add --mfa-code CODE; else {allow}" if denied.mfa else "ask who made that policy"
    return allow


def _action(sent: str) -> str:
    service, name = sent.split(":")
    return f"{_NAMES.get(service, service)}:{name}"


def _rejected(message: str) -> Problem:
    """SES names who is not verified: "... in region EU-WEST-1: alice@example.com". Other reasons are told to nobody."""
    if "verified" not in message:
        return NotAllowed("SES rejected the mail", "look at the account's standing with: aws sesv2 get-account")
    names = re.search(r"region [\w-]+: ([\w@.+, <>-]{3,200})$", message)
    who = f"not verified: {names[1]}" if names else "the sender or the address is not verified"
    return NotAllowed(
        f"SES does not send this: {who}",
        "verify it in SES (aws sesv2 create-email-identity --email-identity ADDRESS), or leave SES's sandbox",
    )


# What SES says of a mail that it does not understand, and what that is in our words. The rest may quote anything.
_BAD_MAIL = {
    r"Missing (final '@domain'|domain)": "an address has no domain",
    r"Domain (contains|starts|ends)": "the domain of an address is none",
    r"Local address contains": "an address has a sign that SES does not take",
    r"Illegal address": "an address is none",
}


def _bad_mail(message: str) -> Problem:
    why = next((words for pattern, words in _BAD_MAIL.items() if re.search(pattern, message, re.IGNORECASE)), "")
    return Problem(
        f"SES does not understand the mail{f': {why}' if why else ''}",
        "check sender and to in [channels], and the owner's address in the tag or mapping of [owners]",
    )


def _quota(action: str) -> Problem:
    match action:
        case "iam:CreateAccessKey":
            return NoRoom("the user has two access keys already", "delete one that is switched off")
        case "iam:TagUser":
            return NotAllowed("the user has 50 tags already", "take a tag off that user")
    return NotAllowed(f"a quota of AWS is used up: {action}", "look at the service quotas of the account")
