"""The mapping file of owners, from the disk: `owners.py` reads its text."""

from __future__ import annotations

from ..errors import WrongUsage
from ..settings.fleet import Owners
from ..settings.reading import read
from .owners import read_mapping


def addresses(owners: Owners) -> dict[str, str]:
    """The addresses by user that the settings' `mapping` file holds; none if there is no such setting.

    A relative path is one from where the program runs. Raises WrongUsage, Problem.
    """
    if not owners.mapping:
        return {}
    data = read(owners.mapping)
    if data is None:
        raise WrongUsage(f"there is no file {owners.mapping}", "mend mapping in [owners] of the fleet's settings")
    try:
        return read_mapping(data.decode(), owners.mapping)
    except UnicodeDecodeError:
        raise WrongUsage(f"{owners.mapping} is not UTF-8 text", f"save it as UTF-8: {owners.mapping}") from None
