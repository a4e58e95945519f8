"""What a run spares and somebody should know of, or it is spared for ever. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..words import number
from .decisions import Skipped, SkipRule
from .enforce_plan import NO_CHANNEL
from .model import AwsAccount
from .notices import Remark


def unsure_of(spared: Iterable[tuple[AwsAccount, Skipped]]) -> list[tuple[AwsAccount, Skipped]]:
    """What is spared because something could not be read: somebody should see to it, or it is spared for ever."""
    return [(account, each) for account, each in spared if each.rule in (SkipRule.UNSURE, SkipRule.LAST_USE)]


def unheard_of(spared: Iterable[tuple[AwsAccount, Skipped]]) -> Iterator[Remark]:
    """Users who are spared because nobody could be told, each once; where there is no channel at all, one row."""
    mine = [(account, each) for account, each in spared if each.rule is SkipRule.UNREACHED]
    if mine and mine[0][1].why.endswith(NO_CHANNEL):
        yield Remark(number(len({(account, each.user.arn) for account, each in mine}), "user"), NO_CHANNEL)
        return
    rows = (Remark(f"{each.user.name} in {account}", each.why.partition(": ")[2]) for account, each in mine)
    yield from dict.fromkeys(rows)
