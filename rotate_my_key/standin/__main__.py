"""`python -m rotate_my_key.standin`: the stand-in as a process of its own, until its stdin is closed.

Prints one line of JSON: `url`, `account`, `keys` (a list of `user`, `key_id`, `secret`). The secrets are good for
nothing but this stand-in.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from typing import Any

from ..policy import parse_duration
from .conduct import Settings
from .standin import StandIn


def main(arguments: list[str] | None = None) -> None:
    """Serve until stdin ends."""
    options = _parser().parse_args(arguments)
    with StandIn() as standin:
        keys = []
        for name in options.user or ["alice"]:
            standin.add_user(name)
            pair = standin.add_key(name, options.age)
            keys.append({"user": name, "key_id": pair.key_id, "secret": pair.secret})
        for name, value in options.set or ():
            setattr(standin.settings, name, value)
        for fault in options.fault or ():
            standin.fault(**fault)
        for denial in options.deny or ():
            standin.deny(**denial)
        print(json.dumps({"url": standin.url, "account": standin.account, "keys": keys}), flush=True)  # noqa: T201
        sys.stdin.read()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rotate_my_key.standin", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--user", action="append", metavar="NAME", help="a user with one key (repeatable; alice)")
    parser.add_argument("--age", type=parse_duration, default="98d", metavar="DURATION", help="of the keys (98d)")
    parser.add_argument("--set", action="append", type=_setting, metavar="NAME=JSON", help="an attribute of Settings")
    parser.add_argument("--fault", action="append", type=json.loads, metavar="JSON", help="arguments of StandIn.fault")
    parser.add_argument("--deny", action="append", type=json.loads, metavar="JSON", help="arguments of StandIn.deny")
    return parser


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name not in {setting.name for setting in fields(Settings)}:
        raise ValueError(name)
    return name, json.loads(value)


if __name__ == "__main__":
    main()
