"""The settings: names, kinds, built-in values, and which way is tighter. The one table that all else follows.

Pure: a reader takes text (or what ConfigObj made of it) and gives a value, or says what is allowed. The configspec is
made from the table, so file, environment and flags are read by the same readers. Rows are named tuples: a dataclass
costs five times as much at every start."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from ..core.errors import WrongUsage
from ..core.hints import Hint
from ..core.policy import format_duration, nearest, parse_duration

Value = timedelta | bool | str | tuple[str, ...]
Raw = str | bool | timedelta | Sequence[str]

_LONGEST = timedelta(days=36500)  # a key's date plus anything much longer is beyond what a calendar holds
_WORDS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def _text(raw: Raw) -> str:
    """One line of text. An unquoted comma makes a list of it in the file; here it is a comma again."""
    text = write(raw).strip()
    if not text.isprintable():
        raise WrongUsage(f"{text!r} is not one line of plain text", "write it on one line")
    return text


def _duration(raw: Raw) -> timedelta:
    duration = parse_duration(_text(raw))
    if duration > _LONGEST:
        raise WrongUsage(f"{write(raw)} is too long", f"the longest is {_LONGEST.days}d")
    return duration


def _duration_above_zero(raw: Raw) -> timedelta:
    duration = _duration(raw)
    if not duration:
        raise WrongUsage("0 is too short", "write a duration above 0, like 90d, 12h or 2m")
    return duration


def _yes_no(raw: Raw) -> bool:
    text = _text(raw)
    if text.lower() not in _WORDS:
        raise WrongUsage(f"{text!r} is neither yes nor no", "write yes or no")
    return _WORDS[text.lower()]


def _names(raw: Raw) -> tuple[str, ...]:
    parts = raw.split(",") if isinstance(raw, str) else raw if isinstance(raw, Sequence) else (write(raw),)
    return tuple(dict.fromkeys(name for part in parts if (name := _text(part))))


def _version(raw: Raw) -> str:
    text = _text(raw)
    if text and not all(part.isascii() and part.isdigit() for part in text.split(".")):
        raise WrongUsage(f"{text!r} is not a version", "write numbers with dots, like 1.2.0")
    return text


def _backend(raw: Raw) -> str:
    text = _text(raw)
    if text not in ("system", "environment") and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", text):
        raise WrongUsage(
            f"{text!r} is no keyring backend",
            "write system, environment, or a backend as keyring names it, like keyring.backends.kwallet.DBusKeyring",
        )
    return text


READERS: Mapping[str, Callable[[Raw], Value]] = {
    "duration": _duration,
    "duration_above_zero": _duration_above_zero,
    "yes_no": _yes_no,
    "text": _text,
    "names": _names,
    "version": _version,
    "backend": _backend,
}


def write(value: Raw) -> str:
    """A value as a person writes it: `90d`, `yes`, `legacy, ci`."""
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else ", ".join(value)


def release(version: str) -> list[int]:
    """A version for comparing: 1.0 is 1.0.0, 1.0rc1 too, and no version is below all others."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers


# What is left of an asked value under a ceiling, by the direction that is tighter.
_TIGHTEN: Mapping[str, Callable[..., Value]] = {
    "less": min,
    "more": max,
    "no": lambda asked, ceiling: asked and ceiling,
    "fewer": lambda asked, ceiling: tuple(name for name in asked if name in ceiling),
    "higher": lambda asked, ceiling: max(asked, ceiling, key=release),
    "-": lambda asked, ceiling: ceiling,
}


class Given(NamedTuple):
    """A value that somebody set, and where: `/home/alice/.config/rotate-my-key/config.ini line 3`, `flag --max-age`."""

    value: Value
    where: str


class Setting(NamedTuple):
    """One row: `kind` names its reader, `builtin` is text, `tighter` is less, more, no, fewer, higher or - (fixed);
    `meaning` is for people."""

    name: str
    kind: str
    builtin: str
    tighter: str
    example: str
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable, such as ROTATE_MY_KEY_MAX_AGE."""
        return PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The flag, where a command has one: --max-age."""
        return "--" + self.name.replace("_", "-")

    def read(self, raw: Raw) -> Value:
        """The value of a text. Raises WrongUsage, whose hint says what is allowed."""
        return READERS[self.kind](raw)

    def tighten(self, asked: Value, ceiling: Value) -> Value:
        """The value that counts under a site's ceiling: never looser than it, and fixed where no way is tighter."""
        return _TIGHTEN[self.tighter](asked, ceiling)


PREFIX = "ROTATE_MY_KEY_"
TABLE: Mapping[str, Setting] = {
    row[0]: Setting(*row)
    for row in (
        ("max_age", "duration_above_zero", "90d", "less", "90d", "a key this old is overdue"),
        ("remind_before", "duration", "15d", "more", "15d", "a key is due this long before that"),
        ("overlap", "duration", "0", "-", "1d", "the old key works this much longer"),
        ("overlap_most", "duration", "14d", "-", "14d", "the longest overlap, if it is still used"),
        ("keep_old", "duration", "0", "-", "12h", "then kept, inactive, this long"),
        ("replace_inactive", "yes_no", "no", "no", "no", "may an inactive second key be deleted?"),
        ("propagation_timeout", "duration_above_zero", "2m", "-", "2m", "how long a new key may take to work"),
        ("proof_interval", "duration", "1s", "-", "1s", "time between the three test sign-ins"),
        ("mfa_serial", "text", "", "-", "arn:aws:iam::123456789012:mfa/alice", "your MFA device, if codes are needed"),
        ("auth_profile", "text", "", "-", "sso", "signs the IAM calls instead of the key"),
        ("exclude", "names", "", "fewer", "legacy,ci", "profiles that rotate --all leaves alone"),
        ("update_copies", "yes_no", "no", "no", "no", "change copies in other files too?"),
        ("snooze", "yes_no", "yes", "no", "no", "may the reminder be snoozed?"),
        ("contact", "text", "", "-", "it@example.com", "whom to ask for help"),
        ("minimum_version", "version", "", "higher", "1.2.0", "the oldest version that may be used"),
        ("cache_max_age", "duration", "7d", "less", "7d", "older cached data is not trusted"),
        ("keyring_backend", "backend", "system", "-", "system", "the keyring that keys are stored in"),
    )
}

CONFIGSPEC = tuple(f"{row.name} = {row.kind}(default='{row.builtin}')" for row in TABLE.values())
SITE_CONFIGSPEC = (*CONFIGSPEC, "[enforced]", *CONFIGSPEC)


def near(name: str) -> str:
    """The setting that was probably meant, or ""."""
    return nearest(name.lower().replace("-", "_"), TABLE, 0.75)


def setting(name: str) -> Setting:
    """The setting of that name; dashes may stand for underscores. Raises WrongUsage, naming the nearest."""
    found = TABLE.get(name.replace("-", "_"))
    if found is None:
        meant = near(name)
        hint = Hint("config", "get", meant) if meant else Hint("config", "show")
        raise WrongUsage(f"there is no setting {name}" + (f"; did you mean {meant}?" if meant else ""), hint)
    return found
