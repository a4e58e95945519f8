"""What a killed in-place write leaves: the bytes from one value's start to the other's end, partly old and partly new.

Pure. The pair stands in either order, id first or secret first, with bytes between them that no write changes; the
values of the old and the new pair are of the same lengths.
"""

from __future__ import annotations

from ..model import Credentials


def is_mix(piece: bytes, old: Credentials, new: Credentials) -> bool:
    """Whether each byte of both values is the old one or the new one, and neither pair stands there whole."""
    return mended(piece, old, new) not in (None, piece) and mended(piece, new, old) != piece


def mended(piece: bytes, old: Credentials, new: Credentials) -> bytes | None:
    """The piece with the new pair in it; None if it is no mix of both (or one of them)."""
    before, after = ((pair.key_id.encode(), pair.secret.encode()) for pair in (old, new))
    if [len(value) for value in before] != [len(value) for value in after]:
        return None
    for first, second, name in ((0, 1, b"aws_secret_access_key"), (1, 0, b"aws_access_key_id")):
        head, tail = len(before[first]), len(piece) - len(before[second])
        if (
            head <= tail
            and _mixed(piece[:head], before[first], after[first])
            and _mixed(piece[tail:], before[second], after[second])
            and name in piece[head:tail].lower()
        ):
            return after[first] + piece[head:tail] + after[second]
    return None


def _mixed(found: bytes, old: bytes, new: bytes) -> bool:
    return len(found) == len(old) and all(byte in pair for byte, *pair in zip(found, old, new, strict=True))
