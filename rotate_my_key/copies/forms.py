r"""How a pair is spelled in files, and a new pair put in its place with the same spelling.

Pure: bytes in, bytes out. An id is spelled in one way. So are the letters and digits of a secret; its slashes, plus and
equals signs differ: `\/` in JSON, `%2F` in an address, `&#x2F;` in XML. Base64 (as in a Kubernetes secret) is taken
apart and put together again. What remains of the old pair after that is spelled in a way not known here.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from ..core.model import Credentials

# How one kind of program spells the three signs; of those that fit what is seen, the first counts.
_SPELLINGS: tuple[Mapping[bytes, bytes], ...] = (
    {b"/": b"/", b"+": b"+", b"=": b"="},
    {b"/": b"\\/", b"+": b"+", b"=": b"="},  # JSON
    {b"/": b"\\/", b"+": b"\\+", b"=": b"\\="},  # shells, sed
    {b"/": b"\\\\/", b"+": b"+", b"=": b"="},  # JSON in JSON
    {b"/": b"%2F", b"+": b"%2B", b"=": b"%3D"},
    {b"/": b"%2f", b"+": b"%2b", b"=": b"%3d"},
    {b"/": b"/", b"+": b"%2B", b"=": b"%3D"},  # the path of an address
    {b"/": b"%2F", b"+": b"+", b"=": b"="},
    {b"/": b"%252F", b"+": b"%252B", b"=": b"%253D"},  # an address in an address
    {b"/": b"\\u002f", b"+": b"\\u002b", b"=": b"\\u003d"},
    {b"/": b"\\u002F", b"+": b"\\u002B", b"=": b"\\u003D"},
    {b"/": b"/", b"+": b"\\u002B", b"=": b"="},  # .NET's JSON
    {b"/": b"/", b"+": b"\\u002b", b"=": b"\\u003d"},
    {b"/": b"&#x2F;", b"+": b"+", b"=": b"="},  # HTML and XML
    {b"/": b"&#x2f;", b"+": b"+", b"=": b"="},
    {b"/": b"&#x2F;", b"+": b"&#x2B;", b"=": b"&#x3D;"},
    {b"/": b"&#47;", b"+": b"&#43;", b"=": b"&#61;"},
)
_PLAIN, _IN_ADDRESS = _SPELLINGS[0], _SPELLINGS[4]
_ADDRESS = rb"[a-z][a-z0-9+.-]*://[^\s\"'<>]*\Z|[?&][\w.-]*=\Z"
_BASE64 = rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{27,}={0,2}(?![A-Za-z0-9+/=])"
_KNOWN = r"[A-Za-z0-9/+=]+"
_BOMS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
OVERLAP = 256  # bytes; no form is longer


class Found(NamedTuple):
    """What of a pair is in a file: how often the id, how often the whole secret, and whether nothing of the old pair is
    left in `data`, the content with the new one."""

    ids: int
    secrets: int
    whole: bool
    data: bytes = b""

    def __repr__(self) -> str:  # `data` holds a secret
        return f"Found(ids={self.ids}, secrets={self.secrets}, whole={self.whole})"


class Forms:
    """One pair, ready to be looked for."""

    def __init__(self, pair: Credentials) -> None:
        self.pair = pair
        self._id = pair.key_id.encode()
        runs = re.findall(rb"[A-Za-z0-9]+", pair.secret.encode())
        core = max(runs, key=len, default=b"")
        self._core = core if len(core) >= 8 else pair.secret.encode()
        self._base64 = tuple(_within_base64(self._id, before) for before in range(3))

    @cached_property
    def _secret(self) -> re.Pattern[bytes]:
        return re.compile(b"".join(_pattern(char) for char in _chars(self.pair.secret)))

    @property
    def needles(self) -> tuple[bytes, ...]:
        """A file that holds the pair in any form holds one of these; but for UTF-16, where they are spread out."""
        return (self._id, self._core, *self._base64)

    def here(self, data: bytes) -> bool:
        """Whether anything of the pair is in `data`."""
        return any(needle in data for needle in self.needles)

    def find(self, data: bytes) -> Found:
        """What of the pair is in a file's content."""
        return self.swap(data, Credentials(self.pair.key_id[::-1], "".join(reversed(self.pair.secret))))

    def swap(self, data: bytes, new: Credentials) -> Found:
        """The content with `new` in place of the pair, spelled in the same way."""
        if not re.fullmatch(_KNOWN, new.secret):
            return Found(data.count(self._id), 0, False)
        found = self._swap(data, new, nested=False)
        return found._replace(whole=found.whole and not self.here(found.data))

    def _swap(self, data: bytes, new: Credentials, *, nested: bool) -> Found:
        ids, secrets, whole = data.count(self._id), 0, True

        def respelled(found: re.Match[bytes]) -> bytes:
            nonlocal secrets, whole
            secrets += 1
            text = _respell(found, self.pair.secret, new.secret)
            whole = whole and text is not None
            return found[0] if text is None else text

        def decoded(found: re.Match[bytes]) -> bytes:
            nonlocal ids, secrets, whole
            inner = self._inside(found[0], new)
            if inner is None:
                return found[0]
            ids, secrets, whole = ids + inner.ids, secrets + inner.secrets, whole and inner.whole
            return b64encode(inner.data)

        text = data.replace(self._id, new.key_id.encode())
        text = self._secret.sub(respelled, text)
        if not nested and any(each in text for each in self._base64):
            text = re.sub(_BASE64, decoded, text)
        return Found(ids, secrets, whole, text)

    def _inside(self, token: bytes, new: Credentials) -> Found | None:
        """What a word in base64 holds; None if it is none, or holds nothing of the pair."""
        try:
            inner = b64decode(token, validate=True)
        except Error:
            return None
        if b64encode(inner) != token or not self.here(inner):
            return None
        return self._swap(inner, new, nested=True)


def utf16(data: bytes) -> bytes | None:
    """Text in UTF-16 (as PowerShell writes it) as UTF-8, for looking only; None if it is no such text."""
    encoding = _BOMS.get(data[:2])
    return data[2:].decode(encoding, "replace").encode("utf-8", "replace") if encoding else None


def _within_base64(word: bytes, before: int) -> bytes:
    """The part of a word's base64 that does not depend on its neighbours, with so many bytes before it (modulo 3)."""
    text = b64encode(bytes(before) + word)
    return text[(before * 8 + 5) // 6 : (before + len(word)) * 8 // 6]


def _chars(text: str) -> Iterable[bytes]:
    return (char.encode() for char in text)


def _pattern(char: bytes) -> bytes:
    """All spellings of a character, as a group if there is more than one."""
    if char not in _PLAIN:
        return re.escape(char)
    spellings = sorted({each[char] for each in _SPELLINGS}, key=len, reverse=True)
    return b"(" + b"|".join(re.escape(spelling) for spelling in spellings) + b")"


def _respell(found: re.Match[bytes], old: str, new: str) -> bytes | None:
    """The new secret as the old one is spelled here; None if that follows no spelling known."""
    seen: dict[bytes, bytes] = {}
    signs = [char for char in _chars(old) if char in _PLAIN]
    for char, spelled in zip(signs, found.groups(), strict=True):
        if seen.setdefault(char, spelled) != spelled:
            return None
    usual = next((each for each in _SPELLINGS if all(each[char] == s for char, s in seen.items())), None)
    if usual is None:
        return None
    if usual is _PLAIN and re.search(
        _ADDRESS, found.string[max(0, found.start() - 512) : found.start()], re.IGNORECASE
    ):
        usual = _IN_ADDRESS
    return b"".join(seen.get(char) or usual.get(char) or char for char in _chars(new))
