"""`Account`: the verbs on one account of a stand-in, for whoever sets it up or meddles with it.

All may be used at any time and from any thread. Those of the main account stand on `StandIn` itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moto.backends import get_backend
from moto.iam.models import User as MotoUser

from rotate_my_key.core.model import AccessKey, Credentials, LastUse

from . import policies, services
from .errors import Refused
from .iam import check_tags
from .services import Mail, Object, Published, Secret
from .sessions import Device, Role

if TYPE_CHECKING:
    from .front import Front
    from .world import Key, World


class Account:
    """One account, by its number; after a `reset` of the stand-in it raises KeyError."""

    _front: Front

    def __init__(self, number: str) -> None:
        self.account = number

    @property
    def _world(self) -> World:
        return self._front.organization.worlds[self.account]

    # Users and keys. What is set up here is there at once; lags apply to what happens to it later.

    def add_user(
        self,
        name: str,
        path: str = "/",
        tags: Mapping[str, str] | None = None,
        *,
        password: bool = False,
        signed_in: datetime | None = None,
        groups: Iterable[str] = (),
        age: timedelta = timedelta(days=400),
    ) -> MotoUser:
        """A new IAM user without keys; has `name`, `arn`, `id`, `path`.

        `password`: whether he has one, `signed_in`: when he last used it (None: never). Groups are made if need be.
        """
        with self._front.lock:
            user = self._world.add_user(name, path, tags or {}, age)
            if password or signed_in:
                user.password = secrets.token_urlsafe()
                user.password_last_used = signed_in  # type: ignore[assignment]  # moto's own is always None
            for group in groups:
                self._join(group, [name])
            return user

    def add_group(self, name: str, members: Iterable[str] = ()) -> None:
        """A group with these users; or more users for one that is there."""
        with self._front.lock:
            self._join(name, members)

    def _join(self, group: str, members: Iterable[str]) -> None:
        iam = self._world.iam
        if group not in iam.groups:
            iam.create_group(group)
        for member in members:
            iam.groups[group].users.append(self._world.user(member))

    def tags(self, user_name: str) -> dict[str, str]:
        """A user's tags as they are now."""
        with self._front.lock:
            return self._world.tags(self._world.user(user_name))

    def set_tags(self, user_name: str, tags: Mapping[str, str]) -> None:
        """As if somebody had tagged the user: they are added or changed. Raises Refused for what AWS refuses."""
        check_tags(list(tags.items()))
        with self._front.lock:
            arn = self._world.user(user_name).arn
            self._world.iam.tagger.tag_resource(arn, [{"Key": key, "Value": value} for key, value in tags.items()])

    def delete_user(self, name: str) -> None:
        """The user and his keys are gone at once."""
        with self._front.lock:
            user = self._world.user(name)
            for key in self._world.keys_of(user):
                self._world.delete_key(key)
            for group in self._world.iam.groups.values():
                group.users = [member for member in group.users if member is not user]
            self._world.iam.tagger.delete_all_tags_for_resource(user.arn)
            del self._world.iam.users[name]

    def add_key(
        self, user_name: str | None, age: timedelta | None = None, status: str = "Active", use: LastUse | None = None
    ) -> Credentials:
        """A key of this user (of root, if None) that was made `age` ago, and how it was last used."""
        with self._front.lock:
            key = self._world.add_key(self._user(user_name), age or timedelta(0), status)
            if use:
                self._world.set_last_use(key, use)
            return key.pair

    def keys(self, user_name: str | None) -> list[AccessKey]:
        """What is true of a user's keys, whatever the lists show yet; oldest first."""
        with self._front.lock:
            return [key.shown(key.status) for key in self._world.keys_of(self._user(user_name))]

    def pair(self, key_id: str) -> Credentials:
        """A key with its secret, whoever made it. Raises KeyError."""
        return self._key(key_id).pair

    # MFA, sessions and roles

    def add_mfa(self, user_name: str | None, serial: str = "", *, shows_codes: bool = True) -> Device:
        """Give a user (root, if None) an MFA device: a virtual one, or a security key or passkey, which shows no codes.

        The device has `serial` (made up as AWS does, if none is given), `code` and `tick()`.
        """
        with self._front.lock:
            world = self._world
            name = world.user(user_name).name if user_name else ""
            count = len(world.devices[name])
            virtual = f"mfa/{user_name or 'root-account-mfa-device'}" + (f"-{count + 1}" if count else "")
            made_up = virtual if shows_codes else f"u2f/user/{user_name}/key-{count + 1}ABCDEFGHIJKLMNOPQ"
            device = Device(serial or world.arn_of(made_up), world.now(), shows_codes)
            world.devices[name].append(device)
            return device

    def add_role(self, name: str, *, mfa: bool = False, external_id: str = "", trusts: Iterable[str] = ()) -> str:
        """A role that may be assumed from this account and from the main one; gives its ARN.

        With `mfa` only with a code, with `external_id` only with that. `trusts`: account numbers, or ARNs of users and
        roles, who alone may assume it.
        """
        with self._front.lock:
            arn = self._world.arn_of(f"role/{name}")
            trusted = tuple(trusts) or (self.account, self._front.world.account)
            self._world.roles[arn] = Role(name.rpartition("/")[2], arn, mfa, trusted, external_id)
            return arn

    def role_session(self, role_arn: str, seconds: int = 3600) -> Credentials:
        """What SSO or AssumeRole would give for a role."""
        with self._front.lock:
            return self._world.open_session(None, seconds, role=self._world.roles[role_arn]).pair

    def user_session(self, name: str, seconds: int = 3600) -> Credentials:
        """What GetSessionToken gives to a user."""
        with self._front.lock:
            return self._world.open_session(self._user(name), seconds).pair

    def end_sessions(self) -> None:
        """All sessions there are have expired."""
        with self._front.lock:
            for session in self._world.sessions.values():
                session.until = self._world.now()

    # What somebody else does to the account in the middle of things; lags apply.

    def create_key(self, user_name: str) -> Credentials:
        """As CreateAccessKey by another computer."""
        with self._front.lock:
            return self._world.create_key(self._user(user_name)).pair

    def set_status(self, key_id: str, status: str) -> None:
        """Active, Inactive or Expired."""
        with self._front.lock:
            self._world.set_status(self._key(key_id), status)

    def delete_key(self, key_id: str) -> None:
        """As DeleteAccessKey by somebody else."""
        with self._front.lock:
            self._world.delete_key(self._key(key_id))

    def set_last_use(self, key_id: str, use: LastUse) -> None:
        """What GetAccessKeyLastUsed says, until a later call shows."""
        with self._front.lock:
            self._world.set_last_use(self._key(key_id), use)

    def _user(self, name: str | None) -> MotoUser | None:
        return None if name is None else self._world.user(name)

    def _key(self, key_id: str) -> Key:
        try:
            return self._world.key(key_id)
        except Refused:
            raise KeyError(key_id) from None

    # Rights

    def attach_policy(self, name: str, document: policies.Document) -> None:
        """Give a user, or a role by its ARN, an identity policy; from then on his policies alone say what he may do.

        Raises ValueError for what policies.py does not understand, KeyError for a role that is not there.
        """
        policies.check_identity_policy(document)
        with self._front.lock:
            arn = self._world.roles[name].arn if ":role/" in name else str(self._world.user(name).arn)
            self._world.documents.setdefault(arn, []).append(document)

    def allow(self, name: str, *actions: str, resource: object = "*") -> None:
        """Let a user, or a role by its ARN, do this."""
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
        self.attach_policy(name, {"Version": "2012-10-17", "Statement": [statement]})

    def detach_policies(self, name: str) -> None:
        """Take all policies of a user, or of a role by its ARN, away again."""
        with self._front.lock:
            self._world.documents.pop(name if ":role/" in name else str(self._world.user(name).arn), None)

    # What it has besides users. A region of "" means: in all regions that tests look into.

    def verify(self, identity: str, region: str = "") -> None:
        """SES may send from this address or domain, and to it in the sandbox (`settings.ses_sandbox`)."""
        for each in services.regions(region):
            identities = services.moto(self._world, "ses", each)
            identities.create_email_identity_v2(identity, None, None, None).verified_for_sending_status = True

    @property
    def mails(self) -> list[Mail]:
        """What SES took, in order."""
        return self._world.mails

    def add_topic(self, name: str, region: str = "us-east-1") -> str:
        """A topic of SNS; gives its ARN."""
        return str(services.moto(self._world, "sns", region).create_topic(name).arn)

    @property
    def published(self) -> list[Published]:
        """What SNS took, in order."""
        return self._world.published

    def add_parameter(
        self, name: str, value: str, *, secure: bool = False, kms_key: str = "", region: str = ""
    ) -> None:
        """A parameter of SSM, or another value for it; `secure`: a SecureString."""
        kind = "SecureString" if secure else "String"
        for each in services.regions(region):
            backend = services.moto(self._world, "ssm", each)
            backend.put_parameter(name, "", value, kind, "", kms_key, True, [], "text", None, None)

    def add_secret(
        self,
        name: str,
        value: str | None,
        tags: Mapping[str, str] | None = None,
        *,
        kms_key: str = "",
        region: str = "eu-west-1",
    ) -> str:
        """A secret of Secrets Manager, without a value if that is None; gives its ARN."""
        listed = [{"Key": key, "Value": text} for key, text in (tags or {}).items()]
        backend = services.moto(self._world, "secretsmanager", region)
        backend.create_secret(name, value, None, None, listed, kms_key or None, None, [], False)
        return str(backend.secrets[name].arn)

    @property
    def secrets(self) -> dict[str, Secret]:
        """All secrets by name, those marked for deletion too."""
        backends = get_backend("secretsmanager")[self.account].values()
        return {secret.name: Secret(secret) for backend in list(backends) for secret in backend.secrets.values()}

    def add_bucket(self, name: str) -> None:
        """A bucket of S3."""
        services.moto(self._world, "s3", "").create_bucket(name, "us-east-1")

    def objects(self, bucket: str) -> dict[str, Object]:
        """What is in a bucket, by name. Raises KeyError."""
        keys = services.moto(self._world, "s3", "").buckets[bucket].keys
        return {str(name): Object(key) for name, key in keys.items()}

    def add_log_group(self, name: str, region: str = "") -> None:
        """A group of CloudWatch Logs."""
        for each in services.regions(region):
            services.moto(self._world, "logs", each).create_log_group(name, {})

    def log_lines(self, group: str, region: str = "") -> list[str]:
        """All messages in a group, stream by stream. Raises KeyError."""
        groups = (services.moto(self._world, "logs", each).groups[group] for each in services.regions(region))
        streams = [stream for found in groups for stream in sorted(found.streams.items())]
        return [event.message for _, stream in streams for event in stream.events]

    # The credential report

    def ask_for_report(self) -> None:
        """As if somebody had asked already: it need not be waited for."""
        with self._front.lock:
            self._world.reports.generate()

    def age_report(self, by: timedelta) -> None:
        """The account's credential report was made so much earlier. Raises ValueError if none was asked for yet."""
        with self._front.lock:
            self._world.reports.age(by)
