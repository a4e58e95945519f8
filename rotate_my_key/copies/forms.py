r"""How a pair is spelled in files, and a new pair put in its place with the same spelling.

Pure: bytes in, bytes out. An id is spelled in one way. So are the letters and digits of a secret; its slashes, plus and
equals signs differ: `\/` in JSON, `%2F` in an address, `&#x2F;` in XML. Base64 (as in a Kubernetes secret) is taken
apart and put together again. The password that SES takes over SMTP beside the id is derived from the secret, for each
region another: it counts as the secret, and is derived anew. What remains of the old pair after that is spelled in a
way not known here.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hmac import digest
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
    {b"/": b"/", b"+": b"\\x2b", b"=": b"\\x3d"},  # fish's variables
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
_REGION = rb"email-smtp(?:-fips)?\.([a-z0-9-]+)\."
_SES = """
af-south-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2
ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 eu-central-1
eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 eusc-de-east-1 il-central-1 me-central-1
me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-gov-east-1 us-gov-west-1 us-west-1 us-west-2
"""  # where a file names no region; as botocore has them, which a test compares


class Found(NamedTuple):
    """What of a pair is in a file: how often the id, how often the whole secret or what is derived from it; how many
    passwords for SMTP are derived from something else, less the ids that they may belong to; and whether nothing of the
    old pair is left in `data`, the content with the new one."""

    ids: int = 0
    secrets: int = 0
    strange: int = 0
    whole: bool = True
    data: bytes = b""

    def __repr__(self) -> str:  # `data` holds a secret
        return f"Found(ids={self.ids}, secrets={self.secrets}, strange={self.strange}, whole={self.whole})"

    def and_in(self, word: Found) -> Found:
        """The same with what is in a word of it."""
        ids, secrets, strange = self.ids + word.ids, self.secrets + word.secrets, self.strange + word.strange
        return Found(ids, secrets, strange, self.whole and word.whole, self.data)


class Forms:
    """One pair, ready to be looked for."""

    def __init__(self, pair: Credentials) -> None:
        self.pair = pair
        self._id = pair.key_id.encode()
        core = _core(pair.secret)
        self.needles = (self._id, core, *_in_base64(self._id))
        """A file that holds the pair in any form holds one of these; but for UTF-16, where they are spread out."""
        self._hidden = (*_in_base64(self._id), *_in_base64(core))

    def here(self, data: bytes) -> bool:
        """Whether anything of the pair is in `data`."""
        return any(needle in data for needle in self.needles)

    def find(self, data: bytes) -> Found:
        """What of the pair is in a file's content."""
        return self.swap(data, Credentials(self.pair.key_id[::-1], "".join(reversed(self.pair.secret))))

    def swap(self, data: bytes, new: Credentials) -> Found:
        """The content with `new` in place of the pair, spelled in the same way."""
        if not re.fullmatch(_KNOWN, new.secret):
            return Found(data.count(self._id), whole=False)
        regions = frozenset(re.findall(_REGION, data))
        derived = zip(_smtp(self.pair.secret, regions), _smtp(new.secret, regions), strict=True)
        words = [(self.pair.secret, new.secret), *derived]
        found = self._swap(data, new, words)
        hidden = [form for form in self._hidden if form in found.data]
        if hidden or _MAIL_IN_BASE64.search(found.data):
            found = self._unfold(found, hidden, new, words)
        left = (self._id, *(_core(old) for old, _ in words), *self._hidden)
        return found._replace(whole=found.whole and found.strange <= 0 and not any(each in found.data for each in left))

    def _swap(self, data: bytes, new: Credentials, words: list[tuple[str, str]]) -> Found:
        """`words` are the secret and all that is derived from it, each with what takes its place."""
        ids, strange = data.count(self._id), 0
        if mail := _SMTP.findall(data):
            derived = {old.encode() for old, _ in words}
            others = len(_ANY_ID.findall(data)) - ids
            plain = [re.sub(_SIGN, lambda sign: _MEANS[sign[0]], each) for each in mail]
            strange = sum(each not in derived for each in plain) - max(0, others)
        found = Found(ids, 0, strange, True, data.replace(self._id, new.key_id.encode()))
        for old, successor in words:
            if _core(old) in found.data:
                found = _put(found, old, successor)
        return found

    def _unfold(self, found: Found, hidden: list[bytes], new: Credentials, words: list[tuple[str, str]]) -> Found:
        """The same within words in base64: those that hide something of the pair, or may be a password for SMTP."""

        def decoded(match: re.Match[bytes]) -> bytes:
            nonlocal found
            word = match[0]
            if not _MAIL_IN_BASE64.fullmatch(word) and not any(form in word for form in hidden):
                return word
            inner = self._inside(word, new, words)
            found = found.and_in(inner)
            return b64encode(inner.data) if inner.ids or inner.secrets else word

        text = re.sub(_BASE64, decoded, found.data)
        return found._replace(data=text)

    def _inside(self, token: bytes, new: Credentials, words: list[tuple[str, str]]) -> Found:
        """What of the pair a word in base64 holds."""
        try:
            inner = b64decode(token, validate=True)
        except Error:
            return Found()
        return self._swap(inner, new, words) if b64encode(inner) == token else Found()


def _put(found: Found, old: str, new: str) -> Found:
    """The content with `new` in place of a secret or what is derived from one, and what is then found in all."""
    secrets, whole = found.secrets, found.whole

    def respelled(match: re.Match[bytes]) -> bytes:
        nonlocal secrets, whole
        secrets += 1
        text = _respell(match, old, new)
        whole = whole and text is not None
        return match[0] if text is None else text

    data = re.sub(b"".join(_pattern(char) for char in _chars(old)), respelled, found.data)
    return found._replace(secrets=secrets, whole=whole, data=data)


@lru_cache(maxsize=8)
def _smtp(secret: str, regions: frozenset[bytes]) -> list[str]:
    """The passwords for SES's SMTP interface: the one of before 2019, then that of each region. The algorithm:
    https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html"""
    found = [b"\2" + digest(secret.encode(), b"SendRawEmail", "sha256")]
    for region in sorted(regions | set(_SES.encode().split())):
        key = f"AWS4{secret}".encode()
        for word in (b"11111111", region, b"ses", b"aws4_request", b"SendRawEmail"):
            key = digest(key, word, "sha256")
        found.append(b"\4" + key)
    return [b64encode(each).decode() for each in found]


def _core(secret: str) -> bytes:
    """The longest part of it that every program spells alike."""
    longest = max(re.findall(r"[A-Za-z0-9]+", secret), key=len, default="")
    return (longest if len(longest) >= 8 else secret).encode()


def utf16(data: bytes) -> bytes | None:
    """Text in UTF-16 (as PowerShell writes it) as UTF-8, for looking only; None if it is no such text."""
    encoding = _BOMS.get(data[:2])
    return data[2:].decode(encoding, "replace").encode("utf-8", "replace") if encoding else None


def _in_base64(word: bytes) -> Iterator[bytes]:
    """The parts of a word's base64 that do not depend on its neighbours, with 0 to 2 bytes before it (modulo 3)."""
    for before in range(3):
        yield b64encode(bytes(before) + word)[(before * 8 + 5) // 6 : (before + len(word)) * 8 // 6]


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


_MEANS = {spelled: sign for each in _SPELLINGS for sign, spelled in each.items() if sign in b"/+"}
_SIGN = b"|".join(re.escape(spelled) for spelled in sorted(_MEANS, key=len, reverse=True))
# What a password for SMTP looks like: 33 bytes, of which the first is 4 (before 2019: 2).
_SMTP = re.compile(rb"[AB](?<![\w/+].)(?:(?<=B)[A-P]|(?<=A)[g-v])(?:[A-Za-z0-9]|%b){42}(?![\w/+])" % _SIGN, re.DOTALL)
_MAIL_IN_BASE64 = re.compile(rb"Q(?<![A-Za-z0-9+/].)[klWX][A-Za-z0-9+/]{57}[A-Za-z0-9+/=]", re.DOTALL)
_ANY_ID = re.compile(rb"(?<![A-Z0-9])AKIA[A-Z0-9]{16}(?![A-Z0-9])")
