"""Runs commands in turns and compares them: the machine may be slow or busy, so only ratios within one run count."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Command:
    """One contender: `prepare` runs before each turn and is not measured; it gives the environment to run in."""

    name: str
    argv: Sequence[str]
    prepare: Callable[[], Mapping[str, str]]


@dataclass
class Figures:
    """CPU and wall time in ms, and peak memory in MB, of each turn."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def in_turns(commands: Sequence[Command], turns: int, *, warm: bool = True) -> dict[str, Figures]:
    """Run A B C A B C ...; with `warm` there is a round before, which is not counted."""
    figures = {command.name: Figures() for command in commands}
    for turn in range(turns + warm):
        for command in commands:
            cpu, wall, memory = _once(command)
            if turn >= warm:
                found = figures[command.name]
                found.cpu.append(cpu)
                found.wall.append(wall)
                found.memory.append(memory)
    return figures


def _once(command: Command) -> tuple[float, float, float]:
    env = command.prepare()
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command.argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        memory = 0.0
        while True:
            memory = max(memory, _peak(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.002)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{command.name} failed: {said.read().decode()[-2000:]}")
    return (usage.ru_utime + usage.ru_stime) * 1000, (time.monotonic() - began) * 1000, memory


def _peak(pid: int) -> float:
    """Peak memory in MB so far. Not ru_maxrss: that starts with what the parent had at the fork."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return next((int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")), 0.0)
    except OSError:
        return 0.0


def table(title: str, figures: Mapping[str, Figures], limits: Mapping[str, float] | None = None, by: str = "") -> None:
    """Print medians, and each one's ratio to `by` (else to the last), turn by turn."""
    by = by or list(figures)[-1]
    print(f"\n{title}")
    print(f"  {'':38}{'CPU ms':>8}{'wall ms':>9}{'MB':>6}  {'CPU ratio':>9}  {'wall ratio':>10}  limit")
    for name, found in figures.items():
        cpu, wall = (_ratio(found, figures[by], what) for what in ("cpu", "wall"))
        limit = (limits or {}).get(name)
        print(
            f"  {name:38}{statistics.median(found.cpu):8.1f}{statistics.median(found.wall):9.1f}"
            f"{statistics.median(found.memory):6.0f}  {cpu:9.2f}  {wall:10.2f}  {limit if limit else ''}"
        )


def _ratio(a: Figures, b: Figures, what: str) -> float:
    pairs = zip(getattr(a, what), getattr(b, what), strict=True)
    return statistics.median(x / y for x, y in pairs)
