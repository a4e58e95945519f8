"""Which regions there are, as far as the installed botocore knows."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from .models import Models


@cache
def _partitions() -> list[Any]:
    partitions: list[Any] = Models(None).load_data("partitions")["partitions"]
    return partitions


def known() -> frozenset[str]:
    """Every region of every partition, and the pseudo-regions like `aws-global`."""
    return frozenset(region for partition in _partitions() for region in partition["regions"])


def main_of(partition: str) -> str:
    """The region of a partition that holds what is global in it, such as IAM."""
    regions = (each["outputs"]["implicitGlobalRegion"] for each in _partitions() if each["id"] == partition)
    return next(regions, "us-east-1")


def partition_of(region: str) -> str:
    """`aws`, `aws-cn`, ...; "" for a region that this botocore does not know."""
    return next((partition["id"] for partition in _partitions() if region in partition["regions"]), "")


def nearest(region: str) -> str | None:
    """The region that was probably meant; None if it is one, or looks like one that this botocore is too old for.

    A new region has a place and a number of its own: `eu-south-3` may be one, `eu-sowth-1` is not. Of several the first
    is meant, and of `eu-west-1a` the region.
    """
    import difflib

    real: set[str] = {name for name in known() if re.search(r"\d$", name)}
    places = {re.sub(r"-\d+$", "", name) for name in real}
    if region in known() or re.sub(r"-\d+$", "", region) in places:
        return None
    text = region.lower().replace("_", "-")
    named = re.findall(r"[a-z]+(?:-[a-z]+)+-\d+", text)
    if found := next((name for name in named if name in real), ""):
        return str(found)
    likely = sorted(name for name in real if "iso" in text or "iso" not in name)
    return next(iter(difflib.get_close_matches(text, likely, n=1)), "us-east-1")
