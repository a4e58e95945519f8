"""Steps of a plan by whom they are about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .enforce_plan import EnforceContext, PlannedAction
from .model import Owner
from .user_facts import UserLook


def by_owner(steps: Iterable[PlannedAction], looking: EnforceContext) -> Iterator[tuple[Owner, list[PlannedAction]]]:
    """One notice for each owner, whatever accounts his users are in."""
    found: dict[str, tuple[Owner, list[PlannedAction]]] = {}
    for step in steps:
        owner = looking.owner(step.found)
        found.setdefault((owner.address or owner.name).lower(), (owner, []))[1].append(step)
    yield from found.values()


def by_user(steps: Iterable[PlannedAction]) -> Iterator[tuple[UserLook, list[PlannedAction]]]:
    """Those of each user."""
    found: dict[int, tuple[UserLook, list[PlannedAction]]] = {}
    for step in steps:
        found.setdefault(id(step.found), (step.found, []))[1].append(step)
    yield from found.values()
