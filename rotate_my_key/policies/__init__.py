"""The least IAM policies, as the JSON that IT pastes or feeds to its own tools.

The actions may be limited to the user itself: all of them take a user as their resource (Service Authorization
Reference, "Actions defined by AWS Identity and Access Management"). The second resource is for users with a path, whose
ARN has it before the name, as in AWS's own IAMUserChangePassword. The partition is `*`, so that GovCloud and China can
use them as they are. `self-mfa` denies, as AWS's example for MFA-authenticated users does, rather than allow under a
condition: a Deny holds whatever other policies allow, and it tells a client that MFA will help. Reading is allowed
without, so that `status` and the reminder know ages without a code.

The fleet's are complete: each is all that its command needs, from the account in which it runs into those that it
enters by the role `rotate-my-key-fleet`. Where the Service Authorization Reference gives an action a resource it is
named: users, groups, secrets and parameters below `rotate-my-key/`. TagUser and UntagUser are allowed for one tag key
alone; `ForAllValues` also holds for a request without any key, hence the `Null` (IAM User Guide, "Multivalued context
keys"). In a member account the role needs the part about users and their new keys only: `member(name)`."""

from __future__ import annotations

import json
import os
from typing import Any

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_SUMMARIES = {
    "self": "a user may rotate their own access keys",
    "self-mfa": "the same, but only after signing in with MFA",
    "fleet-report": "`fleet report` sees the users and keys of all accounts",
    "fleet-remind": "`fleet remind` sees them, notifies the owners, and records that in one tag",
    "fleet-revoke": "`fleet revoke` may deactivate keys, with `--sign-in` also end passwords and sessions",
    "fleet-enforce": "`fleet enforce`, `revoke` and `recall` may also deactivate and delete keys",
    "fleet-reissue": "`fleet reissue` may also create keys and hand them over",
}
_SECRETS = ("HandOverBySecret", "FindWhatWasNotFetched")
ROLE = "rotate-my-key-fleet"  # the role in member accounts that the fleet's policies let it take


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


def statements(name: str) -> list[dict[str, Any]]:
    """The statements of a policy. Raises KeyError."""
    found: list[dict[str, Any]] = json.loads(text(name))["Statement"]
    return found


def member(name: str) -> list[dict[str, Any]]:
    """Those of its statements that are about users, their keys, and the secrets in which new ones wait: what the role
    in a member account needs."""
    return [
        each
        for each in statements(name)
        if all(action.startswith("iam:") for action in each["Action"]) or each["Sid"] in _SECRETS
    ]
