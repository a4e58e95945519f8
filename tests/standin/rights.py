"""Who may do what: what a call asks for, in the names of the Service Authorization Reference, and who says yes.

The caller's own policies are joined with those of a secret: in one account either may allow it, between two accounts
both must (IAM User Guide, "Cross-account policy evaluation logic"). Key policies of KMS are taken to leave it to IAM.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from . import iam, policies
from .errors import Refused
from .policies import Ask
from .rules import Call
from .sessions import Signer
from .world import World

Payload = Mapping[str, Any]
Context = dict[str, policies.Values]
Needs = list[tuple[str, str, Context]]
# These have no resource of their own: they are allowed on `*` alone.
_EVERYWHERE = {
    *("ListUsers", "ListGroups", "ListRoles", "ListPolicies", "GenerateCredentialReport", "GetCredentialReport"),
    *("GetAccountSummary", "GetAccountAuthorizationDetails", "ListAccountAliases", "GetAccountPasswordPolicy"),
}


def admit(world: World, call: Call, signer: Signer, payload: Payload) -> None:
    """Raises Refused (AccessDenied) if a policy says no, or none says yes."""
    for ask in asks(world, call, signer, payload):
        verdict = _verdict(world, call, signer, ask, payload)
        if policies.passes(ask, verdict):
            continue
        if ask.action.startswith("kms:") and call.service == "secretsmanager":
            raise Refused("AccessDenied", "Access to KMS is not allowed", 403)
        raise policies.refused(signer, ask, verdict)


def may(world: World, call: Call, signer: Signer, action: str, resource: str) -> bool:
    """Whether the caller's own policies allow something besides the call itself."""
    return _own(world, signer, Ask(action, resource, _who(world, call, signer))) == "Allow"


def _own(world: World, signer: Signer, ask: Ask) -> policies.Verdict:
    if signer.is_root:
        return "Allow"
    documents = world.documents.get(signer.principal, ())
    if not documents:
        return "" if world.settings.strict else "Allow"
    return policies.decide(documents, ask, signer)


def _verdict(world: World, call: Call, signer: Signer, ask: Ask, payload: Payload) -> policies.Verdict:
    own = _own(world, signer, ask)
    if not ask.action.startswith("secretsmanager:"):
        return own
    from .asks import secret_of

    secret = secret_of(world, call, payload)
    if secret is None:
        return own
    its = policies.decide_resource(json.loads(secret.policy) if secret.policy else None, ask, signer)
    if own == "Deny" or its == "Forbid":
        return own if own == "Deny" else its
    if secret.arn.split(":")[4] == world.account:
        return "Allow" if "Allow" in (own, its) else ""
    return "Allow" if own == "Allow" and its in ("Allow", "Delegate") else ""


def asks(world: World, call: Call, signer: Signer, payload: Payload) -> list[Ask]:
    """What a call needs: mostly its own action on its own resource, sometimes more than one thing."""
    everybody = _who(world, call, signer)
    more = _asks(call.service)(world, call, signer, payload)
    return [Ask(action, resource, {**everybody, **context}) for action, resource, context in more]


def _who(world: World, call: Call, signer: Signer) -> Context:
    told: Context = {**policies.who(signer), "aws:PrincipalAccount": (world.account,)}
    told |= {"aws:RequestedRegion": (call.region,), "aws:userid": (signer.user_id or world.account,)}
    if world.organization.exists:
        told["aws:PrincipalOrgID"] = (world.organization.id,)
    if signer.user:
        told |= {f"aws:PrincipalTag/{key}": (value,) for key, value in world.tags(signer.user).items()}
    return told


def _asks(service: str) -> Callable[[World, Call, Signer, Payload], Needs]:
    if service in _OWN:
        return _OWN[service]
    from .asks import ASKS  # a rotation calls no other service: the demo shall not wait for what they need

    return ASKS.get(service, _other)


def _other(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    return [(f"{call.service}:{call.action}", "*", {})]


def _iam(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    given = iam.tags_in(payload)
    keys = [key for key, _ in given] or [str(v) for name, v in payload.items() if name.startswith("TagKeys.member.")]
    context: Context = {f"aws:RequestTag/{key}": (value,) for key, value in given}
    if keys:
        context["aws:TagKeys"] = tuple(keys)
    return [(f"iam:{call.action}", _iam_resource(world, call, signer, payload), context | _user_tags(world, payload))]


def _user_tags(world: World, payload: Payload) -> Context:
    user = world.iam.users.get(payload.get("UserName", ""))
    tags = world.tags(user) if user else {}
    return {f"{kind}:ResourceTag/{key}": (value,) for key, value in tags.items() for kind in ("aws", "iam")}


def _iam_resource(world: World, call: Call, signer: Signer, payload: Payload) -> str:
    """A user's or a group's ARN, or `*`. What is not there is nobody's."""
    if call.action in _EVERYWHERE:
        return "*"
    if "GroupName" in payload and "UserName" not in payload:
        group = world.iam.groups.get(payload["GroupName"])
        return str(group.arn) if group else world.arn_of(f"group/{payload['GroupName']}")
    if "AccessKeyId" in payload and "UserName" not in payload:
        owner = world.owner(payload["AccessKeyId"])
        return world.arn(owner) if owner else "*"
    if payload.get("UserName"):
        user = world.iam.users.get(payload["UserName"])
        return world.arn(user) if user else world.arn_of(f"user/{payload['UserName']}")
    return world.arn(signer.user) if signer.user else "*"


def _sts(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    named = {"sts:ExternalId": "ExternalId", "sts:RoleSessionName": "RoleSessionName"}
    context: Context = {key: (payload[name],) for key, name in named.items() if payload.get(name)}
    return [(f"sts:{call.action}", payload.get("RoleArn") or "*", context)]


_OWN: dict[str, Callable[[World, Call, Signer, Payload], Needs]] = {"iam": _iam, "sts": _sts}
