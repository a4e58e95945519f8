"""MFA sessions: which device, one code, and the temporary credentials that carry a whole rotation.

One session a user and run, whichever profiles and notes lead to that user; it lives in memory only. Nothing here
prompts: codes and choices come through `Codes`. A code is good for one use, and a session lives on after the key that
made it (STS API reference, GetSessionToken).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Protocol

from ..errors import CodeRefused, Denied, NeedsPerson, Problem
from ..model import Credentials, Identity
from . import answers
from .calls import Calls, Signers
from .failures import is_certain

_SECONDS = 3600  # a rotation takes minutes; 900 is the least that AWS gives
_TRIES = 3
_SERIAL = re.compile(r"[\w+=/:,.@-]{9,256}", re.ASCII)  # STS API reference, GetSessionToken
_ARN = re.compile(r"arn:[\w-]+:iam::(\d+):(\w+)/.*", re.ASCII)


class Codes(Protocol):
    """Who gives the codes: a person, or an option on the command line. Safe to use from several threads."""

    @property
    def given(self) -> bool:
        """Whether a code came with the command and was not used yet: somebody expects that MFA is wanted."""

    def code(self, whose: str, serial: str, complaint: str) -> str:
        """The six digits. `whose` is like "alice's device"; `complaint`: what was wrong with the last one.

        Raises NeedsPerson where nobody can be asked, Interrupted.
        """

    def choose(self, user: str, serials: Sequence[str]) -> str:
        """Which of the user's devices shall give the code. Raises NeedsPerson."""


@dataclass(frozen=True, slots=True)
class Serial:
    """The serial number of a device, an ARN for a virtual one, and where it is set: "mfa_serial of profile work"."""

    value: str
    where: str


Serials = Callable[[], Sequence[Serial]]


class MfaSessions:
    """The sessions of one run. Safe to share between threads; one code is asked for at a time."""

    def __init__(self, codes: Codes, seconds: int = _SECONDS, command: str = "rotate-my-key rotate") -> None:
        """`seconds`: how long a session lasts. `command` is the one to repeat, for hints."""
        self._codes = codes
        self._seconds = seconds
        self._command = command
        self._sessions: dict[Identity, Credentials] = {}
        self._renewed: set[Identity] = set()
        self._lock = RLock()

    def of(self, user: Identity) -> Credentials | None:
        """The session of that user, if one was opened."""
        return self._sessions.get(user)

    @property
    def expected(self) -> bool:
        """Whether a code came with the command and was not used yet."""
        return self._codes.given

    def may_help(self, denied: Denied, user: Identity, serials: Serials) -> bool:
        """Whether this denial looks like one for want of MFA.

        A Deny in the user's own policy does. An action that is just not allowed, or that is denied to a whole company,
        does only where a device is set for this user or a code came with the command.
        """
        if denied.quarantined:
            return False
        return denied.mfa or self._codes.given or bool(_fitting(serials(), user))

    def open(
        self,
        user: Identity,
        own: Signers,
        calls: Calls,
        serials: Serials,
        refused: float,
        bad: Credentials | None,
        *,
        denied: bool = True,
    ) -> None:
        """Make a session for the user, asking for a code; nothing is done if another thread has just made one.

        `own` signs, for `refused` see Calls.call. `bad` is the session that AWS refused: it is replaced, once.
        `denied`: AWS has said no; else a code came with the command.
        Raises NeedsPerson: no device, several, one that shows no codes, a wrong code, nobody to ask.
        """
        with self._lock:
            if self._sessions.get(user) not in (None, bad):
                return
            if bad is not None and user in self._renewed:
                raise NeedsPerson(f"AWS has refused two MFA sessions of {user.user}", "repeat the command later")
            device = self._device(user, own, calls, serials, denied)
            complaint = "AWS has ended the MFA session" if bad else ""
            self._sessions[user] = self._session(user, device, own, calls, refused, complaint)
            self._renewed |= {user} if bad else set()

    def _session(
        self, user: Identity, device: Serial, own: Signers, calls: Calls, refused: float, complaint: str
    ) -> Credentials:
        for _ in range(_TRIES):
            code = self._codes.code(f"{user.user}'s device", device.value, complaint)
            params: dict[str, str | int] = {
                "SerialNumber": device.value,
                "TokenCode": code,
                "DurationSeconds": self._seconds,
            }
            try:
                # A code whose answer was lost may be used up, so it is not sent again.
                return calls.call(
                    "sts:GetSessionToken", own, answers.session, params, refused=refused, again=is_certain
                )
            except CodeRefused as problem:
                if problem.device:
                    raise _not_the_users(user, device) from None
                complaint = problem.message
        raise NeedsPerson(
            f"AWS did not accept {_TRIES} codes of {user.user}'s device {device.value}",
            "check the clock of the device, wait for its next code, then repeat the command",
        )

    def _device(self, user: Identity, own: Signers, calls: Calls, serials: Serials, denied: bool) -> Serial:
        """The profile's or the setting's device, else what AWS lists."""
        fitting = _fitting(serials(), user)
        if not fitting:
            return self._listed(user, own, calls, denied)
        found = fitting[0]
        if not _SERIAL.fullmatch(found.value):
            raise NeedsPerson(
                f"{found.value!r} ({found.where}) is not an MFA device", "it looks like " + _example(user)
            )
        if not _shows_codes(found.value):
            raise _no_codes(user, f"the MFA device {found.value} ({found.where})", self._command)
        return found

    def _listed(self, user: Identity, own: Signers, calls: Calls, denied: bool) -> Serial:
        try:
            listed = calls.call("iam:ListMFADevices", own, answers.devices, {"UserName": user.user})
        except Denied:
            raise NeedsPerson(
                f"AWS wants MFA for this, and may not tell which device is {user.user}'s",
                f"rotate-my-key config set mfa_serial {_example(user)} (the console shows it: security credentials)",
            ) from None
        able = [serial for serial in listed if _shows_codes(serial)]
        if not listed:
            why = "a policy forbids this, probably for want of MFA" if denied else "a code was given"
            raise NeedsPerson(
                f"{why}, and {user.user} has no MFA device",
                "register one in the console (security credentials), or sign in another way: "
                f"{self._command} --auth-profile NAME",
            )
        if not able:
            raise _no_codes(user, f"{user.user}'s MFA device", self._command)
        return Serial(able[0] if len(able) == 1 else self._codes.choose(user.user, able), "ListMFADevices")


def even_with_mfa(denied: Denied) -> Denied:
    """The same denial, of a call that was signed with MFA."""
    if denied.quarantined:
        return denied
    return Denied(
        f"{denied.message}, even with MFA",
        "ask IT for the rights that this prints: rotate-my-key policy self-mfa",
        action=denied.action,
        explicit=denied.explicit,
    )


def _fitting(serials: Sequence[Serial], user: Identity) -> list[Serial]:
    """Without those that belong to another account: a setting is for all profiles. (Hardware tokens have no ARN.)"""
    arns = ((serial, _ARN.fullmatch(serial.value)) for serial in serials)
    return [serial for serial, arn in arns if arn is None or arn[1] == user.account]


def _shows_codes(serial: str) -> bool:
    """Security keys and passkeys have the ARN `...:u2f/user/NAME/...`, whatever they are called."""
    arn = _ARN.fullmatch(serial)
    return arn is None or arn[2] != "u2f"


def _example(user: Identity) -> str:
    return f"arn:{user.partition}:iam::{user.account}:mfa/{user.user}"


def _no_codes(user: Identity, which: str, command: str) -> Problem:
    return NeedsPerson(
        f"AWS wants MFA for this, and {which} is a security key or passkey, which cannot give a code",
        f"sign in another way (SSO, a role) and name that profile: {command} --auth-profile NAME",
    )


def _not_the_users(user: Identity, device: Serial) -> Problem:
    return NeedsPerson(
        f"AWS does not know {device.value} ({device.where}) as an MFA device of {user.user}",
        f"set the right one, as the console shows it: rotate-my-key config set mfa_serial {_example(user)}",
    )
