"""What a login shell runs once a day when something is due: says one line, and asks AWS anew for the next time.

Light: this is one bare Python and little else, so it imports what Python has loaded anyway, and everything heavy in a
child that nobody waits for. Never fails loudly: whatever is wrong, the shell starts as if it were not there."""

from __future__ import annotations

import os
import sys
import time

from . import state as states
from .state import DAY, KEPT, KEY, RECALLED, Item, State, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ASK = ("-q", "status")  # what asks AWS anew
FINISH = ("-q", "reminder", "finish")  # what lets an old key go that was kept long enough, and then does the same
STATE, DUE, SAID, ASKED, CLAIM = "state", "due", "said", "asked", "saying"
_TRUSTED = 3 * DAY  # AWS was asked so lately that the key is not gone
_CHANCE = 10  # seconds that asking AWS may take before the line is shown without an answer
_STALE = 60  # seconds after which whoever claimed the line was killed


def main(folder: str, run: Callable[[tuple[str, ...]], object]) -> int:
    """Say what is to be said, from the state in that folder; always 0. `run` runs a command, in a child."""
    try:
        now = int(time.time())
        state = load(folder)
        if state is None or not _claim(folder, now):
            return 0
        try:
            text, command = _speak(folder, state, now)
        finally:
            os.unlink(os.path.join(folder, CLAIM))
        if text:
            os.write(1, (text + "\n").encode(sys.stdout.encoding or "utf-8", "replace"))
        if command:
            _detach(command, run)
        return 0
    except (OSError, ValueError, OverflowError):
        return 0


def load(folder: str) -> State | None:
    """The state, if it is this user's own and makes sense."""
    path = os.path.join(folder, STATE)
    try:
        if hasattr(os, "geteuid") and os.stat(path).st_uid != os.geteuid():
            return None
    except OSError:
        return None
    return states.decode(states.read(path))


def _claim(folder: str, now: int) -> bool:
    """Of twenty panes that start at once, one speaks."""
    path = os.path.join(folder, CLAIM)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        if now - os.stat(path).st_mtime > _STALE:
            os.unlink(path)
        return False
    return True


def _speak(folder: str, state: State, now: int) -> tuple[str, tuple[str, ...]]:
    """The line to show, noted as said before it is shown; and the command that is to be run, if any. Of an old key
    whose time is over nothing is said: it goes, as was agreed to, and `status` tells of one that cannot."""
    said = states.decode_said(states.read(os.path.join(folder, SAID)), now)
    ripe = [item for item in state.items if states.following(item, said) <= now]
    since_asked = now - states.read_number(os.path.join(folder, ASKED))  # when the block last asked
    over = [item for item in ripe if item.kind == KEPT and item.until <= now]
    loud = [item for item in ripe if item in over or item.kind == RECALLED]
    known = [item for item in ripe if _is_known(item, now, since_asked)] if state.snoozed <= now else loud
    ask = state.snoozed <= now and any(item.kind in (KEY, RECALLED) for item in ripe) and not 0 <= since_asked < DAY
    if ask:
        _write(os.path.join(folder, ASKED), f"{now}\n".encode())
    if known:
        said = {label: moment for label, moment in said.items() if label in {item.label for item in state.items}}
        said.update({item.label: now for item in known})
        _write(os.path.join(folder, SAID), states.encode_said(said))
    if known or not ripe or state.snoozed > now:
        _rewrite(folder, state, said)
    active = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"
    colour = os.isatty(1) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    text = line([item for item in known if item not in over], state.limit, now, active, colour=colour)
    return text, FINISH if over else ASK if ask else ()


def _is_known(item: Item, now: int, since_asked: int) -> bool:
    """Whether to speak of it now: of a key that may be gone only after AWS was asked, whatever came of that."""
    return item.kind != KEY or now - item.seen < _TRUSTED or _CHANCE <= since_asked < 7 * DAY


def _rewrite(folder: str, state: State, said: dict[str, int]) -> None:
    """Put the time of the next line into the state; its own time stays that of what it was made from."""
    path = os.path.join(folder, STATE)
    before = os.stat(path)
    _write(path, states.encode(state, said), (before.st_atime_ns, before.st_mtime_ns))
    moment = states.first(state, said)
    if moment is not None:
        _write(os.path.join(folder, DUE), b"\n", (moment * 10**9, moment * 10**9))


def _write(path: str, data: bytes, times: tuple[int, int] | None = None) -> None:
    """Replace a file at once; not synced: after a power cut the line is said once more."""
    temporary = f"{path}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        if times:
            os.utime(temporary, ns=times)
        os.replace(temporary, path)
    except OSError:
        try:  # noqa: SIM105  contextlib is not loaded yet, and takes longer than all the rest
            os.unlink(temporary)
        except OSError:
            pass
        raise


def _detach(words: tuple[str, ...], run: Callable[[tuple[str, ...]], object]) -> None:
    """Run a command in a child that belongs to nobody: no output, no terminal, no zombie."""
    if sys.platform == "win32" or not hasattr(os, "fork"):
        import subprocess

        detached = getattr(subprocess, "DETACHED_PROCESS", 0)
        command = [sys.executable, "-I", "-m", "rotate_my_key", *words]
        null = subprocess.DEVNULL
        subprocess.Popen(command, stdin=null, stdout=null, stderr=null, creationflags=detached)
        return
    if os.fork():
        return
    try:
        os.setsid()
        null_fd = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null_fd, fd)
        if sys.platform == "darwin":  # its libraries refuse to work in a child that was only forked
            os.execv(sys.executable, [sys.executable, "-I", "-m", "rotate_my_key", *words])  # noqa: S606
        import site

        site.main()  # started without it (-S)
        run(words)
    finally:
        os._exit(0)
