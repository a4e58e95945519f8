"""The way to STS and IAM under one set of settings: two clients, their connections, and signing call by call.

- Clients hold no credentials. Each call is signed with the pair it brings (botocore's `request_credentials`), so
  botocore never looks for any: not in files, not by running processes, not at the metadata service.
- Requests leave through `lanes` (event before-send), which see every answer first: for its Date, and for web pages.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.session import Session
from botocore.utils import get_environ_proxies

from ..errors import Problem
from ..model import Credentials, Identity
from .clock import AwsClock
from .errors import configuration
from .failures import FAILURES, NotAws
from .lanes import Lane, Lanes, Tls

# botocore logs whole answers at DEBUG, new secrets included.
logging.getLogger("botocore").setLevel(logging.WARNING)

FALLBACK_REGION = "us-east-1"  # where none is set anywhere; IAM has one endpoint in a partition, any STS will do
_A_REGION = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_AWS_ROOT = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<(\w+:)?\w+Response[\s>]")
_PAGE = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<(!doctype\s+)?html", re.IGNORECASE)


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


@dataclass(frozen=True, slots=True)
class _Call:
    """What a request on its way in this thread needs from us."""

    pair: Credentials
    lane: Lane
    read_timeout: float | None
    clock: AwsClock


_CALL: ContextVar[_Call] = ContextVar("call")


def _sign_with_pair(context: dict[str, Any], **_: Any) -> None:
    """before-call: botocore/signers.py takes the credentials from the request's context if there are any."""
    call = _CALL.get()
    credentials = BotoCredentials(call.pair.key_id, call.pair.secret, call.pair.token)
    context.setdefault("signing", {})["request_credentials"] = credentials
    if call.read_timeout is not None:
        context["read_timeout"] = call.read_timeout


def _send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
    """before-send: what a handler gives is taken for the answer. Raises NotAws and botocore's HTTP errors."""
    call = _CALL.get()
    response = call.lane.send(request)
    body = response.content
    if not _AWS_ROOT.match(body):
        raise NotAws(response.status_code, page=bool(_PAGE.match(body)))
    call.clock.heard(response.headers.get("Date", ""))
    return response


class Link:
    """Clients and connections for the settings of `session`. Safe to share between threads."""

    def __init__(self, shared: Shared, session: Session, tls: Tls) -> None:
        session.register("before-call", _sign_with_pair)  # type: ignore[arg-type]
        session.register("before-send", _send)  # type: ignore[arg-type]
        self._shared = shared
        self._session = session
        self._tls = tls
        self._clients: dict[str, BaseClient] = {}
        self._lanes: dict[str, Lanes] = {}

    def client(self, service: str) -> BaseClient:
        """The one client of "sts" or "iam", made when first asked for (some 15 ms each).

        Raises Problem for settings that cannot be used, and for plain http to another computer.
        """
        found = self._clients.get(service)
        if found is None:
            with self._shared.lock:
                found = self._clients.get(service) or self._open(service)
        return found

    def _open(self, service: str) -> BaseClient:
        try:
            client = self._make(service)
        except (*FAILURES, ValueError) as error:
            failure = error
        else:
            url = client.meta.endpoint_url
            _refuse_plain(url)
            self._lanes[service] = Lanes(url, self._tls, _proxies(url), self._shared.monotonic)
            self._clients[service] = client
            return client
        raise configuration(failure)

    def _make(self, service: str) -> BaseClient:
        return self._session.create_client(
            service,
            region_name=self.region or FALLBACK_REGION,
            endpoint_url=self._shared.endpoint_url or None,
            aws_access_key_id="none",  # else botocore would look for credentials
            aws_secret_access_key="none",  # noqa: S106 - signs nothing: see _sign_with_pair
            config=self._shared.config,
        )

    def lanes(self, service: str) -> Lanes:
        """The connections to a service."""
        self.client(service)
        return self._lanes[service]

    def call(
        self,
        service: str,
        method: str,
        pair: Credentials,
        lane: Lane,
        read_timeout: float | None = None,
        **params: str | int,
    ) -> dict[str, Any]:
        """Send one request, once; `method` is the client's. Raises one of FAILURES; the timeout is in seconds."""
        client = self.client(service)
        token = _CALL.set(_Call(pair, lane, read_timeout, self._shared.clock))
        try:
            answer: dict[str, Any] = getattr(client, method)(**params)
            return answer
        finally:
            _CALL.reset(token)

    @property
    def region(self) -> str | None:
        """The region that environment or profile say, if they do."""
        region: str | None = self._session.get_config_variable("region")
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
        urls = {self.url(service): None for service in ("iam", "sts")}
        return tuple(url for url in urls if not self._is_own(url))

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

    def _is_own(self, url: str) -> bool:
        """Whether this is an endpoint of AWS itself: regional, global, FIPS, dual stack or a VPC's own."""
        partitions = self._session.get_component("data_loader").load_data("partitions")["partitions"]
        suffixes = {part["outputs"][name] for part in partitions for name in ("dnsSuffix", "dualStackDnsSuffix")}
        ending = "|".join(re.escape(suffix) for suffix in suffixes)
        host = urlsplit(url).hostname or ""
        return bool(re.fullmatch(rf"(vpce-[\w-]+\.)?(iam|sts)(-fips)?(\.[a-z0-9-]+)?(\.vpce)?\.({ending})", host))

    def close(self) -> None:
        """Drop all connections that are not in use."""
        for lanes in self._lanes.values():
            lanes.close()


def _is_loopback(url: str) -> bool:
    return bool(_LOOPBACK.fullmatch(urlsplit(url).hostname or ""))


def _refuse_plain(url: str) -> None:
    if urlsplit(url).scheme != "https" and not _is_loopback(url):
        raise Problem(
            f"the endpoint {urlsplit(url).hostname} is not encrypted: others could read the new secret",
            "use https in AWS_ENDPOINT_URL (or endpoint_url in the profile); http is for this computer only",
        )


def refuse_plain(request: AWSPreparedRequest, **_: Any) -> None:
    """before-send: for botocore's own sign-ins. Raises Problem for plain http to another computer."""
    _refuse_plain(request.url)


def _proxies(url: str) -> dict[str, str]:
    """The proxies for a URL. None for this computer itself: the request would leave it, readable."""
    return {} if _is_loopback(url) else dict(get_environ_proxies(url))
