"""Steps of a plan by whom they are about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .enforce_plan import Looking, Step
from .model import Owner
from .user_facts import Found


def by_owner(steps: Iterable[Step], looking: Looking) -> Iterator[tuple[Owner, list[Step]]]:
    """One notice for each owner, whatever accounts his users are in."""
    found: dict[str, tuple[Owner, list[Step]]] = {}
    for step in steps:
        owner = looking.owner(step.found)
        found.setdefault((owner.address or owner.name).lower(), (owner, []))[1].append(step)
    yield from found.values()


def by_user(steps: Iterable[Step]) -> Iterator[tuple[Found, list[Step]]]:
    """Those of each user."""
    found: dict[int, tuple[Found, list[Step]]] = {}
    for step in steps:
        found.setdefault(id(step.found), (step.found, []))[1].append(step)
    yield from found.values()
