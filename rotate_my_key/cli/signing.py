"""The person who is asked for an MFA code or a device, and the devices that are set for a profile.

Loaded by commands that must start fast, so what touches AWS is imported only when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from ..core.errors import NeedsPerson
from .app import App
from .commands import CODE

if TYPE_CHECKING:
    from ..aws.signin import Serial
    from ..profiles.file import ProfilePaths
    from ..settings import Settings

_NEXT = "wait for the device's next code (up to 30 s)"


class Person:
    """`aws.mfa.Codes`: the code of the option, once; then the person at the terminal, if `asks`. One at a time."""

    def __init__(self, app: App, check: Callable[[], None], *, asks: bool = True) -> None:
        self._app = app
        self._check = check
        self._asks = asks
        self._option = app.mfa_code
        self._used: dict[str, set[str]] = {}
        self._lock = Lock()

    @property
    def given(self) -> bool:
        """See Codes."""
        return self._option is not None

    def code(self, whose: str, serial: str, complaint: str) -> str:
        """See Codes."""
        with self._lock:
            used = self._used.setdefault(serial, set())
            code, self._option = self._option, None
            if code is None:
                code = self._ask(whose, serial, complaint, used)
            used.add(code)
            return code

    def _ask(self, whose: str, serial: str, complaint: str, used: set[str]) -> str:
        if not self._asks or not self._app.terminal:
            raise self._unattended(whose, serial, complaint)
        if used:
            self._app.complain(f"{complaint or 'a code is good for one use'}; {_NEXT}")
        while True:
            code = "".join(self._app.line(f"MFA code for {whose} {serial}: ", self._check).split())
            if not CODE.fullmatch(code):
                self._app.complain("an MFA code has six digits")
            elif code in used:
                self._app.complain(f"that code was used already; {_NEXT}")
            else:
                return code

    def _unattended(self, whose: str, serial: str, complaint: str) -> NeedsPerson:
        command = f"{self._app.command} --mfa-code CODE"
        if complaint:
            return NeedsPerson(complaint, f"{_NEXT}, then: {command}")
        if self._app.mfa_code:
            return NeedsPerson(
                f"AWS wants an MFA code of {whose} {serial} too, and a code is good for one use",
                f"{_NEXT}, then one at a time: {self._app.command} -p NAME --mfa-code CODE",
            )
        return NeedsPerson(f"AWS wants an MFA code of {whose} {serial}", command)

    def choose(self, user: str, serials: Sequence[str]) -> str:
        """See Codes."""
        if not self._asks or not self._app.terminal:
            raise NeedsPerson(
                f"{user} has {len(serials)} MFA devices: {', '.join(serials)}",
                f"rotate-my-key config set mfa_serial {serials[0]}",
            )
        with self._lock:
            self._app.complain(f"{user} has {len(serials)} MFA devices (the setting mfa_serial chooses one):")
            for number, serial in enumerate(serials, start=1):
                self._app.complain(f"  {number}  {serial}")
            while True:
                answer = self._app.line(f"Which one shall give the code? [1-{len(serials)}] ", self._check).strip()
                if answer.isdecimal() and 1 <= int(answer) <= len(serials):
                    return serials[int(answer) - 1]


def mfa_serials(files: ProfilePaths, profile: str, settings: Settings) -> list[Serial]:
    """The devices that are set for a profile's key: the profile's own `mfa_serial`, that of another profile with the
    same key or of a role that is assumed with it, the setting."""
    from ..aws.signin import Serial
    from ..profiles.file import KEY_ID, Profiles

    merged = Profiles(files).merged

    def key_of(name: str) -> str | None:
        section = merged.get(name, {})
        return section.get(KEY_ID) or merged.get(section.get("source_profile", ""), {}).get(KEY_ID)

    key_id = key_of(profile)
    names = [profile, *(name for name in merged if key_id and name != profile and key_of(name) == key_id)]
    found = [(merged.get(name, {}).get("mfa_serial"), f"mfa_serial of profile {name}") for name in names]
    found.append((settings.mfa_serial, f"mfa_serial, {settings.origin['mfa_serial'].source}"))
    return [Serial(value, where) for value, where in found if value]
