"""Of a file that holds a pair: whether the new one may stand there, or why not; and puts it there.

What git tracks and what is only a record of the past (a history, a log, a state, a notebook's output) takes no living
secret, by its nature; the old key does not wait for such a file, nor for one that is no text. What could take it and
does not, because it cannot be read, written or understood, is *owed*. A file is changed at once or not at all, with all
that a profile file is promised: mode, owner, links and attributes stay, nobody reads half of it, and what a killed run
leaves beside it is swept by the next. Only for who holds the lock."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from enum import Enum
from typing import NamedTuple

from ..core.errors import Problem, explain
from ..core.model import Credentials
from ..files import platform
from ..files import write as files
from ..files.regular import is_tracked
from ..files.write import Snapshot, Written, foresee
from .forms import Forms, Found, utf16

_MOST = 64 << 20  # bytes of a file that is changed
OPEN = "others on this computer can read it"


class Why(Enum):
    """What a file that holds a pair is: the word in `--json`, and what it means. Only a COPY is ever changed."""

    COPY = "copy", "can be changed with the key"
    UPDATED = "updated", "changed"
    PROFILE = "profile", "a profile file, which a rotation updates"
    HISTORY = "shell history", "shell history; harmless once the key is deleted, but remove the line"
    LOG = "log", "a log; find out what writes keys into it"
    STATE = "terraform state", "Terraform's state; give Terraform the new key and run terraform apply"
    OUTPUT = "notebook output", "notebook output; clear it, and read keys from a profile"
    TRACKED = (
        "tracked by git",
        "tracked by git, so everyone with the repository has the key; read it from a profile instead",
    )
    ID_ONLY = "id without its secret", "has only the access key ID; the secret is elsewhere"
    WITHOUT_ID = (
        "secret without its id",
        "has only the secret; change it together with the file that has the access key ID",
    )
    SPELLING = "unknown spelling", "written in an unknown format; put the new key in by hand"
    BINARY = "binary", "not a text file; change it with the program that wrote it"
    LARGE = "large", "too large to change safely; edit it by hand"
    FOREIGN = "another user's", "belongs to another user, who has to change it"
    READ_ONLY = "read-only", "not writable; chmod u+w makes it so"
    IN_PLACE = "cannot be replaced", "cannot be replaced in one step; put the new key in by hand"
    UNREADABLE = "unreadable", "cannot be read or written"
    CHANGED = "changed meanwhile", "another program is writing it; close that, then run the command again"


_OWED = {
    *(Why.SPELLING, Why.READ_ONLY, Why.IN_PLACE, Why.UNREADABLE, Why.CHANGED),
    *(Why.WITHOUT_ID, Why.LARGE, Why.FOREIGN),
}


class Copy(NamedTuple):
    """A file that holds (something of) the pair of `key_id`; `detail` says more where there is more to say."""

    path: str
    key_id: str
    why: Why
    detail: str = ""

    @property
    def can_change(self) -> bool:
        """Whether it takes a new pair."""
        return self.why is Why.COPY

    @property
    def is_changed(self) -> bool:
        """Whether it took one."""
        return self.why is Why.UPDATED

    @property
    def is_unread(self) -> bool:
        """Whether nobody knows what it holds."""
        return self.why is Why.UNREADABLE

    @property
    def is_profile(self) -> bool:
        """Whether a rotation changes it anyway."""
        return self.why is Why.PROFILE

    @property
    def owed(self) -> bool:
        """Whether the old key goes on working as long as a file that is to be changed is this."""
        return self.why in _OWED

    @property
    def means(self) -> str:
        """What it means that it holds a key: why it can, or cannot, be changed."""
        if self.is_unread and self.detail:
            return self.detail
        return f"{self.why.value[1]} ({self.detail})" if self.detail else self.why.value[1]

    def json(self) -> dict[str, str]:
        """As `--json` gives it; never a value."""
        return {"path": self.path, "finding": self.why.value[0], "means": self.means}


# Files that take no living secret, by their names.
_HISTORY = r"\.?\w*hist(ory|file)?(\.(txt|json|sqlite))?|\.lesshst|\.viminfo"
_LOG = r".*\.log([.-].*)?|nohup\.out|.*[._-]log|.*\.(trace|out|err|dmp|core|pcap|har)"
_STATE = r".*\.tfstate([.-].*)?|.*\.tfplan|tfplan(\..*)?|.*errored\.tfstate"


def unreadable(path: str, key_id: str, problem: Problem) -> Copy:
    """A file that holds a pair, or may, and cannot be read or written; with what to do about it."""
    return Copy(path, key_id, Why.UNREADABLE, "; ".join(filter(None, (problem.message, problem.hint))))


def judge(found: Snapshot, forms: Forms) -> Copy | None:
    """What a file is to this pair; None if it holds nothing of it."""
    wide = utf16(found.data)
    content = forms.find(found.data if wide is None else wide)
    if not (content.ids or content.secrets or forms.here(found.data)):
        return None
    key_id = forms.pair.key_id
    try:
        why = _by_name(found.path) or _by_content(found, content, forms, utf_16=wide is not None) or _by_status(found)
        if why:
            return Copy(found.path, key_id, why)
        reason = foresee(found)
    except OSError as error:  # of a folder above it, or of git's index
        return unreadable(found.path, key_id, explain(error, "read", error.filename or found.path))
    except Problem as problem:
        return unreadable(found.path, key_id, problem)
    if reason:
        return Copy(found.path, key_id, Why.IN_PLACE, reason)
    return Copy(found.path, key_id, Why.COPY, OPEN if readable_by_others(found.path, found.status) else "")


def _by_name(path: str) -> Why | None:
    folders, name = os.path.split(path)
    if re.fullmatch(_STATE, name, re.IGNORECASE) or f"{os.sep}.terraform{os.sep}" in path:
        return Why.STATE
    if re.fullmatch(_HISTORY, name, re.IGNORECASE):
        return Why.HISTORY
    inside = {folder.lower() for folder in folders.split(os.sep)[-4:]}
    is_log = re.fullmatch(_LOG, name, re.IGNORECASE) or inside & {"log", "logs", "_logs"}
    return Why.LOG if is_log else None


def _by_content(found: Snapshot, content: Found, forms: Forms, *, utf_16: bool) -> Why | None:
    if found.path.endswith(".ipynb") and _in_output(found.data, forms):
        return Why.OUTPUT
    if is_tracked(found.path):
        return Why.TRACKED
    if len(found.data) > _MOST:
        return Why.LARGE
    if not content.secrets:
        return Why.ID_ONLY if content.whole else Why.SPELLING
    if not content.ids:
        return Why.WITHOUT_ID
    if utf_16 or not content.whole:
        return Why.SPELLING
    return Why.BINARY if b"\0" in found.data else None


def _in_output(data: bytes, forms: Forms) -> bool:
    """Whether the pair stands in what a notebook's cells printed; a notebook that cannot be read counts so."""
    try:
        cells = json.loads(data)["cells"]
        printed = json.dumps([cell.get("outputs") for cell in cells], ensure_ascii=False)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return True
    return forms.here(printed.encode(errors="replace"))


def _by_status(found: Snapshot) -> Why | None:
    if found.status.st_uid != platform.my_uid():
        return Why.FOREIGN
    return None if found.status.st_mode & stat.S_IWUSR else Why.READ_ONLY


def readable_by_others(path: str, status: os.stat_result) -> bool:
    """Whether somebody else can open the file: its own bits and those of all folders above it say so. A group that only
    this user is in (as most systems make one for each user) is nobody else."""
    if platform.NAME == "win32":  # modes say nothing there; what is below the user's profile is the user's alone
        return False
    if not _others(status, stat.S_IROTH, stat.S_IRGRP):
        return False
    folder = os.path.dirname(path)
    while True:
        try:
            above = os.stat(folder)
        except OSError:
            return True
        if not _others(above, stat.S_IXOTH, stat.S_IXGRP):
            return False
        if folder == (folder := os.path.dirname(folder)):
            return True


def _others(status: os.stat_result, other: int, group: int) -> bool:
    return bool(status.st_mode & other or (status.st_mode & group and _is_shared(status.st_gid)))


def _is_shared(gid: int) -> bool:
    if sys.platform == "win32":  # files have no group there
        return True
    import grp
    import pwd

    try:
        entry, me = grp.getgrgid(gid), pwd.getpwuid(platform.my_uid()).pw_name
    except KeyError:
        return True
    return entry.gr_name != me or bool(set(entry.gr_mem) - {me})


_ATTEMPTS = 5


def swap(path: str, old: Credentials, new: Credentials) -> Copy | None:
    """Change the file, if it is a COPY; gives what it is now (UPDATED, or why not), None if it does not hold `old`."""
    forms = Forms(old)
    try:
        files.sweep(os.path.realpath(path))
        for _ in range(_ATTEMPTS):
            found = files.snapshot(path)
            finding = judge(found, forms) if found else None
            if found is None or finding is None or not finding.can_change:
                return finding
            changed = forms.swap(found.data, new)
            if not changed.whole:
                return finding._replace(why=Why.SPELLING, detail="")
            outcome = files.replace(found, changed.data)
            if outcome is Written.IMPOSSIBLE:
                return finding._replace(why=Why.IN_PLACE, detail="it is in use or mounted by itself")
            if outcome is Written.DONE:
                after = files.snapshot(path)
                fine = after is not None and not forms.here(after.data)
                return finding._replace(why=Why.UPDATED if fine else Why.CHANGED)
        return Copy(path, old.key_id, Why.CHANGED)
    except Problem as problem:
        return unreadable(path, old.key_id, problem)
