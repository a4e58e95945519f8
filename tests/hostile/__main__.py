"""`python -m tests.hostile [CALL ...]`: every odd answer to every call of a rotation, as a table in Markdown."""

from __future__ import annotations

import os
import resource
import sys
from collections import Counter

from tests.hostile.tried import CALLS, all_of
from tests.standin import StandIn


def main(calls: list[str]) -> int:
    """Print the table; gives 1 if anything was lost."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.upper().endswith("_PROXY")]:
        del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    print("| call | odd answers | how the run ended (exit: times) | keys left by the next run | lost |")
    print("|---|--:|---|---|--:|")
    lost = 0
    with StandIn() as aws:
        for call in calls or list(CALLS):
            tried = list(all_of(aws, call))
            codes = Counter(max(each.ended.codes) for each in tried)
            keys = Counter(each.keys for each in tried)
            wrong = [each for each in tried if each.wrong]
            lost += len(wrong)
            ends = ", ".join(f"{code}: {times}" for code, times in sorted(codes.items()))
            left = ", ".join(
                f"{count} ({times} times)" if len(keys) > 1 else f"{count}" for count, times in keys.items()
            )
            print(f"| {call} | {len(tried)} | {ends} | {left} | {len(wrong)} |", flush=True)
            for each in wrong:
                print(f"{call}, {each.odd}, {each.often}: {each.wrong}", file=sys.stderr, flush=True)
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
