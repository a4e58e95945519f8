"""What a person pasted wrongly: names that no SDK knows, and characters that are in no key.

Pure. No message holds a value or more of it than one odd character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from .profile_file import KEY_ID, SECRET

# AWS's own keys; other services have longer and shorter ones.
LENGTHS = {KEY_ID: 20, SECRET: 40}

_PASTE = re.compile(r"\x1b?\[20[01]~")  # what a terminal puts around a paste
_MEANT = {
    KEY_ID: {"accesskeyid", "accesskey", "keyid", "accessid", "accesskeyidaws"},
    SECRET: {"secretaccesskey", "secretkey", "secret", "secretaccesskeyaws", "secretaccess"},
}


def misspelt(options: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The settings that were to be a part of a pair, each with what SDKs call it: `export AWS_ACCESS_KEY_ID`,
    `AWSAccessKeyId`, `aws-access-key-id`."""
    for option in options:
        letters = re.sub(r"[^a-z]", "", re.sub(r"^(export|set|setx|\$env:)\b", "", option.lower()))
        letters = letters.removeprefix("aws")
        for right, meant in _MEANT.items():
            if letters in meant and option != right:
                yield option, right


def odd_character(value: str) -> str:
    """Words for the first character that is in no access key, or ""."""
    if _PASTE.search(value):
        return "the mark of a paste (200~)"
    for char in value:
        if char in "[]":
            return f"a {char}, which may belong to the next header"
        if not char.isascii() or not char.isprintable():
            name = unicodedata.name(char, "a control character").lower()
            return f"a character that may not be seen (U+{ord(char):04X}, {name})"
    return ""


def odd_length(key_id: str, secret: str) -> str:
    """Words for a value that was cut off or pasted twice, or ""."""
    for name, value in ((KEY_ID, key_id), (SECRET, secret)):
        if len(value) != LENGTHS[name]:
            return f"{name} has {len(value)} characters here, and AWS's have {LENGTHS[name]}"
    return ""
