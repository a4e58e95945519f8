"""botocore itself, asked what it reads from a file on disk: the last word before an edit and after it.

`ini.py` reads as botocore does, and tests hold the two together; this is for the case that they ever differ, such as a
locale in which botocore takes the file for something else than UTF-8.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any

from ..errors import Problem
from ..model import Credentials, PlaceKind

# botocore takes 10 times as long as our own reader: a file of 10,000 profiles would cost it a third of a second. Such a
# file was made by a program, and its lines are all alike.
_LARGEST = 1 << 17  # bytes


def check(path: str, size: int, kind: PlaceKind, profiles: Collection[str], expected: Credentials) -> None:
    """Raises Problem unless botocore reads the expected pair for each profile; does nothing for a large file."""
    if size > _LARGEST or os.path.expanduser(os.path.expandvars(path)) != path:  # botocore would open another file
        return
    from botocore.configloader import load_config, raw_config_parse
    from botocore.exceptions import BotoCoreError

    try:
        read: dict[str, Any] = (
            raw_config_parse(path) if kind is PlaceKind.CREDENTIALS else load_config(path)["profiles"]
        )
    except BotoCoreError:
        read = {}
    for profile in profiles:
        values = read.get(profile, {})
        if (values.get("aws_access_key_id"), values.get("aws_secret_access_key")) != (expected.key_id, expected.secret):
            raise Problem(
                f"botocore reads profile {profile} of {path} otherwise than expected",
                f"aws configure list --profile {profile}",
            )
