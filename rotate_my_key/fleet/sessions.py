"""Sessions that were made from keys live on when the keys are switched off: how to end them."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime


def end_sessions(user: str, now: datetime) -> str:
    """The command that ends what sessions of this user may do, to be typed in his account.

    A session from GetSessionToken or GetFederationToken may do what its user may, and aws:TokenIssueTime is there for
    sessions only, so that a key is not denied by it (IAM User Guide, "Disabling permissions for temporary security
    credentials"). Sessions of a role need the same policy on the role.
    """
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"DateLessThan": {"aws:TokenIssueTime": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}},
            }
        ],
    }
    policy = shlex.quote(json.dumps(document, separators=(",", ":")))
    name = shlex.quote(user)
    return f"aws iam put-user-policy --user-name {name} --policy-name RevokeOlderSessions --policy-document {policy}"
