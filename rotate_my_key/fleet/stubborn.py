"""What may be sent twice is tried again: a page of some network instead of AWS's answer is no reason to forget."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import Gone, NotAllowed, Problem, WrongUsage

_PAUSES = (1.0, 3.0)  # seconds before the second try and the third


def stubbornly(verb: Callable[[], None], sleep: Callable[[float], None]) -> None:
    """Do it, and twice more where it fails in a way that may pass. Raises what the last try raised; what AWS does not
    allow, and what is not there, at once. `verb` must be the same once and twice."""
    for pause in _PAUSES:
        try:
            verb()
        except (NotAllowed, Gone, WrongUsage):
            raise
        except Problem:
            sleep(pause)
        else:
            return
    verb()
