"""Lists in pages, as AWS cuts them. Pure.

A page ends with a token that names its last element, so that a list may change between two pages: nothing that stays is
left out or shown twice, as with AWS's own tokens. They are opaque: nobody can count with them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import TypeVar

from .errors import Refused

T = TypeVar("T")


def cut(items: Iterable[T], name: Callable[[T], str], token: str, size: int) -> tuple[list[T], str]:
    """The page behind a token ("": the first) and the next token ("": this is the last page).

    `name` gives each element's own name, and the order of the list. Raises Refused (InvalidInput) for a token that is
    none.
    """
    last = _read(token)
    rest = sorted((item for item in items if last is None or name(item) > last), key=name)
    page = rest[: max(size, 1)]
    return page, _made(name(page[-1])) if len(rest) > len(page) else ""


def size(wanted: object, default: int, most: int, limit: int) -> int:
    """How many elements a page has: what was asked for, at most what the action gives, at most `limit`."""
    return min(int(str(wanted)) if wanted else default, most, limit)


def _made(last: str) -> str:
    return base64.urlsafe_b64encode(f"after:{last}".encode()).decode()


def _read(token: str) -> str | None:
    if not token:
        return None
    try:
        said = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        said = ""
    if not said.startswith("after:"):
        raise Refused("InvalidInput", "Invalid pagination token", 400)
    return said.removeprefix("after:")
