"""The way to AWS under one set of settings: one client a service and region, connections, and signing call by call.

- Clients hold no credentials. Each call is signed with the pair it brings (botocore's `request_credentials`), so
  botocore never looks for any: not in files, not by running processes, not at the metadata service.
- Requests leave through `lanes` (`wire`, event before-send), which see every answer first: for its Date, and for web
  pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any, TypeVar

from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.session import Session

from ..errors import Problem, WrongUsage
from ..model import Credentials, Identity
from . import endpoints
from .bounded import Limits
from .clock import AwsClock
from .errors import configuration
from .failures import FAILURES, NotAws
from .lanes import Lane, Lanes, Tls
from .wire import Call, calling

# botocore logs whole answers at DEBUG, new secrets included.
logging.getLogger("botocore").setLevel(logging.WARNING)

FALLBACK_REGION = "us-east-1"  # where none is set anywhere; IAM has one endpoint in a partition, any STS will do
_A_REGION = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
# IAM, STS and Organizations are global: their answers are the same wherever they are asked.
_GLOBAL = {"iam", "sts", "organizations"}
# Answers that may be longer than others, in bytes: a report has a line for each of thousands of users, a page of a list
# a thousand of them, and what is sealed in a bucket is of any size that a person chose.
_LONG = {"GetCredentialReport": 16 << 20, "ListUsers": 4 << 20, "GetGroup": 4 << 20, "ListObjectsV2": 4 << 20}
_LONG |= {"GetObject": 16 << 20}

T = TypeVar("T")
Read = Callable[[Mapping[str, Any]], T]


@dataclass(frozen=True, slots=True)
class Shared:
    """What all links have in common. `lock`: botocore's sessions are not safe to make clients in two threads.

    `endpoint_url` overrides whatever the settings say, "" for no.
    """

    lock: RLock
    clock: AwsClock
    monotonic: Callable[[], float]
    config: Config
    endpoint_url: str
    limits: Limits
    environ: Mapping[str, str]


class Link:
    """Clients and connections for the settings of `session`, which is prepared. Safe to share between threads.

    `region` goes before the one that environment or profile say.
    """

    def __init__(self, shared: Shared, session: Session, tls: Tls, region: str = "") -> None:
        self._shared = shared
        self._session = session
        self._tls = tls
        self._region = region
        self._clients: dict[str, BaseClient] = {}
        self._lanes: dict[str, Lanes] = {}
        self._others: dict[str, Link] = {}

    def at(self, region: str) -> Link:
        """The same way in another region; "" is this one."""
        if region in ("", self.region):
            return self
        with self._shared.lock:
            if region not in self._others:
                self._others[region] = Link(self._shared, self._session, self._tls, region)
            return self._others[region]

    def within(self, partition: str) -> Link:
        """The same way, in a region of this partition if none is set; "" is this one."""
        return self if self.region else self.at(_A_REGION.get(partition, ""))

    def client(self, service: str) -> BaseClient:
        """The one client of a service ("iam", "sesv2"), made when first asked for (7 to 60 ms each).

        Raises Problem for settings that cannot be used, and for plain http to another computer; WrongUsage for a
        service that has its data in a region, where none is set.
        """
        found = self._clients.get(service)
        if found is None:
            with self._shared.lock:
                found = self._clients.get(service) or self._open(service)
        return found

    def _open(self, service: str) -> BaseClient:
        if not self.region and service not in _GLOBAL:
            raise WrongUsage(f"no region is set, and {service} needs one", "set AWS_DEFAULT_REGION=eu-west-1, or yours")
        try:
            client = self._make(service, self._shared.config)
            if service == "s3":
                client = self._make(service, _for_s3(self._shared.config, self.is_own(client.meta.endpoint_url, "s3")))
        except (*FAILURES, ValueError) as error:
            failure = error
        else:
            url = client.meta.endpoint_url
            endpoints.check(url)
            self._lanes[service] = self.lanes_to(url)
            self._clients[service] = client
            return client
        raise configuration(
            failure, self._shared.environ, self._session.get_scoped_config(), self._session.profile or "default"
        )

    def _make(self, service: str, config: Config) -> BaseClient:
        return self._session.create_client(
            service,
            region_name=self.region or FALLBACK_REGION,
            endpoint_url=self._shared.endpoint_url or None,
            aws_access_key_id="none",  # else botocore would look for credentials
            aws_secret_access_key="none",  # noqa: S106 - signs nothing: see _sign_with_pair
            config=config,
        )

    def lanes(self, service: str) -> Lanes:
        """The connections to a service."""
        self.client(service)
        return self._lanes[service]

    def lanes_to(self, url: str) -> Lanes:
        """Connections to another host, with the TLS context and the proxies that are in force here."""
        return Lanes(url, self._tls, self._shared.monotonic, self._shared.limits)

    def call(
        self,
        action: str,
        pair: Credentials,
        lane: Lane,
        read: Read[T],
        params: Mapping[str, Any],
        read_timeout: float | None = None,
    ) -> T:
        """Send "iam:GetUser" or the like, once, and give what `read` makes of the answer. Raises one of FAILURES; the
        timeout is in seconds.

        The answer may say anything: whatever botocore or `read` make of it, it ends as NotAws.
        """
        service, name = action.split(":")
        client = self.client(service)
        protocol = str(client.meta.service_model.protocol)
        call = Call(pair, lane, read_timeout, self._shared.clock, name, protocol, _LONG.get(name, 0))
        try:
            with calling(call):
                return read(getattr(client, xform_name(name))(**params))
        except (*FAILURES, Problem):
            raise
        except Exception:
            if not call.status:  # nothing has come yet, so this is a fault of ours
                raise
        raise NotAws(call.status)

    def presign(self, pair: Credentials, method: str, seconds: int, **params: Any) -> str:
        """A URL of S3 that is signed with this pair and is good for so long; nothing is sent. Raises FAILURES."""
        client = self.client("s3")
        with (
            self.lanes("s3").borrow() as lane,
            calling(Call(pair, lane, None, self._shared.clock, "GetObject", "rest-xml")),
        ):
            return str(client.generate_presigned_url(method, Params=params, ExpiresIn=seconds))  # type: ignore[attr-defined]

    @property
    def region(self) -> str | None:
        """The region that was given, or that environment or profile say, if they do."""
        region: str | None = self._region or self._session.get_config_variable("region")
        return region

    def url(self, service: str) -> str:
        """Where a service is."""
        return str(self.client(service).meta.endpoint_url)

    @property
    def endpoint(self) -> str:
        """Which AWS this is, for the note: the partition ("aws"), or the endpoints where they are not AWS's own."""
        return " ".join(self.foreign) or str(self.client("iam").meta.partition)

    @property
    def foreign(self) -> tuple[str, ...]:
        """The endpoints (URLs) that are not AWS's own; the person should be told before anything is sent there."""
        urls = {self.url(service): service for service in ("iam", "sts")}
        return tuple(url for url, service in urls.items() if not self.is_own(url, service))

    def is_own(self, url: str, service: str) -> bool:
        """Whether this is an endpoint of AWS itself for a service."""
        partitions = self._session.get_component("data_loader").load_data("partitions")["partitions"]
        suffixes = {part["outputs"][name] for part in partitions for name in ("dnsSuffix", "dualStackDnsSuffix")}
        return endpoints.is_own(url, service, suffixes)

    def check_partition(self, identity: Identity) -> None:
        """The key's partition must be that of the region in force; where no region is set there is nothing to compare.

        Raises Problem.
        """
        theirs, here = identity.partition, str(self.client("iam").meta.partition)
        if self.region and theirs != here:
            raise Problem(
                f"the key belongs to an account of {theirs}, and the region in force, {self.region}, to {here}",
                f"set a region of {theirs} in the profile (aws configure set region {_A_REGION.get(theirs, 'REGION')})",
            )

    def close(self) -> None:
        """Drop all connections that are not in use."""
        for lanes in self._lanes.values():
            lanes.close()
        for link in self._others.values():
            link.close()


def _for_s3(config: Config, own: bool) -> Config:
    """Elsewhere than at AWS a bucket is seldom a host name. A URL signed for the regional host is good at once, and
    checksums that S3 does not demand are unknown to others. Signature 2, the default for URLs, knows no KMS."""
    return config.merge(
        Config(
            signature_version="s3v4",
            s3={"addressing_style": "virtual" if own else "path", "us_east_1_regional_endpoint": "regional"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
    )
