"""Where a service is: AWS's own hosts and others, what may go there unencrypted, and through which proxy. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from botocore.utils import get_environ_proxies

from ..errors import Problem

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
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


def is_loopback(url: str) -> bool:
    """Whether it is this computer itself."""
    return bool(_LOOPBACK.fullmatch(urlsplit(url).hostname or ""))


def refuse_plain(url: str) -> None:
    """Raises Problem for plain http to another computer."""
    if urlsplit(url).scheme != "https" and not is_loopback(url):
        raise Problem(
            f"the endpoint {urlsplit(url).hostname} is not encrypted: others could read what is sent",
            "use https in AWS_ENDPOINT_URL (or endpoint_url in the profile); http is for this computer only",
        )


def proxies(url: str) -> dict[str, str]:
    """The proxies for a URL. None for this computer itself: the request would leave it, readable."""
    return {} if is_loopback(url) else dict(get_environ_proxies(url))
