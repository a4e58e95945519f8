"""`python -m tests.standin`: the stand-in as a process of its own, until its stdin is closed.

Prints one line of JSON: `url`, `account`, `keys` (`user`, `key_id`, `secret` of each, but for one that a file gets),
with a fleet also `accounts` (how many) and `role`. The secrets are good for nothing but this stand-in. For each line on
stdin it prints one: the `calls`, `mails` and `messages` that came since. To try the fleet commands by hand, see
docs/it/try-it.md:

    python -m tests.standin --fleet 10:200 --profile fleet-admin
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from dataclasses import fields
from typing import Any, get_args

from rotate_my_key.core.model import Credentials
from rotate_my_key.core.policy import parse_duration

from . import sample
from .rules import Settings
from .standin import Break, StandIn

_BREAK = f"an account that is broken: {', '.join(get_args(Break))}"


def main(arguments: list[str] | None = None) -> None:
    """Serve until stdin ends."""
    options = _parser().parse_args(arguments)
    with StandIn() as standin:
        for name, value in options.set or ():
            setattr(standin.settings, name, value)
        told: dict[str, Any] = {"url": standin.url, "account": standin.account, "keys": []}
        for name in options.user or ([] if options.fleet or options.description else ["alice"]):
            standin.add_user(name)
            told["keys"].append(_pair(name, standin.add_key(name, options.age)))
        if options.fleet or options.description:
            told |= _fleet(standin, options)
            told["keys"].append(_pair("admin", sample.add_admin(standin)))
        for fault in options.fault or ():
            standin.fault(**fault)
        for denial in options.deny or ():
            standin.deny(**denial)
        for number, how in options.broken or ():
            standin.break_account(number, how)
        if options.profile:
            _write(options.profile, told["keys"].pop())
        print(json.dumps(told), flush=True)
        for _ in sys.stdin:
            print(json.dumps(_news(standin)), flush=True)


def _fleet(standin: StandIn, options: argparse.Namespace) -> dict[str, Any]:
    """Several accounts, and `admin` to look at them."""
    if options.description:
        with open(options.description, encoding="utf-8") as file:
            sample.set_up(standin, json.load(file))
    if options.fleet:
        sample.set_up(standin, sample.made_up(*options.fleet))
    sample.comforts(standin)
    return {"accounts": len(standin.accounts), "role": sample.ROLE}


def _news(standin: StandIn) -> dict[str, Any]:
    """What came since the last time: how often each action was called, mails and messages."""
    calls = Counter(f"{call.service}:{call.action} {call.outcome}" for call in standin.calls)
    mails = [{"to": mail.to, "subject": mail.subject, "text": mail.text} for mail in standin.mails]
    messages = [{"topic": told.topic, "subject": told.subject, "text": told.message} for told in standin.published]
    for seen in (standin.calls, standin.mails, standin.published):
        seen.clear()
    return {"calls": dict(sorted(calls.items())), "mails": mails, "messages": messages}


def _pair(user: str, pair: Credentials) -> dict[str, str]:
    return {"user": user, "key_id": pair.key_id, "secret": pair.secret}


def _write(path: str, pair: dict[str, str]) -> None:
    """A credentials file with this pair as the default profile; never over a file that is there."""
    text = f"[default]\naws_access_key_id = {pair['key_id']}\naws_secret_access_key = {pair['secret']}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--user", action="append", metavar="NAME", help="a user with one key (repeatable; alice)")
    parser.add_argument("--age", type=parse_duration, default="98d", metavar="DURATION", help="of the keys (98d)")
    parser.add_argument("--fleet", type=_numbers, metavar="ACCOUNTS:USERS", help="a made-up company, and an admin")
    parser.add_argument("--description", metavar="FILE", help="accounts and users in JSON, see sample.py; and an admin")
    parser.add_argument("--profile", metavar="FILE", help="write the last pair into this new file instead")
    parser.add_argument("--set", action="append", type=_setting, metavar="NAME=JSON", help="an attribute of Settings")
    parser.add_argument("--fault", action="append", type=json.loads, metavar="JSON", help="arguments of StandIn.fault")
    parser.add_argument("--break", dest="broken", action="append", type=_broken, metavar="ACCOUNT=HOW", help=_BREAK)
    parser.add_argument("--deny", action="append", type=json.loads, metavar="JSON", help="arguments of StandIn.deny")
    return parser


def _numbers(text: str) -> tuple[int, int]:
    accounts, _, users = text.partition(":")
    if int(accounts) < 1 or int(users) < 0:
        raise ValueError(text)
    return int(accounts), int(users)


def _broken(text: str) -> tuple[str, str]:
    number, _, how = text.partition("=")
    if how not in get_args(Break):
        raise ValueError(text)
    return number, how


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name not in {setting.name for setting in fields(Settings)}:
        raise ValueError(name)
    return name, json.loads(value)


if __name__ == "__main__":
    main()
