"""`python -m tests.limits [--points N] [--flow TEXT] [--fault TEXT]`: the table of docs/reliability.md, made anew.

Every flow meets every fault, at so many points of its run; afterwards the next runs must heal it. Prints one line a
fault: flows, injected, how they ended, what fell.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.standin import StandIn

from .faults import FAULTS, Fault, inject, points, spread
from .flows import FLOWS, new_run


def ended(folder: Path, aws: StandIn, flow: str, fault: Fault, most: int) -> Iterator[tuple[int, str]]:
    """Each injection of this fault into this flow: the exit code, and what fell ("" for nothing)."""
    found = spread(points(folder, aws, flow, fault), most)
    for number, point in enumerate(found):
        run = new_run(folder / str(number), aws, flow)
        code = -99
        try:
            code = inject(run, fault, point).code
            run.heal()
            yield code, ""
        except AssertionError as error:
            yield code, f"{point}: {error}"
        finally:
            aws.all_well()


def main() -> int:
    """Print the table; gives 1 if anything fell."""
    parser = argparse.ArgumentParser(prog="python -m tests.limits")
    parser.add_argument("--points", type=int, default=3)
    parser.add_argument("--flow", default="")
    parser.add_argument("--fault", default="")
    asked = parser.parse_args()
    total: Counter[str] = Counter()
    with StandIn() as aws, tempfile.TemporaryDirectory() as folder:
        numbers = count()
        for name, fault in FAULTS.items():
            codes: Counter[int] = Counter()
            flows = [flow for flow in FLOWS if asked.flow in flow and asked.fault in name]
            for flow in flows:
                for code, fell in ended(Path(folder) / str(next(numbers)), aws, flow, fault, asked.points):
                    codes[code] += 1
                    total.update(injected=1, fell=int(bool(fell)))
                    if fell:
                        print(f"FELL {name} / {flow}: {fell}", flush=True)
            if flows:
                told = ", ".join(f"{number} x {code}" for code, number in sorted(codes.items()))
                print(f"{name}: {len(flows)} flows, {sum(codes.values())} injected, exit codes {told}", flush=True)
    print(f"{len(FLOWS)} flows, {len(FAULTS)} faults: {total['injected']} injected, {total['fell']} fell")
    return int(total["fell"] > 0)


if __name__ == "__main__":
    sys.exit(main())
