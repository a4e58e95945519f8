"""Where AWS is: its regions and hosts, what may be sent unencrypted, and through which proxy.

`Models` reads botocore's data files in half the time. botocore walks over the folders of all 400 services before it
loads one, and reads JSON into OrderedDicts, from the days when a dict had no order. `Loader` and its `file_loader`
are its documented points of extension; 43 ms of every start.
"""

from __future__ import annotations

import gzip
import json
import re
import socket
from functools import cache
from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import DataNotFoundError
from botocore.loaders import JSONFileLoader, Loader, create_loader
from botocore.utils import get_environ_proxies
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ..core.errors import Problem
from ..core.policy import nearest

HOT = ("iam", "sts")  # what a rotation needs
WIDE = (*HOT, "organizations", "sesv2", "sns", "ssm", "secretsmanager", "s3", "logs")


class _PlainJson(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        """The content of `file_path`.json or .json.gz, or None."""
        try:
            with open(f"{file_path}.json", "rb") as plain:
                return json.loads(plain.read())
        except FileNotFoundError:
            pass
        try:
            with gzip.open(f"{file_path}.json.gz", "rb") as packed:
                return json.loads(packed.read())
        except FileNotFoundError:
            return None


class Models(Loader):
    """Knows the services that are named. `data_path` is AWS_DATA_PATH or None; the folders are botocore's."""

    def __init__(self, data_path: str | None, services: tuple[str, ...] = HOT) -> None:
        self._services = services
        paths = create_loader(data_path).search_paths
        super().__init__(extra_search_paths=paths, file_loader=_PlainJson(), include_default_search_paths=False)

    def list_available_services(self, type_name: str) -> list[str]:
        """Those that have this kind of data."""
        return [service for service in self._services if self._has(service, type_name)]

    def _has(self, service: str, type_name: str) -> bool:
        try:
            return bool(self.list_api_versions(service, type_name))
        except DataNotFoundError:
            return False


@cache
def _partitions() -> list[Any]:
    partitions: list[Any] = Models(None).load_data("partitions")["partitions"]
    return partitions


def known_regions() -> frozenset[str]:
    """Every region of every partition, and the pseudo-regions like `aws-global`."""
    return frozenset(region for partition in _partitions() for region in partition["regions"])


def main_region(partition: str) -> str:
    """The region of a partition that holds what is global in it, such as IAM."""
    regions = (each["outputs"]["implicitGlobalRegion"] for each in _partitions() if each["id"] == partition)
    return next(regions, "us-east-1")


def partition_of(region: str) -> str:
    """`aws`, `aws-cn`, ...; "" for a region that this botocore does not know."""
    return next((partition["id"] for partition in _partitions() if region in partition["regions"]), "")


def nearest_region(region: str) -> str | None:
    """The region that was probably meant; None if it is one, or looks like one that this botocore is too old for.

    A new region has a place and a number of its own: `eu-south-3` may be one, `eu-sowth-1` is not. Of several the first
    is meant, and of `eu-west-1a` the region.
    """

    real: set[str] = {name for name in known_regions() if re.search(r"\d$", name)}
    places = {re.sub(r"-\d+$", "", name) for name in real}
    if region in known_regions() or re.sub(r"-\d+$", "", region) in places:
        return None
    text = region.lower().replace("_", "-")
    named = re.findall(r"[a-z]+(?:-[a-z]+)+-\d+", text)
    if found := next((name for name in named if name in real), ""):
        return str(found)
    likely = sorted(name for name in real if "iso" in text or "iso" not in name)
    return nearest(text, likely) or "us-east-1"


# What every parser reads alike: no user info, no backslash, no blank, nothing that is not ASCII, no zone. Of an address
# in digits only the usual form; the C library would read 127.1, 0x7f.1 and 2130706433 too.
_URL = re.compile(r"(https?)://([\w.-]+|\[[\da-f:.]+\])(:[1-9]\d{0,4})?([/?][!-\[\]-~]*)?", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"(.*\.)?(\d+|0x[\da-f]*)\.?")
_OURS = IPv6Address("::1")
_SET = "look at AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_IAM, AWS_ENDPOINT_URL_STS, and endpoint_url in the profile"
# The first part of a service's hosts where it is not the service's name (botocore's `endpointPrefix`).
_PREFIX = {"sesv2": "email"}


def is_own(url: str, service: str) -> bool:
    """Whether this is an endpoint of AWS itself: regional, global, FIPS, dual stack or a VPC's own."""
    host = urlsplit(url).hostname or ""
    suffixes = {part["outputs"][name] for part in _partitions() for name in ("dnsSuffix", "dualStackDnsSuffix")}
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
