"""The file that login shells read, what the due path knows of it, and the one line that it shows.

Its first line is the time of the next thing to say, in epoch seconds, or `-`; shells read no more than that. The other
lines are for `login.py`: words of ASCII, names and ids as hexadecimal, so that nothing in them can mean anything to a
shell or a terminal. What makes no sense is passed over. Pure, and imports only what Python itself has loaded: one
Python start a day is all that the reminder may cost."""

from __future__ import annotations

import os
import time

VERSION = "rotate-my-key-reminder 1"
MOST = 1 << 20  # bytes; more was not written by us
KEY, UNFINISHED, KEPT, FAILED, RECALLED = "key", "unfinished", "kept", "failed", "recalled"
_LATEST = 99_999_999_999  # the eleven digits that the blocks accept
_HOURS = 3600
DAY = 24 * _HOURS


class Item:
    """One thing to say. Times are epoch seconds. `kind` is KEY (`at` it is due, `until` overdue), UNFINISHED (a
    rotation was begun and not ended), KEPT (an old key, switched off, kept `until` then), FAILED (the daily run of the
    schedule, at `created`) or RECALLED (IT wants it to be replaced `until` then, and says `why`). `seen` is when AWS
    last told about the key. Not a named tuple: importing those takes longer than all the rest."""

    __slots__ = ("at", "created", "key_id", "kind", "names", "seen", "until", "why")

    def __init__(
        self,
        kind: str,
        key_id: str,
        names: tuple[str, ...],
        at: int,
        until: int = 0,
        created: int = 0,
        seen: int = 0,
        *,
        why: str = "",
    ) -> None:
        self.kind, self.key_id, self.names, self.why = kind, key_id, names, why
        self.at, self.until, self.created, self.seen = at, until, created, seen

    @property
    def label(self) -> str:
        """Its name in the list of what was said."""
        return f"{self.kind} {_hex(self.key_id)}"


class State:
    """All there is to say, the limit in seconds (`max_age`), and until when the person wants to hear nothing."""

    __slots__ = ("items", "limit", "snoozed")

    def __init__(self, items: list[Item], limit: int, snoozed: int = 0) -> None:
        self.items, self.limit, self.snoozed = items, limit, snoozed


def encode(state: State, said: dict[str, int]) -> bytes:
    """The whole file. `said` is when each item was said last."""
    moment = first(state, said)
    lines = ["-" if moment is None else str(moment), VERSION, f"limit {state.limit}", f"snoozed {state.snoozed}"]
    for item in state.items:
        numbers = f"{item.at} {item.until} {item.created} {item.seen}"
        lines.append(f"{item.kind} {_hex(item.key_id)} {numbers} {','.join(map(_hex, item.names)) or '-'}")
        if item.why:
            lines[-1] += f" {_hex(item.why)}"
    return ("\n".join(lines) + "\n").encode("ascii")


def decode(data: bytes) -> State | None:
    """Read it back; None if it is torn, of another version, or too large."""
    if len(data) > MOST or not data.endswith(b"\n"):
        return None
    try:
        _, version, limit, snoozed, *lines = data.decode("ascii").splitlines()
        if version != VERSION:
            return None
        state = State([], _number(limit.removeprefix("limit ")), _number(snoozed.removeprefix("snoozed ")))
    except ValueError:
        return None
    for line in lines:
        try:
            kind, key_id, at, until, created, seen, names, *why = line.split(" ")
            if kind not in (KEY, UNFINISHED, KEPT, FAILED, RECALLED):
                raise ValueError(kind)
            all_names = tuple(map(_text, names.split(","))) if names != "-" else ()
            numbers = [_number(word) for word in (at, until, created, seen)]
            state.items.append(Item(kind, _text(key_id), all_names, *numbers, why="".join(map(_text, why))))
        except ValueError:
            continue
    return state


def first(state: State, said: dict[str, int]) -> int | None:
    """When there is next something to say; None if never."""
    moments = [max(following(item, said), _snoozed(item, state.snoozed)) for item in state.items]
    return min(*moments, _LATEST) if moments else None


def _snoozed(item: Item, snoozed: int) -> int:
    """Until when a person has put an item off: what IT asks for cannot be, nor the end of a kept key."""
    return 0 if item.kind == RECALLED else min(snoozed, item.until) if item.kind == KEPT else snoozed


def following(item: Item, said: dict[str, int]) -> int:
    """When to say an item next: from its time on, once on a calendar day and not twice in one night. A kept key is said
    once; when its time is over it goes, and nobody can put that off."""
    last = said.get(item.label)
    if last is None:
        return item.at
    if item.kind == KEPT and last < item.until:
        return item.until
    day = time.localtime(last)
    midnight = int(time.mktime((day.tm_year, day.tm_mon, day.tm_mday + 1, 0, 0, 0, 0, 0, -1)))
    return max(item.at, midnight, last + 8 * _HOURS)


def read(path: str) -> bytes:
    """The content, up to a little more than it may have; nothing if it cannot be read. Never waits for a pipe."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    try:
        return os.read(fd, MOST + 1)
    except OSError:
        return b""
    finally:
        os.close(fd)


def read_number(path: str) -> int:
    """The number that is all of a file; 0 if there is none."""
    word = read(path)[:20].decode("ascii", "replace").strip()
    return int(word) if word.isdigit() else 0


def encode_said(said: dict[str, int]) -> bytes:
    """What was said when, a line an item."""
    return "".join(f"{label} {moment}\n" for label, moment in said.items()).encode("ascii")


def decode_said(data: bytes, now: int) -> dict[str, int]:
    """Read it back. A time in the future was written while the clock was wrong, and does not count."""
    said = {}
    for line in data.decode("ascii", "replace").splitlines():
        label, _, moment = line.rpartition(" ")
        try:
            if _number(moment) <= now + _HOURS:
                said[label] = _number(moment)
        except ValueError:
            continue
    return said


def _number(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 11):
        raise ValueError(word)
    return int(word)


def _hex(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").hex() or "00"


def _text(word: str) -> str:
    return bytes.fromhex(word).decode("utf-8", "replace")


_TOOL = "rotate-my-key"
_MOST_NAMES = 3
_LONGEST_NAME = 40
_PLAIN = "-_.@+/:="  # beside letters and digits: what a shell takes as it is


def line(items: list[Item], limit: int, now: int, active: str, *, colour: bool = False) -> str:
    """One line about all of these; "" if there are none. `limit` in seconds; `active` is the profile in use."""
    keys = sorted((item for item in items if item.kind == KEY), key=lambda item: item.until)
    called = sorted((item for item in items if item.kind == RECALLED), key=lambda item: item.until)
    parts = [_recalled(called, active)] if called else []
    first_of = {item.kind: item for item in reversed(items)}
    parts += [_mentioned(first_of[kind]) for kind in (KEPT, FAILED, UNFINISHED) if kind in first_of]
    parts += [_keys(keys, limit, now, active)] if keys else []
    if not parts:
        return ""
    text = f"{_TOOL}: {' | '.join(parts)}"
    if not colour:
        return text
    return f"\x1b[{'1;31' if called or any(item.until <= now for item in keys) else '33'}m{text}\x1b[0m"


def plain(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name for the screen: what a terminal or a reader could take for something else is a question mark."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def _keys(keys: list[Item], limit: int, now: int, active: str) -> str:
    overdue = [item for item in keys if item.until <= now]
    due = [item for item in keys if item.until > now]
    said = []
    if overdue:
        past = "{}; maximum age is {}" if len(keys) == 1 else "{} past the maximum age of {}"
        said.append(f"OVERDUE: {past.format(_are(overdue, now, alone=len(keys) == 1), _span(limit))}")
    if due:
        said.append(f"{_are(due, now, alone=len(keys) == 1)} {'and due' if len(keys) == 1 else 'due'} for replacement")
    return f"{'; '.join(said)}. Type: {_command(keys, active)}"


def _are(keys: list[Item], now: int, *, alone: bool) -> str:
    """The subject and verb of a sentence; where there is only one key its age is the sentence."""
    if alone:
        return f"the access key of {_names(keys[0].names)} is {_span(now - keys[0].created)} old"
    each = _join([f"{_names(item.names)} ({_span(now - item.created)})" for item in keys])
    return f"the access key{'s' if keys[1:] else ''} of {each} {'are' if keys[1:] else 'is'}"


def _recalled(items: list[Item], active: str) -> str:
    """All of them, with the day and the reason of the one that has least time."""
    by, names = _day(items[0].until), _join([_names(item.names) for item in items])
    it, why = "them" if items[1:] else "it", plain(items[0].why, 200)
    said = f"IT has recalled the access key{'s' if items[1:] else ''} of {names}; replace {it} by {by}"
    return f"{said}{why and f': {why}'}. Type: {_command(items, active)}"


def _mentioned(item: Item) -> str:
    key = f"...{plain(item.key_id[-4:])}"
    if item.kind == KEPT:
        return f"The old key {key} is kept until {_day(item.until)}, in case something still needs it ({_TOOL} undo)."
    if item.kind == FAILED:
        return f"The daily rotation of {_day(item.created)} failed. Type: {_TOOL} schedule show"
    return f"The rotation of key {key} is not finished. Type: {_TOOL}"


def _day(moment: int) -> str:
    day = time.localtime(moment)
    return f"{day.tm_mday} {time.strftime('%B', day)}"


def _command(keys: list[Item], active: str) -> str:
    if len(keys) > 1:
        return f"{_TOOL} --all"
    names = keys[0].names
    if active in names:
        return _TOOL
    typed = [name for name in names if _is_typed(name)]
    return f"{_TOOL} -p {typed[0]}" if typed else f"{_TOOL} --all"


def _is_typed(name: str) -> bool:
    """Whether a shell takes the name as it is."""
    whole = all(letter.isascii() and (letter.isalnum() or letter in _PLAIN) for letter in name)
    return whole and len(name) <= _LONGEST_NAME and bool(name) and name[0] not in "-="


def _span(seconds: int) -> str:
    number, word = (seconds // DAY, "day") if seconds >= DAY else (max(seconds, 0) // _HOURS, "hour")
    return f"{number} {word}{'' if number == 1 else 's'}"


def _names(names: tuple[str, ...]) -> str:
    return _join([plain(name) for name in names]) or "this computer"


def _join(words: list[str]) -> str:
    if len(words) > _MOST_NAMES:
        words = [*words[: _MOST_NAMES - 1], f"{len(words) - _MOST_NAMES + 1} more"]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
