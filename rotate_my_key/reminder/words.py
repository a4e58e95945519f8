"""The one line that a login shell shows. Pure; imports only what Python itself has loaded."""

from __future__ import annotations

import time

from .state import DAY, FAILED, KEPT, KEY, UNFINISHED, Item

_TOOL = "rotate-my-key"
_MOST_NAMES = 3
_LONGEST_NAME = 40
_PLAIN = "-_.@+/:="  # beside letters and digits: what a shell takes as it is


def line(items: list[Item], limit: int, now: int, active: str, *, colour: bool = False) -> str:
    """One line about all of these; "" if there are none. `limit` in seconds; `active` is the profile in use."""
    keys = sorted((item for item in items if item.kind == KEY), key=lambda item: item.until)
    parts = [_kept(item, now) for item in items if item.kind == KEPT][:1]
    parts += [_failed(item) for item in items if item.kind == FAILED][:1]
    parts += [_unfinished(item) for item in items if item.kind == UNFINISHED][:1]
    parts += [_keys(keys, limit, now, active)] if keys else []
    if not parts:
        return ""
    text = f"{_TOOL}: {' | '.join(parts)}"
    if not colour:
        return text
    return f"\x1b[{'1;31' if any(_overdue(item, now) for item in keys) else '33'}m{text}\x1b[0m"


def plain(name: str) -> str:
    """A name for the screen: what a terminal or a reader could take for something else is a question mark."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 3]}..."


def _keys(keys: list[Item], limit: int, now: int, active: str) -> str:
    overdue = [item for item in keys if _overdue(item, now)]
    loud = "OVERDUE: " if overdue else ""
    if len(keys) == 1:
        who = f"the access key of {_names(keys[0].names)} is {_age(keys[0], now)} old"
    else:
        each = [f"{_names(item.names)} ({_age(item, now)})" for item in keys]
        who = f"the access keys of {_join(each)} are old"
    what = f", the limit is {_span(limit)}." if overdue else " and due for replacement."
    return f"{loud}{who}{what} Type: {_command(keys, active)}"


def _unfinished(item: Item) -> str:
    return f"The rotation of key {_mask(item.key_id)} is not finished. Type: {_TOOL}"


def _failed(item: Item) -> str:
    moment = time.localtime(item.created)
    when = f"{moment.tm_mday} {time.strftime('%B', moment)}"
    return f"The daily rotation of {when} failed. Type: {_TOOL} schedule show"


def _kept(item: Item, now: int) -> str:
    moment = time.localtime(item.until)
    until = f"{moment.tm_mday} {time.strftime('%B', moment)}"
    if item.until <= now:
        return f"The old key {_mask(item.key_id)} was kept until {until} and can go. Type: {_TOOL}"
    return f"The old key {_mask(item.key_id)} is kept until {until}, in case something misses it ({_TOOL} undo)."


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


def _overdue(item: Item, now: int) -> bool:
    return item.until <= now


def _age(item: Item, now: int) -> str:
    return _span(now - item.created)


def _span(seconds: int) -> str:
    number, word = (seconds // DAY, "day") if seconds >= DAY else (max(seconds, 0) // 3600, "hour")
    return f"{number} {word}{'' if number == 1 else 's'}"


def _names(names: tuple[str, ...]) -> str:
    return _join([plain(name) for name in names]) or "this computer"


def _join(words: list[str]) -> str:
    if len(words) > _MOST_NAMES:
        words = [*words[: _MOST_NAMES - 1], f"{len(words) - _MOST_NAMES + 1} more"]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def _mask(key_id: str) -> str:
    return f"...{plain(key_id[-4:])}"
