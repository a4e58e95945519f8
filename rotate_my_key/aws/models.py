"""botocore's data files, read in half the time; and which regions there are, as far as they know.

botocore walks over the folders of all 400 services before it loads one, and reads JSON into OrderedDicts, from the days
when a dict had no order. Both are its documented points of extension (`Loader`, `file_loader`); 20 ms of every start.
"""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from typing import Any

from botocore.exceptions import DataNotFoundError
from botocore.loaders import JSONFileLoader, Loader, create_loader

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
    import difflib

    real: set[str] = {name for name in known_regions() if re.search(r"\d$", name)}
    places = {re.sub(r"-\d+$", "", name) for name in real}
    if region in known_regions() or re.sub(r"-\d+$", "", region) in places:
        return None
    text = region.lower().replace("_", "-")
    named = re.findall(r"[a-z]+(?:-[a-z]+)+-\d+", text)
    if found := next((name for name in named if name in real), ""):
        return str(found)
    likely = sorted(name for name in real if "iso" in text or "iso" not in name)
    return next(iter(difflib.get_close_matches(text, likely, n=1)), "us-east-1")
