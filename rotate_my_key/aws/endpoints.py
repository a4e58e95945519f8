"""Where a service is: AWS's own hosts and others, what may go there unencrypted, and through which proxy."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from botocore.utils import get_environ_proxies
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ..errors import Problem

# What every parser reads alike: no user info, no backslash, no blank, nothing that is not ASCII, no zone. Of an address
# in digits only the usual form; the C library would read 127.1, 0x7f.1 and 2130706433 too.
_URL = re.compile(r"(https?)://([\w.-]+|\[[\da-f:.]+\])(:[1-9]\d{0,4})?([/?][!-\[\]-~]*)?", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"(.*\.)?(\d+|0x[\da-f]*)\.?")
_OURS = IPv6Address("::1")
_SET = "look at AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_IAM, AWS_ENDPOINT_URL_STS, and endpoint_url in the profile"
# The first part of a service's hosts where it is not the service's name (botocore's `endpointPrefix`).
_PREFIX = {"sesv2": "email"}


def is_own(url: str, service: str, suffixes: Collection[str]) -> bool:
    """Whether this is an endpoint of AWS itself: regional, global, FIPS, dual stack or a VPC's own.

    `suffixes` are the DNS suffixes of all partitions.
    """
    host = urlsplit(url).hostname or ""
    name, ending = _PREFIX.get(service, service), "|".join(map(re.escape, suffixes))
    vpc = r"((bucket\.)?vpce-[\w-]+\.)?"
    return bool(re.fullmatch(rf"{vpc}{name}(-fips)?(\.dualstack)?(\.[a-z0-9-]+)?(\.vpce)?\.({ending})", host))


def check(url: str) -> None:
    """Raises Problem for an endpoint that two libraries could read differently, and for plain http to another computer.

    No message holds the URL: there may be a password in it.
    """
    parts = _parts(url)
    if parts is None:
        raise Problem("the endpoint is not an address that can be used: only http(s)://HOST:PORT/PATH is", _SET)
    scheme, host = parts
    if scheme != "https" and not is_loopback(url):
        raise Problem(
            f"the endpoint {host} is not encrypted: others could read what is sent",
            "use https in AWS_ENDPOINT_URL (or endpoint_url in the profile); http is for this computer only",
        )


def _parts(url: str) -> tuple[str, str] | None:
    """Scheme and host, if urllib3, which connects, and urllib, with which botocore signs, read what we read."""
    found = _URL.fullmatch(url)
    if not found:
        return None
    scheme, host = found[1].lower(), found[2].lower()
    try:
        theirs, signed = parse_url(url), urlsplit(url)
        if {theirs.host, f"[{signed.hostname}]" if host[0] == "[" else signed.hostname} != {host}:
            return None
        if theirs.port != signed.port or theirs.auth or (theirs.scheme, signed.scheme) != (scheme, scheme):
            return None
        if host[0] == "[" or _DIGITS.fullmatch(host):
            ip_address(host.strip("[]"))
    except (LocationParseError, ValueError):
        return None
    return scheme, host


def is_loopback(url: str) -> bool:
    """Whether it is this computer itself; `localhost` is what it resolves to."""
    _, host = _parts(url) or ("", "")
    try:
        found = socket.getaddrinfo(host, None) if host == "localhost" else [(0, 0, 0, "", (host.strip("[]"),))]
        addresses = [ip_address(entry[4][0]) for entry in found]
    except (OSError, ValueError):
        return False
    return all(address == _OURS if address.version == 6 else address.is_loopback for address in addresses)


def proxies(url: str) -> dict[str, str]:
    """The proxies for a URL. None for this computer itself: the request would leave it, readable."""
    return {} if is_loopback(url) else dict(get_environ_proxies(url))
