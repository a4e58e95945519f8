"""A fault of this program, told by where it happened: its values may be what must not be shown. Pure."""

from __future__ import annotations

import re

from .errors import Problem


def frames(error: BaseException) -> list[str]:
    """`file.py:12 in name`, from the outermost call to the one that raised."""
    found = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        name = re.split(r"[\\/]", code.co_filename)[-1]
        found.append(f"{name}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return found


def words(error: BaseException) -> str:
    """`OverflowError at rules.py:182 in _grace_ends`."""
    return f"{type(error).__name__} at {(frames(error) or ['an unknown place'])[-1]}"


def fault(error: BaseException) -> Problem:
    """The fault as a problem of one account or user, so that the others go on."""
    return Problem(f"a fault in rotate-my-key: {words(error)}", "report it, with -vv")
