"""A program on boto3 that calls AWS every 100 ms until it is stopped, and prints the key of each call, or what failed.

`caller.py PROFILE [SECONDS]`: with SECONDS it asks the profile's credential_process again so long after an answer that
expires as usual: botocore takes the refresh window, which is 15 minutes, as an argument.
"""

import json
import shlex
import subprocess
import sys
import time
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError

from rotate_my_key.cli.credentials import SPARE
from rotate_my_key.core.policy import LIVE


def session_of(profile: str, after: float | None) -> boto3.Session:
    """What a program makes of a profile."""
    core = botocore.session.Session(profile=profile)
    if after is not None:
        line = core.get_scoped_config()["credential_process"]

        def ask() -> dict[str, Any]:
            done = subprocess.run(shlex.split(line), capture_output=True, check=True)
            said = json.loads(done.stdout)
            names = {"access_key": "AccessKeyId", "secret_key": "SecretAccessKey", "expiry_time": "Expiration"}
            return {name: said[theirs] for name, theirs in names.items()} | {"token": None}

        window = int(LIVE.total_seconds() - SPARE - after)
        core._credentials = RefreshableCredentials.create_from_metadata(  # type: ignore[attr-defined]
            ask(), ask, "custom-process", advisory_timeout=window, mandatory_timeout=window - 1
        )
    return boto3.Session(botocore_session=core)


def main() -> None:
    """Call and call."""
    profile, *after = sys.argv[1:]
    session = session_of(profile, float(after[0]) if after else None)
    sts = session.client("sts", config=Config(retries={"total_max_attempts": 1}))
    while True:
        try:
            sts.get_caller_identity()
            found: Any = session.get_credentials()
            print("ok", found.access_key, flush=True)
        except (BotoCoreError, ClientError, subprocess.CalledProcessError) as error:
            print("failed", error, flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
