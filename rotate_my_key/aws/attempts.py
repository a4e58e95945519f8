"""What is known of a call that changes something, after attempts whose answers were lost."""

from __future__ import annotations

from collections.abc import Callable

from .failures import Kind, is_certain, kind


class Attempts:
    """`lost`: an attempt may have been carried out. `before_repeat` is called before the call goes out again."""

    def __init__(self, before_repeat: Callable[[], None] = lambda: None) -> None:
        self.lost = False
        self._before_repeat = before_repeat

    def if_certain(self, error: Exception) -> bool:
        """For Calls.call's `again`: only where the call was certainly not carried out."""
        certain = is_certain(error)
        if certain:
            self._before_repeat()
        else:
            self.lost = True
        return certain

    def always(self, error: Exception) -> bool:
        """For Calls.call's `again`, where a second time does no harm."""
        self.lost = self.lost or kind(error) in (Kind.FLAKY, Kind.BUSY)
        return True
