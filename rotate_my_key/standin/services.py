"""The services beside IAM and STS that the stand-in answers itself, each in a room of its own.

Each action takes the call, the account, who signed and what the request says, and gives what the API reference
describes. An action of theirs that is not here is refused, loudly: moto knows nothing of their state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from . import protocols
from .errors import Answer, Refused
from .rules import Call
from .sessions import Signer
from .signature import Request
from .world import World

Payload = Mapping[str, Any]
Result = dict[str, Any]


def carry_out(call: Call, world: World, signer: Signer, request: Request) -> Answer | None:
    """Do it and answer, or give None if it is a service of moto's. Raises Refused."""
    if call.service not in _OURS:
        return None
    function = _ACTIONS.get((call.service, call.action))
    if function is None:
        raise Refused("UnknownOperationException", f"the stand-in has no {call.service}:{call.action}", 400)
    payload = json.loads(request.body or b"{}")
    return protocols.result(call.protocol, function(call, world, signer, payload))


def _list_accounts(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    assert world.organization
    return world.organization.list_accounts(world, payload)


def _describe_organization(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    assert world.organization
    return world.organization.describe(world)


_ACTIONS: dict[tuple[str, str], Callable[[Call, World, Signer, Payload], Result]] = {
    ("organizations", "ListAccounts"): _list_accounts,
    ("organizations", "DescribeOrganization"): _describe_organization,
}
_OURS = {service for service, _ in _ACTIONS}
