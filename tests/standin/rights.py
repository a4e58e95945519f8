"""Who may do what: what a call asks for, in the names of the Service Authorization Reference, and who says yes.

The caller's own policies are joined with those of a secret: in one account either may allow it, between two accounts
both must (IAM User Guide, "Cross-account policy evaluation logic"). Key policies of KMS are taken to leave it to IAM.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from typing import Any

from . import iam, policies, services
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


def _own(world: World, signer: Signer, ask: Ask) -> policies.Verdict:
    if signer.is_root:
        return "Allow"
    documents = world.documents.get(signer.principal, ())
    inline = [json.loads(each) for each in (signer.user.policies if signer.user else {}).values()]
    if policies.decide(inline, ask, signer) == "Deny":
        return "Deny"
    if not documents:
        return "" if world.settings.strict else "Allow"
    return policies.decide(documents, ask, signer)


def _verdict(world: World, call: Call, signer: Signer, ask: Ask, payload: Payload) -> policies.Verdict:
    own = _own(world, signer, ask)
    if not ask.action.startswith("secretsmanager:"):
        return own
    secret = services.secret_of(world, call, payload)
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
    more = _ASKS.get(call.service, _other)(world, call, signer, payload)
    return [Ask(action, resource, {**everybody, **context}) for action, resource, context in more]


def _who(world: World, call: Call, signer: Signer) -> Context:
    return {**policies.who(signer), "aws:userid": (signer.user_id or world.account,)}


def _other(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    return [(f"{call.service}:{call.action}", "*", {})]


def _iam(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    given = iam.tags_in(payload)
    keys = [key for key, _ in given] or [str(v) for name, v in payload.items() if name.startswith("TagKeys.member.")]
    context: Context = {"aws:TagKeys": tuple(keys)} if keys else {}
    return [(f"iam:{call.action}", _iam_resource(world, call, signer, payload), context)]


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
    context: Context = {"sts:ExternalId": (payload["ExternalId"],)} if payload.get("ExternalId") else {}
    return [(f"sts:{call.action}", payload.get("RoleArn") or "*", context)]


def _organizations(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    """Units, roots and accounts have ARNs of the organization."""
    named = str(payload.get("ParentId") or payload.get("ResourceId") or "")
    kind = "ou" if named.startswith("ou-") else "root" if named.startswith("r-") else "account"
    arn = world.organization.main.arn_of(f"{kind}/{world.organization.id}/{named}", "organizations")
    return [(f"organizations:{call.action}", arn if named else "*", {})]


_S3_ACTIONS = {"ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket", "HeadObject": "GetObject"}


def _ses(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    def arn(what: str) -> str:
        return f"arn:{world.settings.partition}:ses:{call.region}:{world.account}:{what}"

    if call.action == "SendEmail":
        sender = parseaddr(payload.get("FromEmailAddress") or "")[1]
        needs: Needs = [("ses:SendEmail", arn(f"identity/{services.identity_of(world, call.region, sender)}"), {})]
        if payload.get("ConfigurationSetName"):
            needs.append(("ses:SendEmail", arn(f"configuration-set/{payload['ConfigurationSetName']}"), {}))
        return needs
    name = payload.get("EmailIdentity")
    return [(f"ses:{call.action}", arn(f"identity/{name}") if name else "*", {})]


def _sns(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    named = f"arn:{world.settings.partition}:sns:{call.region}:{world.account}:{payload.get('Name')}"
    return [(f"sns:{call.action}", named if "Name" in payload else payload.get("TopicArn", "*"), {})]


def _ssm(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    names = payload.get("Names") or [payload.get("Name") or ""]
    start = f"arn:{world.settings.partition}:ssm:{call.region}:{world.account}:parameter"
    arns = [name if name.startswith("arn:") else f"{start}/{name.lstrip('/')}" for name in names]
    needs: Needs = [(f"ssm:{call.action}", arn, {}) for arn in arns]
    if call.action.startswith("Get") and payload.get("WithDecryption"):
        backend = services.moto(world, "ssm", call.region)
        keys = [each.keyid or "" for each in backend.get_parameters(names).values()]
        needs += [
            _kms(world, call, "Decrypt", key) for key in keys if key.startswith("arn:")
        ]  # AWS's own asks for none
    return needs


def _secretsmanager(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    action = f"secretsmanager:{call.action}"
    if call.action == "ListSecrets":
        return [(action, "*", {})]
    secret, given = services.secret_of(world, call, payload), [tag["Key"] for tag in payload.get("Tags") or ()]
    name = str(payload.get("SecretId") or payload.get("Name") or "")
    arn = secret.arn if secret else name
    if not arn.startswith("arn:"):
        arn = f"arn:{world.settings.partition}:secretsmanager:{call.region}:{world.account}:secret:{name}-AbCdEf"
    context: Context = {"aws:TagKeys": tuple(given)} if given else {}
    needs: Needs = [(action, arn, context)]
    if call.action == "CreateSecret" and given:
        needs.append(("secretsmanager:TagResource", arn, context))
    return needs + _secrets_key(world, call, payload.get("KmsKeyId") or (secret.kms_key if secret else ""))


def _secrets_key(world: World, call: Call, key: str) -> Needs:
    """A key of one's own must be used by whoever writes or reads the value; AWS's own takes care of itself."""
    writes = call.action in ("CreateSecret", "PutSecretValue")
    used = ["GenerateDataKey", "Decrypt"] if writes else ["Decrypt"] if call.action == "GetSecretValue" else []
    return [_kms(world, call, action, key) for action in used if key]


def _kms(world: World, call: Call, action: str, key: str) -> tuple[str, str, Context]:
    arn = key if key.startswith("arn:") else ""
    arn = arn or f"arn:{world.settings.partition}:kms:{call.region}:{world.account}:key/{key.removeprefix('alias/')}"
    return f"kms:{action}", arn, {"kms:ViaService": (f"{call.service}.{call.region}.amazonaws.com",)}


def _s3(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    action = f"s3:{_S3_ACTIONS.get(call.action, call.action)}"
    bucket, key, headers = payload.get("Bucket", ""), payload.get("Key"), payload.get("Headers", {})
    arn = f"arn:{world.settings.partition}:s3:::{bucket}" + (f"/{key}" if key is not None else "")
    context: Context = {"s3:prefix": (payload["prefix"],)} if "prefix" in payload else {}
    needs: Needs = [(action, arn if bucket else "*", context)]
    if call.action == "PutObject" and headers.get("x-amz-tagging"):
        needs.append(("s3:PutObjectTagging", arn, context))
    held = services.bucket_of(world, bucket)
    found = held.keys.get(key or "") if held else None
    if action == "s3:GetObject" and held and not found:  # who may not list is not told that it is not there
        needs.append(("s3:ListBucket", arn.rpartition("/" + str(key))[0], {}))
    kms = (
        headers.get("x-amz-server-side-encryption-aws-kms-key-id")
        if call.action == "PutObject"
        else found.kms_key_id
        if found
        else ""
    )
    used = {"PutObject": "GenerateDataKey", "GetObject": "Decrypt"}.get(call.action)
    return [*needs, _kms(world, call, used, kms)] if used and kms else needs


def _logs(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    arn = f"arn:{world.settings.partition}:logs:{call.region}:{world.account}:log-group:{payload.get('logGroupName')}"
    stream = payload.get("logStreamName")
    return [(f"logs:{call.action}", f"{arn}:log-stream:{stream}" if stream else arn, {})]


_ASKS: dict[str, Callable[[World, Call, Signer, Payload], Needs]] = {
    "organizations": _organizations,
    "iam": _iam,
    "sts": _sts,
    "ses": _ses,
    "sns": _sns,
    "ssm": _ssm,
    "secretsmanager": _secretsmanager,
    "s3": _s3,
    "logs": _logs,
}
