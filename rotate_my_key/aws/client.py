"""Sessions and clients for AWS, the signing of each call, and AWS's clock.

- One `Aws` in a process: the files are read once, and profiles with equal settings share one `Transport`. What the
  settings mean (region, endpoints, `services`, FIPS, CA bundle) is botocore's to say.
- A `Transport` has one client a service and region, and the connections. Clients hold no credentials: each call is
  signed with the pair that it brings (botocore's `request_credentials`), so botocore never looks for any, neither in
  files nor at the metadata service. botocore's events hand over the request; a context variable says to which call it
  belongs.
- Requests leave through `connections` (event before-send), and every answer is seen here first: its Date, and whether
  it is AWS's. A captive portal or a proxy answers with a page for people. botocore takes one that is well-formed XML
  for success where an action has no result, and JSON that it cannot read for an error's message."""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import Credentials as BotoCredentials
from botocore.handlers import add_expect_header
from botocore.session import Session as CoreSession

from ..core.errors import Problem, WrongUsage
from ..core.hints import Hint
from ..core.model import Credentials, Identity
from ..core.policy import mask
from ..files.regular import oddity, read_start, refuse_odd
from .connections import HOT, WIDE, Connection, ConnectionPool, Limits, Models, Tls, check_key_log, check_url, is_own
from .errors import FAILURES, NotAws, code_of, configuration

_SECOND = timedelta(seconds=1)
_BORNE = timedelta(minutes=16)  # AWS's quarter of an hour, and what the request took


class AwsClock:
    """Our clock, corrected by the last Date header heard. Safe to share between threads. `local` is our clock. `offset`
    is what has to be added to it, as last heard; positive if ours is slow."""

    def __init__(self, local: Callable[[], datetime]) -> None:
        self.local = local
        self.offset = timedelta(0)

    def heard(self, date: str, asked: datetime, *, accepted: bool) -> None:
        """Take note of a Date header (RFC 9110 format); one that cannot be read is ignored. `asked`: when the request
        was sent, by our clock; `accepted`: AWS took its signature."""
        try:
            theirs = parsedate_to_datetime(date)
            theirs = theirs.replace(tzinfo=theirs.tzinfo or UTC).astimezone(UTC)
            offset = _offset(theirs, asked, self.local())
        except (TypeError, ValueError, OverflowError, IndexError):
            return
        if not accepted or abs(offset) <= _BORNE:
            self.offset = offset

    def now(self) -> datetime:
        """AWS's time, aware, in UTC."""
        return self.local() + (self.offset if abs(self.offset) <= _BORNE else timedelta(0))


def _offset(theirs: datetime, asked: datetime, answered: datetime) -> timedelta:
    if answered < theirs:
        return theirs - answered
    return min(theirs + _SECOND - asked, timedelta(0))


@dataclass(slots=True)
class RequestContext:
    """What a request on its way in this thread needs from us. `action` is AWS's name of it, `protocol` botocore's word
    for the service's; `status` is that of the answer, once there is one."""

    pair: Credentials
    connection: Connection
    read_timeout: float | None
    clock: AwsClock
    action: str
    protocol: str
    size: int = 0
    status: int = 0
    request_id: str = ""


_CALL: ContextVar[RequestContext] = ContextVar("call")


def _sign_with_pair(context: dict[str, Any], **_: Any) -> None:
    """before-call: botocore/signers.py takes the credentials from the request's context if there are any."""
    call = _CALL.get()
    pair = BotoCredentials(call.pair.key_id, call.pair.secret, call.pair.token)
    context.setdefault("signing", {})["request_credentials"] = pair
    if call.read_timeout is not None:
        context["read_timeout"] = call.read_timeout


_REQUEST_IDS = ("x-amzn-RequestId", "x-amz-request-id")  # S3 has its own


def _send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
    """before-send: what a handler gives is taken for the answer. Raises NotAws and botocore's HTTP errors."""
    call = _CALL.get()
    request.stream_output = False  # an object of S3 too is read at once: it is small, and then errors are told here
    asked = call.clock.local()
    response = call.connection.send(request, call.size)
    body, call.status = response.content, response.status_code
    call.request_id = next(filter(None, map(response.headers.get, _REQUEST_IDS)), "")
    if not _is_aws(call, response):
        raise NotAws(call.status, page=is_page(body))
    if call.protocol == "rest-xml":  # botocore reads an object from the connection again
        response.raw = io.BytesIO(body)
    call.clock.heard(response.headers.get("Date", ""), asked, accepted=call.status < 300)
    return response


_START = rb"\s*(<\?xml[^>]*>\s*)?<"
_PAGE = re.compile(_START + rb"(!doctype\s+)?html", re.IGNORECASE)
_ROOT = re.compile(_START + rb"(\w+:)?(\w+)Response[\s>]")
_JSON = re.compile(rb"\s*(\{|\Z)")  # some actions answer with nothing
# An S3 object may be anything. A document type is never AWS's; it is where XML declares entities.
_REST_XML = re.compile(rb"(?!" + _START + rb"(!doctype|html))", re.IGNORECASE)
_BODIES = {"json": _JSON, "rest-json": _JSON, "rest-xml": _REST_XML}  # by botocore's `protocol` of the service


def _is_aws(call: RequestContext, response: AWSResponse) -> bool:
    """Whether the service may answer the action so. Where an action has no result, botocore would take the answer to
    any other one for a yes."""
    body = response.content
    if call.protocol != "query":
        return bool(_BODIES[call.protocol].match(body))
    root = _ROOT.match(body)
    if root is None or body.count(b"<SecretAccessKey>") > 1:  # one key has one secret
        return False
    return root[3].decode() == (call.action if response.status_code < 300 else "Error")


def is_page(body: bytes) -> bool:
    """Whether it is a web page."""
    return bool(_PAGE.match(body))


@contextmanager
def calling(call: RequestContext) -> Iterator[None]:
    """Within the block the requests of this thread belong to this call."""
    token = _CALL.set(call)
    try:
        yield
    finally:
        _CALL.reset(token)


# botocore logs whole answers at DEBUG, new secrets included.
logging.getLogger("botocore").setLevel(logging.WARNING)

FALLBACK_REGION = "us-east-1"  # where none is set anywhere; IAM has one endpoint in a partition, any STS will do
_A_REGION = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
# IAM, STS and Organizations are global: their answers are the same wherever they are asked.
_GLOBAL = {"iam", "sts", "organizations"}
# Answers that may be longer than others, in bytes: a report has a line for each of thousands of users, a page of a list
# a thousand of them, and what is sealed in a bucket is of any size that a person chose.
LONG = {"GetCredentialReport": 16 << 20, "ListUsers": 4 << 20, "GetGroup": 4 << 20, "ListObjectsV2": 4 << 20}
LONG |= {"GetObject": 16 << 20}


class Transport:
    """Clients and connections for the settings of one profile. Safe to share between threads. `settings` are the
    profile's; `region` goes before the one that they or the environment say."""

    def __init__(
        self, aws: Aws, session: boto3.Session, settings: Mapping[str, Any], tls: Tls, region: str = ""
    ) -> None:
        self.aws, self._session, self._settings = aws, session, settings
        self._tls, self._region = tls, region
        self._clients: dict[str, BaseClient] = {}
        self._pools: dict[str, ConnectionPool] = {}
        self._others: dict[str, Transport] = {}

    def at(self, region: str) -> Transport:
        """The same way in another region; "" is this one."""
        if region in ("", self.region):
            return self
        with self.aws.lock:
            if region not in self._others:
                self._others[region] = Transport(self.aws, self._session, self._settings, self._tls, region)
            return self._others[region]

    def within(self, partition: str) -> Transport:
        """The same way, in a region of this partition if none is set; "" is this one."""
        return self if self.region else self.at(_A_REGION.get(partition, ""))

    def client(self, service: str) -> BaseClient:
        """The one client of a service ("iam", "sesv2"), made when first asked for (7 to 60 ms each). Raises Problem for
        settings that cannot be used, and for plain http to another computer; WrongUsage for a service that has its data
        in a region, where none is set."""
        found = self._clients.get(service)
        if found is None:
            with self.aws.lock:
                found = self._clients.get(service) or self._open(service)
        return found

    def _open(self, service: str) -> BaseClient:
        if not self.region and service not in _GLOBAL:
            raise WrongUsage(f"no region is set, and {service} needs one", "set AWS_DEFAULT_REGION=eu-west-1, or yours")
        config = self.aws.config
        try:
            client = self._make(service, config)
            if service == "s3":
                client = self._make(service, _for_s3(config, is_own(client.meta.endpoint_url, "s3")))
        except (*FAILURES, ValueError) as error:
            failure = error
        else:
            check_url(client.meta.endpoint_url)
            self._pools[service] = self.pool_to(client.meta.endpoint_url)
            self._clients[service] = client
            return client
        raise configuration(failure, self.aws.environ, self._settings, self._session.profile_name)

    def _make(self, service: str, config: Config) -> BaseClient:
        client: BaseClient = self._session.client(  # type: ignore[call-overload]
            service,
            region_name=self.region or FALLBACK_REGION,
            endpoint_url=self.aws.endpoint_url or None,
            aws_access_key_id="none",  # else botocore would look for credentials
            aws_secret_access_key="none",  # noqa: S106 - signs nothing: see _sign_with_pair
            config=config,
        )
        return client

    def pool(self, service: str) -> ConnectionPool:
        """The connections to a service."""
        self.client(service)
        return self._pools[service]

    def pool_to(self, url: str) -> ConnectionPool:
        """Connections to another host, with the TLS context and the proxies that are in force here."""
        return ConnectionPool(url, self._tls, self.aws.monotonic, self.aws.limits)

    @contextmanager
    def logged(self, action: str, call: RequestContext, tries: int) -> Iterator[None]:
        """A line for the log, if there is one: what IT and AWS's support ask for. No value of the call is in it."""
        if self.aws.log is None:
            yield
            return
        began, failed = self.aws.monotonic(), ""
        try:
            yield
        except Exception as error:
            failed = f" {_plain(code_of(error)) or type(error).__name__}"
            raise
        finally:
            took = f"{(self.aws.monotonic() - began) * 1000:.0f} ms"
            answer = f"{call.status or 'no answer'}{failed}, request {_plain(call.request_id) or '-'}"
            where = f"{action} {self.url(action.split(':')[0])}"
            self.aws.log(f"{where} key {mask(call.pair.key_id)}: {answer}, try {tries}, {took}")

    def presign(self, pair: Credentials, method: str, seconds: int, **params: Any) -> str:
        """A URL of S3 that is signed with this pair and is good for so long; nothing is sent. Raises FAILURES."""
        client = self.client("s3")
        with (
            self.pool("s3").borrow() as connection,
            calling(RequestContext(pair, connection, None, self.aws.clock, "GetObject", "rest-xml")),
        ):
            return str(client.generate_presigned_url(method, Params=params, ExpiresIn=seconds))  # type: ignore[attr-defined]

    @property
    def region(self) -> str | None:
        """The region that was given, or that environment or profile say, if they do."""
        return self._region or self._session.region_name

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
        return tuple(url for url, service in urls.items() if not is_own(url, service))

    def check_partition(self, identity: Identity) -> None:
        """The key's partition must be that of the region in force; where no region is set there is nothing to compare.
        Raises Problem."""
        theirs, here = identity.partition, str(self.client("iam").meta.partition)
        if self.region and theirs != here:
            raise Problem(
                f"the key belongs to an account of {theirs}, and the region in force, {self.region}, to {here}",
                f"set a region of {theirs} in the profile (aws configure set region {_A_REGION.get(theirs, 'REGION')})",
            )

    def close(self) -> None:
        """Drop all connections that are not in use."""
        for pool in self._pools.values():
            pool.close()
        for transport in self._others.values():
            transport.close()


def _plain(text: str) -> str:
    """What a server says of itself, for the log: a word, and not a long one."""
    return text if re.fullmatch(r"[\w.:/+=-]{1,128}", text) else ""


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


_EMPTY_BUNDLE = re.compile(r"\s*ca_bundle\s*[=:]\s*$", re.IGNORECASE)
# Settings of a profile that say who signs or how results look, not how AWS is reached.
_NOT_THE_WAY = re.compile(r"aws_\w+|credential_process|mfa_serial|output|cli_\w+|role_\w+|source_profile|sso_\w+")


class Aws:
    """Where transports come from. Safe to share between threads.

    `environ` as handed to the program; botocore itself reads the same variables from os.environ. `clock` is this
    computer's (aware), `sleep` and `monotonic` are in seconds. `config_file` and `credentials_file` go before
    AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, `endpoint_url` before whatever environment and profiles say.
    `limits` are for each answer. `log` takes a line for each call, without secrets; `busy` is called while AWS
    throttles for long."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        version: str,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        config_file: str = "",
        credentials_file: str = "",
        endpoint_url: str = "",
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
        log: Callable[[str], None] | None = None,
        busy: Callable[[], None] = lambda: None,
    ) -> None:
        self.clock = AwsClock(clock)
        self.sleep, self.monotonic, self.environ, self.endpoint_url = sleep, monotonic, environ, endpoint_url
        self.limits, self.log, self.busy = limits, log, busy
        self.lock = RLock()  # botocore's sessions are not safe to make clients in two threads
        self.config = Config(
            user_agent_extra=f"rotate-my-key/{version}",
            retries={"mode": "standard", "total_max_attempts": 1},
            defaults_mode="legacy",  # type: ignore[arg-type] # "auto" would ask the metadata service for the region
        )
        self._files = {"config_file": config_file, "credentials_file": credentials_file}
        self._first: CoreSession | None = None  # reads the files for all
        self._models: dict[bool, Models] = {}
        self._transports: dict[tuple[bool, str], Transport] = {}
        self._tls: dict[str | bool, Tls] = {}

    def transport(self, profile: str | None, *, wide: bool = False) -> Transport:
        """The transport for a profile; None: the one the environment names, or the default; "": none, whatever the
        environment names. It leads to IAM and STS, or to all services that the fleet needs. Sends nothing yet. Raises
        Problem for a profile that is not there, or files that botocore cannot read."""
        with self.lock:
            try:
                return self._transport(profile, cache(lambda: self._core(profile, wide)), wide)
            except FAILURES as error:
                failure = error
        raise configuration(failure, self.environ)

    def _transport(self, profile: str | None, core: Callable[[], CoreSession], wide: bool) -> Transport:
        self._first = self._first or core()
        settings: Mapping[str, Any] | None = self._first.full_config["profiles"].get(profile)
        if settings is None:  # the environment's profile, or one that is not there: botocore knows which
            settings = core().get_scoped_config()
        names = sorted((name, value) for name, value in settings.items() if not _NOT_THE_WAY.fullmatch(name))
        key = (wide, repr(names))
        if key not in self._transports:
            core().get_scoped_config()  # here and now: botocore lets other threads see files that it has half read
            session = boto3.Session(botocore_session=core())
            self._transports[key] = Transport(self, session, settings, self._tls_of(core()))
        return self._transports[key]

    def _core(self, profile: str | None, wide: bool) -> CoreSession:
        """botocore's part of a session, with our loader and events in it; boto3.Session takes it."""
        unnamed = {"profile": (None, None, None, None)} if profile == "" else None  # where the environment names it
        # None of the built-in handlers is about IAM or STS.
        core = self._with_files(CoreSession(unnamed, profile=profile or None, include_builtin_handlers=wide))
        if wide:  # S3 need not be asked first whether it wants the few bytes that we have
            core.unregister("before-call.s3", add_expect_header)  # type: ignore[arg-type]
        core.register("before-call", _sign_with_pair)  # type: ignore[arg-type]
        # A presigned URL is signed without a call.
        core.register("before-sign.s3", lambda request, **_: _sign_with_pair(request.context))  # type: ignore[arg-type]
        core.register("before-send", _send)  # type: ignore[arg-type]
        if wide not in self._models:
            self._models[wide] = Models(core.get_config_variable("data_path"), WIDE if wide else HOT)
        core.register_component("data_loader", self._models[wide])
        return core

    def _with_files(self, core: CoreSession) -> CoreSession:
        check_key_log(self.environ)
        for name, path in self._files.items():
            if path:
                refuse_odd(path)  # botocore would wait for a pipe
                core.set_config_variable(name, path)
        return core

    def sign_in_session(self, profile: str | None) -> CoreSession:
        """A session whose own providers make the credentials of a profile (None: as transport), with all services that
        takes. Its requests leave through our connections too. Raises Problem if such a sign-in would send something
        unencrypted; botocore's errors for what it cannot read."""
        with self.lock:
            core = self._with_files(CoreSession(profile=profile))
            tls = self._tls_of(core)  # refuses what botocore would wait for, or name by its class only
            if not core.get_config_variable("region"):
                core.set_config_variable("region", FALLBACK_REGION)
            more = {"mode": "standard", "total_max_attempts": 3}
            core.set_default_client_config(self.config.merge(Config(retries=more)))  # type: ignore[arg-type]
        pools: dict[str, ConnectionPool] = {}

        def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            parts = urlsplit(request.url)
            host = f"{parts.scheme}://{parts.netloc}"
            if host not in pools:
                pools[host] = ConnectionPool(host, tls, self.monotonic, self.limits)
            with pools[host].borrow() as connection:
                return connection.send(request)

        core.register("before-send", send)  # type: ignore[arg-type]
        return core

    def _tls_of(self, core: CoreSession) -> Tls:
        """botocore/endpoint.py: AWS_CA_BUNDLE, the profile's, then REQUESTS_CA_BUNDLE, then its own CAs. An empty value
        is an error; urllib3 expands `~` and no variables. Raises Problem, naming where it is set."""
        bundle = core.get_config_variable("ca_bundle")
        if bundle is None:
            bundle = self.environ.get("REQUESTS_CA_BUNDLE", True)
        if bundle is not True:
            name, unset = self._bundle_named(core)
            if not isinstance(bundle, str) or not bundle.strip():
                raise Problem(f"{name} is empty, and no connection can be made so", unset)
            bundle = os.path.expanduser(bundle)
            if odd := oddity(bundle):
                raise Problem(f"{name} is {bundle}, which {odd}", unset)
        return self._tls.setdefault(bundle, Tls(bundle))

    def _bundle_named(self, core: CoreSession) -> tuple[str, str]:
        """What sets the CA bundle, and how to be rid of it."""
        if "AWS_CA_BUNDLE" in self.environ:
            return "AWS_CA_BUNDLE", "unset AWS_CA_BUNDLE"
        profile = core.get_config_variable("profile") or "default"
        if "ca_bundle" not in core.get_scoped_config():
            return "REQUESTS_CA_BUNDLE", "unset REQUESTS_CA_BUNDLE"
        path = os.path.expanduser(core.get_config_variable("config_file"))
        lines = read_start(path).decode(errors="replace").split("\n")
        where = next((f" ({path}, line {n})" for n, line in enumerate(lines, 1) if _EMPTY_BUNDLE.match(line)), "")
        return f"ca_bundle of profile {profile}{where}", Hint("doctor", profile=profile)

    def close(self) -> None:
        """Drop all connections that are not in use."""
        for transport in self._transports.values():
            transport.close()
