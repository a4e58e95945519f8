"""Sealing bytes for another computer, in the age format (https://age-encryption.org/v1), ASCII-armoured.

With a passphrase, or for recipients who open it with an identity of theirs. The library is the extra `export`, loaded
when first needed. No message names what was sealed."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from ..core.errors import Problem
from ..core.hints import Hint
from .paths import how_to_get

BEGIN, END = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"
_WITH_PASSPHRASE = b"age-encryption.org/v1\n-> scrypt "
_AGAIN = "copy the whole of it, or export it again on the other computer"


class WrongPassphrase(Problem):
    """The passphrase does not open it."""


def seal(data: bytes, *, passphrase: str = "", recipients: Sequence[str] = ()) -> str:
    """The sealed text, for the recipients (`age1...`, `ssh-ed25519 ...`, `ssh-rsa ...`), or else with the passphrase.
    Raises Problem for a recipient that is none, and if the library is not there."""
    library = _library()
    if not recipients:
        return bytes(library.passphrase.encrypt(data, passphrase, armored=True)).decode()
    return bytes(library.encrypt(data, [recipient(text) for text in recipients], armored=True)).decode()


def recipient(text: str) -> object:
    """Read a recipient. Raises Problem if it is none."""
    library = _library()
    kind = library.ssh if text.startswith("ssh-") else library.x25519
    try:
        return kind.Recipient.from_str(text.strip())
    except library.RecipientError:
        raise Problem("this is not an age recipient (age1..., ssh-ed25519 ..., ssh-rsa ...)", "age-keygen") from None


def with_passphrase(sealed: bytes) -> bool:
    """Whether a passphrase opens it. Raises Problem if it is not in this format, or torn."""
    return _armour_off(sealed).startswith(_WITH_PASSPHRASE)


def unseal(sealed: bytes, *, passphrase: str = "", identities: bytes = b"") -> bytes:
    """What was sealed. `identities` is the content of an age identity file, or of an SSH private key. Raises
    WrongPassphrase; Problem if no identity fits, or it is damaged."""
    library, raw = _library(), _armour_off(sealed)
    try:
        if identities:
            return bytes(library.decrypt(raw, _identities(library, identities)))
        return bytes(library.passphrase.decrypt(raw, passphrase))
    except library.DecryptError as error:
        said = str(error)
    if "No matching keys" in said:
        raise Problem("it was not made for this identity", "age-keygen -y IDENTITY_FILE, and export to what that says")
    if said == "Decryption failed":
        raise WrongPassphrase("that is not the passphrase it was made with", "type it again")
    if "xcessive work" in said:
        raise Problem("it was made on a much faster computer, and this one would take minutes to open it", _AGAIN)
    raise Problem("it is damaged", _AGAIN)


def _identities(library: Any, data: bytes) -> list[object]:
    """Every identity of a file; blank lines and comments are passed over."""
    try:
        if data.lstrip().startswith(b"-----BEGIN "):
            return [library.ssh.Identity.from_buffer(data)]
        lines = (line.strip() for line in data.decode().splitlines())
        found = [library.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (library.IdentityError, UnicodeDecodeError):
        found = []
    if not found:
        raise Problem(
            "this is not an identity file: it has no AGE-SECRET-KEY-1... and no SSH key without a passphrase",
            "age-keygen",
        )
    return found


def _armour_off(sealed: bytes) -> bytes:
    """The bytes inside, whatever stands before and behind: a mail, a chat, another system's line ends and encoding."""
    # UTF-16, as PowerShell's `>` writes it, has a zero beside each letter
    _, begin, behind = sealed.replace(b"\0", b"").partition(BEGIN.encode())
    inside, end, _ = behind.partition(END.encode())
    if not begin:
        raise Problem("this is not an export file", Hint("export"))
    if not end:
        raise Problem("its end is missing", _AGAIN)
    try:
        return b64decode(inside.translate(None, b" \t\r\n>"), validate=True)
    except binascii.Error:
        raise Problem("it is damaged", _AGAIN) from None


def _library() -> Any:
    try:
        import pyrage
    except ImportError:
        raise Problem("the library for sealed files (pyrage) is not installed", how_to_get("pyrage")) from None
    return pyrage
