"""What can go wrong, named for what the person does next.

One root, `Problem`: a message, a hint that is the next command, and an exit code. Problems are caught for good in one
place, `cli/program.py`; so is Ctrl-C, `Interrupted`, which stands apart. No message ever holds a secret.
"""


def mask(key_id: str) -> str:
    """A key id for the screen and for messages: `...MPLE`."""
    return f"...{key_id[-4:]}"


class Problem(Exception):
    """Something is wrong and this run made nothing worse (exit 1).

    `message` is one line, lower case, without a full stop; `hint` is the next command to type, or "".
    """

    code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.quiet = False  # said in an earlier run already


class NoDefault(Problem):
    """No profile was named, and there is none called default (exit 1)."""


class WrongUsage(Problem):
    """The command line or a setting cannot be understood (exit 2)."""

    code = 2


class NeedsPerson(Problem):
    """Consent, a choice or an MFA code is needed, and nobody is there to give it (exit 4)."""

    code = 4


class NotAllowed(Problem):
    """AWS does not allow it; IT can (exit 5)."""

    code = 5


class TryLater(Problem):
    """Offline, throttled, not proven yet, another run at work; nothing is lost (exit 75)."""

    code = 75


class Interrupted(BaseException):
    """The person pressed Ctrl-C; what was begun is finished by the next run (exit 130).

    Not a Problem, as KeyboardInterrupt is no Exception: whoever goes on after a problem ends all the same.
    """

    code = 130

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class StillOwed(Problem):
    """Files that were to take the new key do not have it yet, and the old one goes on working for them (exit 1); `over`
    if it could not, and the rotation came to its end without them."""

    def __init__(self, message: str, hint: str = "", *, over: bool = False) -> None:
        super().__init__(message, hint)
        self.over = over


# What AWS may answer, in the words the rotation decides by.


class KeyRefused(NotAllowed):
    """AWS does not accept this access key: unknown, deleted, switched off or not known everywhere yet.

    `InvalidClientTokenId` (403) from STS and IAM, also `SignatureDoesNotMatch` for a wrong secret: then `wrong_secret`.
    """

    def __init__(self, message: str, hint: str = "", *, wrong_secret: bool = False) -> None:
        super().__init__(message, hint)
        self.wrong_secret = wrong_secret


class Denied(NotAllowed):
    """AWS knows the caller and refuses the action (`AccessDenied`, 403).

    `action` is the IAM action, such as "iam:DeleteAccessKey"; `explicit` is set for an "explicit deny", which is how
    policies that demand MFA refuse; `mfa` if signing in with MFA may well help (the deny is in one of the user's own
    policies); `quarantined` when the policy AWSCompromisedKeyQuarantine* is the cause.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        action: str = "",
        explicit: bool = False,
        quarantined: bool = False,
        mfa: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.action = action
        self.explicit = explicit
        self.quarantined = quarantined
        self.mfa = mfa


class CodeRefused(NeedsPerson):
    """AWS does not accept an MFA code: wrong, or used already; `device`: it does not know the device as this user's."""

    def __init__(self, message: str, hint: str = "", *, device: bool = False) -> None:
        super().__init__(message, hint)
        self.device = device


class NoRoom(NotAllowed):
    """The user has two access keys already (`LimitExceeded`, 409); nothing was made."""


class Gone(Problem):
    """AWS has no such key or user (`NoSuchEntity`, 404)."""


class Unanswered(TryLater):
    """A request went out and no certain answer came back: it may or may not have been carried out."""


class Unreadable(Problem):
    """A file of ours is there and makes no sense."""


class OtherIdentity(Problem):
    """A pair signs in as somebody else than it must."""
