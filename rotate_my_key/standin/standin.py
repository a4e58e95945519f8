"""`StandIn`: an AWS account that listens on 127.0.0.1, refuses what AWS refuses, and misbehaves when told to.

All verbs and attributes may be used at any time and from any thread, from `on_call` callbacks too. Each StandIn has a
random account number of its own; moto's state is one per process, split by account, so several may run side by side.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self

from moto.iam.models import User as MotoUser

from ..model import AccessKey, Credentials, LastUse
from . import policies
from .errors import Refused
from .front import Callback, Front
from .rules import Call, Denial, Fault, Kind, Reason, Rules, When
from .server import Server
from .sessions import Device, Role
from .world import Key, Settings


class StandIn:
    """A context manager; serves from `__enter__` (or `start`) to `__exit__` (or `stop`).

    `account` is its number; it stays, as the url does, over a `reset`.
    """

    def __init__(self) -> None:
        self.account = str(secrets.randbelow(9 * 10**11) + 10**11)
        self._front = Front(self.account)
        self._server: Server | None = None

    def start(self) -> Self:
        """Listen."""
        self._server = Server(lambda *call: self._front.respond(*call), lambda: self._front.world.now())
        return self

    def stop(self) -> None:
        """Listen no more; calls that hang are ended."""
        self._front.wake()
        if self._server:
            self._server.stop()
        self._server = None

    def reset(self) -> None:
        """Back to an empty account with default settings and no calls; connections are closed and counted anew."""
        self._front.wake()
        if self._server:
            self._server.hang_up()
        self._front = Front(self.account)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """For AWS_ENDPOINT_URL. Raises RuntimeError while it is not started."""
        if self._server is None:
            raise RuntimeError("the stand-in is not started")
        return self._server.url

    @property
    def connections(self) -> int:
        """How many TCP connections were opened."""
        return self._server.count if self._server else 0

    @property
    def settings(self) -> Settings:
        """How AWS behaves at the moment; `reset` puts new ones here."""
        return self._front.world.settings

    @property
    def calls(self) -> list[Call]:
        """What arrived so far, in order of arrival."""
        return self._front.calls

    # Users and keys. What is set up here is there at once; lags apply to what happens to it later.

    def add_user(self, name: str, path: str = "/", tags: Mapping[str, str] | None = None) -> MotoUser:
        """A new IAM user without keys; has `name`, `arn`, `id`, `path`."""
        with self._front.lock:
            return self._front.world.add_user(name, path, tags or {})

    def add_key(
        self, user_name: str | None, age: timedelta | None = None, status: str = "Active", use: LastUse | None = None
    ) -> Credentials:
        """A key of this user (of root, if None) that was made `age` ago, and how it was last used."""
        with self._front.lock:
            key = self._front.world.add_key(self._user(user_name), age or timedelta(0), status)
            if use:
                self._front.world.set_last_use(key, use)
            return key.pair

    def keys(self, user_name: str | None) -> list[AccessKey]:
        """What is true of a user's keys, whatever the lists show yet; oldest first."""
        with self._front.lock:
            return [key.shown(key.status) for key in self._front.world.keys_of(self._user(user_name))]

    def pair(self, key_id: str) -> Credentials:
        """A key with its secret, whoever made it. Raises KeyError."""
        return self._key(key_id).pair

    # MFA, sessions and roles

    def add_mfa(self, user_name: str, serial: str = "", *, shows_codes: bool = True) -> Device:
        """Give a user an MFA device: a virtual one, or a security key or passkey, which shows no codes.

        The device has `serial` (made up as AWS does, if none is given), `code` and `tick()`.
        """
        with self._front.lock:
            world = self._front.world
            count = len(world.devices[world.user(user_name).name])
            virtual = f"mfa/{user_name}" + (f"-{count + 1}" if count else "")
            made_up = virtual if shows_codes else f"u2f/user/{user_name}/key-{count + 1}ABCDEFGHIJKLMNOPQ"
            device = Device(serial or world.arn_of(made_up), world.now(), shows_codes)
            world.devices[user_name].append(device)
            return device

    def add_role(self, name: str, *, mfa: bool = False) -> str:
        """A role that everybody in the account may assume, with `mfa` only with a code; gives its ARN."""
        with self._front.lock:
            arn = self._front.world.arn_of(f"role/{name}")
            self._front.world.roles[arn] = Role(name, arn, mfa)
            return arn

    def role_session(self, role_arn: str, seconds: int = 3600) -> Credentials:
        """What SSO or AssumeRole would give for a role."""
        with self._front.lock:
            return self._front.world.open_session(None, seconds, role=self._front.world.roles[role_arn]).pair

    def end_sessions(self) -> None:
        """All sessions there are have expired."""
        with self._front.lock:
            for session in self._front.world.sessions.values():
                session.until = self._front.world.now()

    def demand_mfa(
        self, user: str | None = None, *, but: Collection[str] = ("ListMFADevices",), explicit: bool = True
    ) -> None:
        """Deny users all of IAM unless they signed in with MFA, but the actions in `but` (as a policy's NotAction).

        Without `explicit` it is an Allow with a condition that does not hold, and no Deny.
        """
        reason: Reason = "explicit" if explicit else "implicit"
        rule = Denial(action="*", reason=reason, user=user, unless_mfa=True, but=frozenset(but))
        with self._front.lock:
            self._front.rules.denials.append(rule)

    # What somebody else does to the account in the middle of things; lags apply.

    def create_key(self, user_name: str) -> Credentials:
        """As CreateAccessKey by another computer."""
        with self._front.lock:
            return self._front.world.create_key(self._user(user_name)).pair

    def set_status(self, key_id: str, status: str) -> None:
        """Active, Inactive or Expired."""
        with self._front.lock:
            self._front.world.set_status(self._key(key_id), status)

    def delete_key(self, key_id: str) -> None:
        """As DeleteAccessKey by somebody else."""
        with self._front.lock:
            self._front.world.delete_key(self._key(key_id))

    def set_last_use(self, key_id: str, use: LastUse) -> None:
        """What GetAccessKeyLastUsed says, until a later call shows."""
        with self._front.lock:
            self._front.world.set_last_use(self._key(key_id), use)

    def _user(self, name: str | None) -> MotoUser | None:
        return None if name is None else self._front.world.user(name)

    def _key(self, key_id: str) -> Key:
        try:
            return self._front.world.key(key_id)
        except Refused:
            raise KeyError(key_id) from None

    # What goes wrong

    def fault(
        self,
        action: str,
        kind: Kind,
        when: When = "before",
        times: int | None = 1,
        *,
        skip: int = 0,
        key_id: str | None = None,
        seconds: float = 3600,
        status: int = 200,
    ) -> None:
        """Spoil the answers of an action ("*": any), `times` times or for good (None), after `skip` good ones.

        `when`: "before" it is carried out, so it is not, or "after" it was (refused calls are not counted then).
        Kinds: "throttle" (Throttling, 400), "500", "503", "html" and "xhtml" (a captive portal's page with `status`;
        the second is well-formed XML), "reset" (TCP RST), "drop" (closed without an answer), "cut" (half an answer),
        "hang" (no answer for `seconds` or until `all_well`, then "drop"), "slow" (answered as usual, `seconds` late).
        """
        rule = Fault(
            action=action, kind=kind, when=when, times=times, skip=skip, key_id=key_id, seconds=seconds, status=status
        )
        with self._front.lock:
            self._front.rules.faults.append(rule)

    def deny(
        self,
        action: str,
        times: int | None = None,
        explicit: bool = False,
        quarantine: bool = False,
        *,
        skip: int = 0,
        key_id: str | None = None,
        user: str | None = None,
    ) -> None:
        """Answer AccessDenied for an action ("*": any), `times` times or for good (None).

        `explicit`: a policy has a Deny, as those that demand MFA have; `quarantine`: AWSCompromisedKeyQuarantineV3 has.
        GetCallerIdentity cannot be denied at AWS, so "*" leaves it out, and naming it raises ValueError.
        """
        if action == "GetCallerIdentity":
            raise ValueError("AWS answers GetCallerIdentity whatever the policies say")
        reason: Reason = "quarantine" if quarantine else "explicit" if explicit else "implicit"
        rule = Denial(action=action, times=times, skip=skip, key_id=key_id, reason=reason, user=user)
        with self._front.lock:
            self._front.rules.denials.append(rule)

    def attach_policy(self, user_name: str, document: policies.Document) -> None:
        """Give a user an identity policy; from then on he may do only what his policies allow, until `reset`.

        Raises ValueError for what policies.py does not understand.
        """
        policies.check(document)
        with self._front.lock:
            self._front.documents.setdefault(self._front.world.user(user_name).name, []).append(document)

    def all_well(self) -> None:
        """Take back all faults and denials; calls that hang are ended."""
        with self._front.lock:
            self._front.rules = Rules()
        self._front.wake()

    def on_call(self, callback: Callback, when: When = "before", action: str = "*") -> None:
        """Run `callback(call)` for each call of an action ("*": any).

        "before": nothing was done about it yet (with a fault "drop" nothing will be); "after": it was carried out or
        refused, and is not answered yet. It may take its time: other calls go on meanwhile.
        """
        with self._front.lock:
            self._front.callbacks.append((when, action, callback))
