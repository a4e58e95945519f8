"""All of AWS in one process: one set of files read, one TLS context, one link for all profiles with equal settings.

What the settings of a profile mean (region, endpoints, `services`, FIPS, CA bundle) is botocore's to say.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import RLock
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.handlers import add_expect_header
from botocore.session import Session

from ..errors import Problem
from ..files.regular import oddity, read_start, refuse_odd
from .bounded import Limits
from .clock import AwsClock
from .errors import configuration
from .failures import FAILURES
from .lanes import Lanes, Tls, check_key_log
from .link import FALLBACK_REGION, Link, Shared
from .models import HOT, WIDE, Models
from .wire import prepare

_EMPTY_BUNDLE = re.compile(r"\s*ca_bundle\s*[=:]\s*$", re.IGNORECASE)
# Settings of a profile that say who signs or how results look, not how AWS is reached.
_NOT_THE_WAY = re.compile(r"aws_\w+|credential_process|mfa_serial|output|cli_\w+|role_\w+|source_profile|sso_\w+")


class Aws:
    """Where links come from. Safe to share between threads.

    `environ` as handed to the program; botocore itself reads the same variables from os.environ. `clock` is this
    computer's (aware), `sleep` and `monotonic` are in seconds. `config_file` and `credentials_file` go before
    AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, `endpoint_url` before whatever environment and profiles say.
    `limits` are for each answer.
    """

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
    ) -> None:
        self.clock = AwsClock(clock)
        self.sleep = sleep
        self.monotonic = monotonic
        self._environ = environ
        self._files = {"config_file": config_file, "credentials_file": credentials_file}
        config = Config(
            user_agent_extra=f"rotate-my-key/{version}",
            retries={"mode": "standard", "total_max_attempts": 1},
            defaults_mode="legacy",  # type: ignore[arg-type] # "auto" would ask the metadata service for the region
        )
        self._shared = Shared(RLock(), self.clock, monotonic, config, endpoint_url, limits, environ)
        self._first: Session | None = None  # reads the files for all
        self._models: dict[bool, Models] = {}
        self._links: dict[str, Link] = {}
        self._tls: dict[str | bool, Tls] = {}

    def link(self, profile: str | None) -> Link:
        """The link to IAM and STS for a profile; None: the one that the environment names, or the default; "": none,
        whatever the environment names. Sends nothing yet.

        Raises Problem for a profile that is not there, or files that botocore cannot read.
        """
        with self._shared.lock:
            try:
                return self._link(profile)
            except FAILURES as error:
                failure = error
        raise configuration(failure, self._environ)

    def wide_link(self, profile: str | None) -> Link:
        """A link to all services that the fleet needs. Raises Problem."""
        with self._shared.lock:
            try:
                key = f"wide {profile or ''}"
                if key not in self._links:
                    session = self._session(profile, wide=True)
                    session.get_scoped_config()  # raises for a profile that is not there
                    self._links[key] = Link(self._shared, session, self._tls_of(session))
                return self._links[key]
            except FAILURES as error:
                failure = error
        raise configuration(failure, self._environ)

    def _link(self, profile: str | None) -> Link:
        session = None
        if self._first is None:
            self._first = session = self._session(profile)
        settings: Mapping[str, Any] | None = self._first.full_config["profiles"].get(profile)
        if settings is None:  # the environment's profile, or one that is not there: botocore knows which
            settings = (session or self._session(profile)).get_scoped_config()
        key = repr(sorted((name, value) for name, value in settings.items() if not _NOT_THE_WAY.fullmatch(name)))
        if key not in self._links:
            session = session or self._session(profile)
            self._links[key] = Link(self._shared, session, self._tls_of(session))
        return self._links[key]

    def _session(self, profile: str | None, *, wide: bool = False) -> Session:
        check_key_log(self._environ)
        unnamed = {"profile": (None, None, None, None)} if profile == "" else None  # where the environment names it
        # None of the built-in handlers is about IAM or STS.
        session = Session(session_vars=unnamed, profile=profile or None, include_builtin_handlers=wide)
        if wide:  # S3 need not be asked first whether it wants the few bytes that we have
            session.unregister("before-call.s3", add_expect_header)  # type: ignore[arg-type]
        prepare(session)
        for name, path in self._files.items():
            if path:
                refuse_odd(path)  # botocore would wait for a pipe
                session.set_config_variable(name, path)
        if wide not in self._models:
            self._models[wide] = Models(session.get_config_variable("data_path"), WIDE if wide else HOT)
        session.register_component("data_loader", self._models[wide])
        return session

    def sign_in_session(self, profile: str | None) -> Session:
        """A session whose own providers make the credentials of a profile (None: as link), with all services that
        takes.

        Its requests leave through lanes too. Raises Problem if such a sign-in would send something unencrypted;
        botocore's errors for what it cannot read.
        """
        check_key_log(self._environ)
        with self._shared.lock:
            session = Session(profile=profile)
            for name, path in self._files.items():
                if path:
                    refuse_odd(path)
                    session.set_config_variable(name, path)
            self._tls_of(session)  # refuses what botocore would wait for, or name by its class only
            if not session.get_config_variable("region"):
                session.set_config_variable("region", FALLBACK_REGION)
            more = {"mode": "standard", "total_max_attempts": 3}
            session.set_default_client_config(self._shared.config.merge(Config(retries=more)))  # type: ignore[arg-type]
            session.register("before-send", self._sender(self._tls_of(session)))  # type: ignore[arg-type]
            return session

    def _sender(self, tls: Tls) -> Callable[..., AWSResponse]:
        """before-send, for a session with clients of its own."""
        lanes: dict[str, Lanes] = {}

        def send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
            parts = urlsplit(request.url)
            host = f"{parts.scheme}://{parts.netloc}"
            if host not in lanes:
                lanes[host] = Lanes(host, tls, self.monotonic, self._shared.limits)
            with lanes[host].borrow() as lane:
                return lane.send(request)

        return send

    def _tls_of(self, session: Session) -> Tls:
        """botocore/endpoint.py: AWS_CA_BUNDLE, the profile's, then REQUESTS_CA_BUNDLE, then its own CAs. An empty value
        is an error; urllib3 expands `~` and no variables. Raises Problem, naming where it is set."""
        bundle = session.get_config_variable("ca_bundle")
        if bundle is None:
            bundle = self._environ.get("REQUESTS_CA_BUNDLE", True)
        if bundle is not True:
            name, unset = self._bundle_named(session)
            if not isinstance(bundle, str) or not bundle.strip():
                raise Problem(f"{name} is empty, and no connection can be made so", unset)
            bundle = os.path.expanduser(bundle)
            if odd := oddity(bundle):
                raise Problem(f"{name} is {bundle}, which {odd}", unset)
        return self._tls.setdefault(bundle, Tls(bundle))

    def _bundle_named(self, session: Session) -> tuple[str, str]:
        """What sets the CA bundle, and how to be rid of it."""
        if "AWS_CA_BUNDLE" in self._environ:
            return "AWS_CA_BUNDLE", "unset AWS_CA_BUNDLE"
        profile = session.get_config_variable("profile") or "default"
        if "ca_bundle" not in session.get_scoped_config():
            return "REQUESTS_CA_BUNDLE", "unset REQUESTS_CA_BUNDLE"
        path = os.path.expanduser(session.get_config_variable("config_file"))
        lines = read_start(path).decode(errors="replace").split("\n")
        where = next((f" ({path}, line {n})" for n, line in enumerate(lines, 1) if _EMPTY_BUNDLE.match(line)), "")
        return f"ca_bundle of profile {profile}{where}", f"rotate-my-key doctor -p {shlex.quote(profile)}"

    def close(self) -> None:
        """Drop all connections that are not in use."""
        for link in self._links.values():
            link.close()
