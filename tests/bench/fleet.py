"""`fleet report` over many users and accounts: calls, time and memory, as a table, and as a plot for the docs.

The stand-in answers in this process, the tool runs in its own. Every tenth user needs attention in the organization;
nobody does where it says so. The plot goes where FLEET_PLOT says.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.standin import StandIn
from tests.standin.sample import ROLE, add_admin, set_up

from .measure import Command, in_turns
from .plot import Panel, plot

USERS = 5000
_LATENCY = 0.03  # seconds before each answer, about that of AWS from the same region
_FLAGGED = 10  # every so many


@dataclass
class Seen:
    """What one run cost."""

    calls: int
    seconds: float
    cpu: float
    memory: float
    kinds: Mapping[str, int] = field(default_factory=dict)


def _company(accounts: int, users: int, flagged: int) -> dict[str, Any]:
    """`users` in all; every `flagged`th has a key that is overdue, the others young ones in use; 0: nobody has."""
    entries: list[dict[str, Any]] = [{"users": []}]
    entries += [{"name": f"account-{each}", "role": ROLE, "users": []} for each in range(1, accounts)]
    for number in range(users):
        age = "120d" if flagged and number % flagged == 0 else "20d"
        key = {"age": age, "used": "1d", "service": "s3", "region": "eu-west-1"}
        entries[number % accounts]["users"].append({"name": f"user-{number}", "keys": [key], "password": True})
    return {"accounts": entries}


@contextmanager
def _office(
    accounts: int, users: int, flagged: int, base: Mapping[str, str]
) -> Iterator[tuple[StandIn, dict[str, str]]]:
    """The company at the stand-in, and the environment of somebody who may look at it."""
    home = tempfile.mkdtemp()
    with StandIn() as aws:
        set_up(aws, _company(accounts, users, flagged))
        pair = add_admin(aws)
        os.makedirs(f"{home}/.aws")
        with open(f"{home}/.aws/credentials", "w", encoding="ascii") as file:
            file.write(f"[default]\naws_access_key_id = {pair.key_id}\naws_secret_access_key = {pair.secret}\n")
        role = f"role = {ROLE}\n" if accounts > 1 else ""
        with open(f"{home}/fleet.ini", "w", encoding="ascii") as file:
            file.write(f"[accounts]\n{role}")
        yield aws, {**base, "HOME": home, "AWS_ENDPOINT_URL": aws.url}
    shutil.rmtree(home, ignore_errors=True)


def _run(aws: StandIn, tool: str, env: dict[str, str], *words: str) -> Seen:
    """Run it once, as a process of its own."""
    before = len(aws.calls)
    argv = [tool, "-q", "fleet", "report", "--settings", f"{env['HOME']}/fleet.ini", *words]
    found = in_turns([Command("fleet report", argv, lambda: env)], 1, warm=False)["fleet report"]
    kinds = Counter(call.action for call in aws.calls[before:])
    return Seen(kinds.total(), found.wall[0] / 1000, found.cpu[0] / 1000, found.memory[0], kinds)


def fleet(tool: str, base: Mapping[str, str]) -> None:
    """All of it."""
    _one_account(tool, base)
    _many_accounts(tool, base)


def _one_account(tool: str, base: Mapping[str, str]) -> None:
    rows = {}
    with _office(1, USERS, 0, base) as (aws, env):
        _run(aws, tool, env)  # AWS makes its report, Python its bytecode
        for words in ([], ["--json"], ["--csv"], ["--html", "--all"]):
            rows[" ".join(["fleet report", *words])] = _run(aws, tool, env, *words)
        rows["fleet report --exact"] = _run(aws, tool, env, "--exact")
        aws.deny("GenerateCredentialReport")
        rows["without the credential report"] = _run(aws, tool, env)
    _table(f"One account, {USERS:,} users, nothing flagged (at most 10 calls, below 64 MB)", rows)


def _many_accounts(tool: str, base: Mapping[str, str]) -> None:
    rows: dict[str, Seen] = {}
    sizes = (1, 10, 50, 100, 200, 300)
    for accounts in sizes:
        with _office(accounts, USERS, _FLAGGED, base) as (aws, env):
            aws.settings.latency = _LATENCY
            rows[f"{accounts} account{'s' * (accounts > 1)}"] = _run(aws, tool, env)
    _table(f"{USERS:,} users, every tenth needs attention, {_LATENCY * 1000:.0f} ms a call", rows)
    if path := os.environ.get("FLEET_PLOT"):
        _plot(path, sizes, list(rows.values()))
    biggest = list(rows.values())[-1]
    print("  calls: " + ", ".join(f"{name} {number:,}" for name, number in sorted(biggest.kinds.items())))


def _table(title: str, rows: Mapping[str, Seen]) -> None:
    print(f"\n{title}")
    print(f"  {'':38}{'calls':>8}{'seconds':>9}{'CPU s':>8}{'MB':>6}")
    for name, seen in rows.items():
        print(f"  {name:38}{seen.calls:8,}{seen.seconds:9.1f}{seen.cpu:8.1f}{seen.memory:6.0f}", flush=True)


def _plot(path: str, sizes: Sequence[int], seen: Sequence[Seen]) -> None:
    title = f"fleet report: {USERS:,} users, every tenth needs attention, {_LATENCY * 1000:.0f} ms a call"
    panels = (
        Panel("calls", sizes, [each.calls for each in seen]),
        Panel("seconds", sizes, [each.seconds for each in seen]),
        Panel("peak memory, MB", sizes, [each.memory for each in seen]),
    )
    with open(path, "w", encoding="utf-8") as file:
        file.write(plot(title, "accounts", panels))
