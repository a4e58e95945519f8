"""The one form of all records: JSON with a version, from a dataclass or named tuple and back.

A record's names are the fields of its class; what a field in `among` is made of stands among them. What is read has the
types that its class asks for, and a field that a version did not know yet has its default. A record of a newer version
is left alone, with one line; whatever else a text may be, it is `Unreadable`. On the fast path: it imports little."""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from ..core.errors import Problem, Unreadable
from ..core.hints import Hint, quoted

T = TypeVar("T")

_WRONG = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@cache
def _hints(made_of: Any) -> dict[str, Any]:
    return get_type_hints(made_of)


class Newer(Problem):
    """A newer version of this program wrote it."""


class Form(Generic[T]):
    """How one kind of record is written: by the fields of `made_of`, and a `kind` if others lie beside it. `newer` and
    `wrong` are the messages and hints for those that are not read; `checked`: a checksum shows a torn one."""

    def __init__(
        self,
        made_of: type[T],
        version: int = 1,
        *,
        kind: str = "",
        among: Collection[str] = (),
        newer: tuple[str, str] = ("a newer rotate-my-key wrote this", "use that version"),
        wrong: tuple[str, str] = ("a record cannot be read", Hint("doctor")),
        checked: bool = False,
    ) -> None:
        self._made_of = made_of
        self._kind = {"kind": kind} if kind else {}
        self._version, self._among, self._newer = version, among, newer
        self._wrong, self._checked = wrong, checked

    def encode(self, value: T) -> bytes:
        """The record."""
        plain = {**self._kind, "version": self._version, **self._plain(value)}
        if self._checked:
            plain["checksum"] = _checksum(plain)
        return json.dumps(plain, separators=(",", ":")).encode()

    def decode(self, data: bytes | str | None) -> T:
        """What a record says. Raises Newer, or Unreadable."""
        try:
            value = json.loads(data or b"")
            if self._checked and value.pop("checksum") != _checksum(value):
                raise ValueError
            if not self._kind.items() <= value.items():
                raise ValueError
            version = self._read(int, value.get("version", 0))
            if version <= self._version:
                made: T = self._read(self._made_of, value)
                return made
        except _WRONG:
            raise Unreadable(*self._wrong) from None
        raise Newer(self._newer[0].format(version=version), self._newer[1])

    def find(self, data: bytes | str | None) -> T | None:
        """What a record says that nothing is decided by: None for none, and one that this version cannot read."""
        try:
            return self.decode(data) if data else None
        except (Unreadable, Newer):
            return None

    def _plain(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, bytes):
            return b64encode(value).decode()
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return [list(each) if isinstance(each, tuple) else self._plain(each) for each in value]
        if isinstance(value, Mapping):
            return {name: self._plain(each) for name, each in value.items()}
        if not _is_made_of_fields(type(value)):
            return value
        plain: dict[str, Any] = {}
        for name in _hints(value.__class__):
            field = self._plain(getattr(value, name))
            plain |= field if name in self._among else {name: field}
        return plain

    def _read(self, kind: Any, value: Any) -> Any:
        origin, inside = get_origin(kind), get_args(kind)
        if type(None) in inside:
            return None if value is None else self._read(inside[0], value)
        if origin is tuple and isinstance(value, list):
            return tuple(self._read(inside[0], each) for each in value)
        if origin is dict:
            return {name: self._read(inside[1], each) for name, each in value.items()}
        if _is_made_of_fields(kind):
            fields = _hints(kind)
            given = dict(zip(fields, value, strict=True)) if isinstance(value, list) else value
            there = [name for name in fields if name in given or name in self._among]
            return kind(**{n: self._read(fields[n], given if n in self._among else given[n]) for n in there})
        if kind is datetime:
            # A time with its zone
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError
            return moment.astimezone(UTC)
        if kind is bytes:
            return b64decode(value)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return kind(value)
        if kind is not Any and type(value) is not kind:
            raise TypeError
        return value


def _checksum(plain: dict[str, Any]) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _is_made_of_fields(kind: Any) -> bool:
    return hasattr(kind, "__dataclass_fields__") or hasattr(kind, "_fields")


_KEY_ID = re.compile(r"[A-Z0-9]{4,128}")


class KeyFiles:
    """Files of one kind, one for each key id, in a folder of the state dir. All verbs may raise Problem."""

    def __init__(self, path: str, suffix: str = "") -> None:
        self.path, self._suffix = path, suffix

    def file(self, key_id: str) -> str:
        """The path of a key's file. A key id comes from AWS or from a file, and must not lead out of the folder."""
        if not _KEY_ID.fullmatch(key_id):
            raise Problem("a key id has an unusual form", Hint("status"))
        return os.path.join(self.path, key_id + self._suffix)

    def ids(self) -> tuple[str, ...]:
        """The keys of which there is a file, readable or not, oldest first."""
        try:
            found = [entry for entry in os.scandir(self.path) if entry.name.endswith(self._suffix)]
            found.sort(key=lambda entry: (entry.stat(follow_symlinks=False).st_mtime, entry.name))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Problem(f"{self.path} cannot be read: {error.strerror}", f"ls -ld {quoted(self.path)}") from None
        return tuple(key for entry in found if _KEY_ID.fullmatch(key := entry.name.removesuffix(self._suffix)))
