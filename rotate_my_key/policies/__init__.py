"""The least IAM policies, as the JSON that IT pastes or feeds to its own tools.

The actions may be limited to the user itself: all of them take a user as their resource (Service Authorization
Reference, "Actions defined by AWS Identity and Access Management"). The second resource is for users with a path, whose
ARN has it before the name, as in AWS's own IAMUserChangePassword. The partition is `*`, so that GovCloud and China can
use them as they are. `self-mfa` denies, as AWS's example for MFA-authenticated users does, rather than allow under a
condition: a Deny holds whatever other policies allow, and it tells a client that MFA will help. Reading is allowed
without, so that `status` and the reminder know ages without a code.
"""

from __future__ import annotations

import os

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_SUMMARIES = {
    "self": "a user may rotate his own access keys",
    "self-mfa": "the same, but only after signing in with MFA",
}


def names() -> tuple[str, ...]:
    """The policies there are."""
    return tuple(_SUMMARIES)


def summary(name: str) -> str:
    """What a policy is for, in a few words. Raises KeyError."""
    return _SUMMARIES[name]


def text(name: str) -> str:
    """A policy as JSON. Raises KeyError."""
    if name not in _SUMMARIES:
        raise KeyError(name)
    with open(os.path.join(_FOLDER, f"{name}.json"), encoding="ascii") as file:
        return file.read()
