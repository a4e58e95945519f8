"""`Resources`: the verbs on what an account has besides users, for whoever sets it up or looks at what became of it.

A region of "" means: found wherever it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .cloud import Mail, Object, Parameter, Published, Secret, find

if TYPE_CHECKING:
    from .front import Front
    from .world import World


class Resources:
    """Mail, topics, parameters, secrets, objects and logs of an account."""

    _front: Front

    @property
    def _world(self) -> World:
        raise NotImplementedError

    def verify(self, identity: str, region: str = "") -> None:
        """SES may send from this address or domain, and to it in the sandbox (`settings.ses_sandbox`)."""
        with self._front.lock:
            self._world.cloud.identities[region, identity] = True

    @property
    def mails(self) -> list[Mail]:
        """What SES took, in order."""
        return self._world.cloud.mails

    def add_topic(self, name: str, region: str = "us-east-1") -> str:
        """A topic of SNS; gives its ARN."""
        from . import sns

        with self._front.lock:
            arn = sns.topic_arn(self._world, region, name)
            self._world.cloud.topics.add(arn)
            return arn

    @property
    def published(self) -> list[Published]:
        """What SNS took, in order."""
        return self._world.cloud.published

    def add_parameter(
        self, name: str, value: str, *, secure: bool = False, kms_key: str = "", region: str = ""
    ) -> None:
        """A parameter of SSM, or another value for it; `secure`: a SecureString."""
        kind = "SecureString" if secure else "String"
        with self._front.lock:
            made = Parameter(name, value, kind, self._world.now(), kms_key=kms_key)
            self._world.cloud.parameters[region, name] = made

    def add_secret(
        self,
        name: str,
        value: str | None,
        tags: Mapping[str, str] | None = None,
        *,
        kms_key: str = "",
        region: str = "",
    ) -> str:
        """A secret of Secrets Manager, without a value if that is None; gives its ARN."""
        from . import secretsmanager

        with self._front.lock:
            secret = secretsmanager.add(self._world, region, name, tags or {}, kms_key)
            secret.value, secret.version = value, "1" * 32
            return secret.arn

    @property
    def secrets(self) -> dict[str, Secret]:
        """All secrets by name, those marked for deletion too; each has `value`, `policy`, `tags`, `deleted`."""
        with self._front.lock:
            return {secret.name: secret for secret in self._world.cloud.secrets.values()}

    def add_bucket(self, name: str) -> None:
        """A bucket of S3."""
        with self._front.lock:
            self._world.cloud.buckets.setdefault(name, {})

    def objects(self, bucket: str) -> dict[str, Object]:
        """What is in a bucket, by name; each has `body`, `at`, `encryption`, `kms_key`. Raises KeyError."""
        with self._front.lock:
            return dict(self._world.cloud.buckets[bucket])

    def add_log_group(self, name: str, region: str = "") -> None:
        """A group of CloudWatch Logs."""
        with self._front.lock:
            self._world.cloud.logs[region, name] = {}

    def log_lines(self, group: str, region: str = "") -> list[str]:
        """All messages in a group, stream by stream. Raises KeyError."""
        with self._front.lock:
            streams = find(self._world.cloud.logs, region, group)
            if streams is None:
                raise KeyError(group)
            return [message for _, events in sorted(streams.items()) for _, message in events]
