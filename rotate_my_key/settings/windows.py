"""Windows's answer to `trust`: who owns a file and who may change it.

A security descriptor is asked for in the text form that the system itself gives (SDDL), so that all but the asking can
be tested anywhere. https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format
"""

from __future__ import annotations

import os
import re
import sys

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


def objection(path: str) -> str:
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
