"""Reading a settings file's bytes, and whether the site's was put there by whoever runs this computer.

Apart from `ini`, so that a start without files need not import ConfigObj.

A file that anybody else could have written, replaced or moved into place could switch things for every user here, so
each folder from the top down, each link on the way and the file itself must belong to root (Administrators or the
system on Windows) and be writable by no one else. Only looks; whoever asks decides what follows.

On Windows a security descriptor is asked for in the text form that the system itself gives (SDDL), so that all but the
asking can be tested anywhere. https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress

from ..core.errors import Problem, shortage
from ..core.hints import Hint

LARGEST = 10**6  # bytes
_HINT = Hint("config", "path")


def read(path: str, *, site: bool = False, hint: str = _HINT) -> bytes | None:
    """What is in the file; None if there is none. Raises Problem, with `hint`, if it is there and cannot be read, is no
    regular file (a pipe would be waited for, a device never ends), or is larger than anybody writes."""
    try:
        if why := oversized(path):
            raise OSError(0, why)
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise shortage(error) or unreadable(path, error, site=site, hint=hint) from None


def oversized(path: str) -> str:
    """Why something is no file to be read whole, or "". Raises OSError."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        return "a folder, not a file" if stat.S_ISDIR(found.st_mode) else "no regular file"
    return f"larger than {LARGEST // 10**6} MB" if found.st_size > LARGEST else ""


def unreadable(path: str, error: OSError, *, site: bool, hint: str = _HINT) -> Problem:
    """The Problem for a file that the system does not let us read. `site`: only IT can mend it."""
    whose = "the site's settings cannot be read, tell your IT" if site else "your settings cannot be read"
    return Problem(f"{whose}: {path} ({error.strerror or error})", hint)


def objection(path: str, owner: int = 0, top: str = "/") -> str:
    """Why the file does not count, in words, or "" if it does. `path` is absolute. Folders above `top` are not looked
    at. Raises OSError if there is no such file or it cannot be looked at."""
    with suppress(PermissionError):  # then the way there tells why
        os.lstat(path)
    if sys.platform == "win32":
        return _windows_objection(path)
    mode = 0
    for here in _on_the_way(path):
        if top.startswith(here.rstrip("/") + "/") and here != top:
            continue
        state = os.lstat(here)
        if state.st_uid != owner:
            return f"{here} belongs to uid {state.st_uid}, not to {'root' if owner == 0 else f'uid {owner}'}"
        mode = state.st_mode
        if not stat.S_ISLNK(mode) and mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"{here} can be written by others"
    return "" if stat.S_ISREG(mode) else f"{path} is not a regular file"


def _on_the_way(path: str) -> Iterator[str]:
    """Every folder, link and file that is passed from `/` to the file, links followed one by one."""
    done, links = "/", 0
    todo = path.split("/")[::-1]
    yield done
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        here = os.path.dirname(done) if part == ".." else os.path.join(done, part)
        yield here
        if not os.path.islink(here):
            done = here
            continue
        links += 1
        if links > 40:  # as many as Linux follows
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(here)
        todo += target.split("/")[::-1]
        done = "/" if target.startswith("/") else done


def own_objection(path: str, uid: int) -> str:
    """Why a file is not this user's alone, or "": it is run as a program, so nobody else may have written it or put it
    there. Each folder and link on the way belongs to the user or root; a folder that all may write has the sticky bit.
    Windows keeps a user's own folders to that user by itself, so there nothing is looked at. Raises OSError."""
    if sys.platform == "win32":
        return ""
    state = os.lstat(path)
    for here in _on_the_way(os.path.abspath(path)):
        state = os.lstat(here)
        if state.st_uid not in (uid, 0):
            return f"{here} belongs to uid {state.st_uid}, not to you"
        shared = state.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(state.st_mode)
        if shared and not (stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX):
            return f"{here} can be written by others"
    if not stat.S_ISREG(state.st_mode) or state.st_uid != uid:
        return f"{path} is not a file of yours"
    return ""


_TRUSTED = {
    *("BA", "S-1-5-32-544"),  # Administrators
    *("SY", "S-1-5-18"),  # the system
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",  # TrustedInstaller, who owns the drive's root
}
# The letters of a rule's rights and the bits they stand for, as files and folders use them.
_CODES = "CC:1 DC:2 LC:4 SW:8 RP:10 WP:20 DT:40 LO:80 CR:100 SD:10000 RC:20000 WD:40000 WO:80000 "
_CODES += "GA:10000000 GX:20000000 GW:40000000 GR:80000000 FA:1F01FF FR:120089 FW:120116 FX:1200A0"
_RIGHTS = {code: int(bits, 16) for code, _, bits in (pair.partition(":") for pair in _CODES.split())}
_TAKE_OVER = 0x10000 | 0x40000 | 0x80000 | 0x10000000  # delete, change the permissions, take ownership, everything
_FILE_HARM = _TAKE_OVER | 0x2 | 0x4 | 0x40000000  # write, append, generic write
# Everybody may add files to ProgramData and folders to the drive's root. That replaces nothing, and what they add is
# theirs, which its own owner tells; to delete what is in a folder does harm.
_FOLDER_HARM = _TAKE_OVER | 0x40


def descriptor_objection(sddl: str, *, folder: bool) -> str:
    """Why a Windows security descriptor does not keep others from replacing the file or folder, or ""."""
    owner = re.match(r"O:(S-[\d-]+|[A-Z]{2})", sddl)
    if not owner or owner[1] not in _TRUSTED:
        return f"belongs to {owner[1] if owner else 'nobody'}, not to Administrators"
    rules = re.search(r"D:(?!NO_ACCESS_CONTROL)[A-Z]*((?:\([^()]*\))*)(?:S:|$)", sddl)
    if not rules:
        return "has permissions that cannot be read"
    for rule in re.findall(r"\(([^()]*)\)", rules[1]):
        kind, flags, rights, _, _, who, *_ = rule.split(";") + [""] * 6
        applies = kind != "D" and "IO" not in re.findall("..", flags)
        if applies and who not in _TRUSTED and _mask(rights) & (_FOLDER_HARM if folder else _FILE_HARM):
            return f"can be changed by {who}"
    return ""


def _mask(rights: str) -> int:
    """The bits of `0x1200a9` or `FRFX`; what is not known counts as everything."""
    if rights.startswith("0x"):
        return int(rights, 16)
    mask = 0
    for code in re.findall("..?", rights):
        mask |= _RIGHTS.get(code, 0xFFFFFFFF)
    return mask


def _windows_objection(path: str) -> str:
    """Why the file does not count, in words, or "" if it does. Raises OSError as `trust.objection` does."""
    if os.path.normcase(os.path.realpath(path)) != os.path.normcase(path):
        return f"{path} leads elsewhere"
    way = [path]
    while os.path.dirname(way[0]) != way[0]:
        way.insert(0, os.path.dirname(way[0]))
    for here in way:
        reason = descriptor_objection(_descriptor(here), folder=here != path)
        if reason:
            return f"{here} {reason}"
    return ""


def _descriptor(path: str) -> str:
    """Owner and permissions of a file, as SDDL. Raises OSError."""
    if sys.platform != "win32":
        raise NotImplementedError
    import ctypes

    security, text = ctypes.c_void_p(), ctypes.c_wchar_p()
    api, free = ctypes.windll.advapi32, ctypes.windll.kernel32.LocalFree
    free.argtypes = [ctypes.c_void_p]
    wanted = 0x1 | 0x4  # OWNER_SECURITY_INFORMATION, DACL_SECURITY_INFORMATION
    failed = api.GetNamedSecurityInfoW(path, 1, wanted, None, None, None, None, ctypes.byref(security))
    if failed:
        raise OSError(failed, ctypes.FormatError(failed), path)
    try:
        if not api.ConvertSecurityDescriptorToStringSecurityDescriptorW(security, 1, wanted, ctypes.byref(text), None):
            raise ctypes.WinError()
        return text.value or ""
    finally:
        free(security)
        free(text)
