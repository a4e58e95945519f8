"""What the calls of the services beside IAM and STS ask for, in the names of the Service Authorization Reference."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parseaddr

from .cloud import Secret, tags_of
from .rights import Context, Needs, Payload
from .rules import Call
from .secretsmanager import lookup
from .ses import identity_of
from .sessions import Signer
from .sns import topic_arn
from .ssm import named, parameter_arn
from .world import World

_S3_ACTIONS = {"ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket", "HeadObject": "GetObject"}


def _ses(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    def arn(what: str) -> str:
        return f"arn:{world.settings.partition}:ses:{call.region}:{world.account}:{what}"

    if call.action == "SendEmail":
        sender = parseaddr(payload.get("FromEmailAddress") or "")[1]
        to = [address for each in (payload.get("Destination") or {}).values() for address in each or ()]
        context: Context = {"ses:FromAddress": (sender,), "ses:Recipients": tuple(to)}
        needs: Needs = [("ses:SendEmail", arn(f"identity/{identity_of(world.cloud, call.region, sender)}"), context)]
        if payload.get("ConfigurationSetName"):
            needs.append(("ses:SendEmail", arn(f"configuration-set/{payload['ConfigurationSetName']}"), context))
        return needs
    name = payload.get("EmailIdentity")
    return [(f"ses:{call.action}", arn(f"identity/{name}") if name else "*", {})]


def _sns(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    arn = topic_arn(world, call.region, payload["Name"]) if "Name" in payload else payload.get("TopicArn", "*")
    return [(f"sns:{call.action}", arn, {})]


def _ssm(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    names = payload.get("Names") or [payload.get("Name") or ""]
    needs: Needs = [(f"ssm:{call.action}", parameter_arn(world, call.region, name), {}) for name in names]
    found = [parameter for name in names if (parameter := named(world, call.region, name))]
    if call.action.startswith("Get") and payload.get("WithDecryption"):
        needs += [_kms(world, call, "Decrypt", each.kms_key) for each in found if each.kms_key]
    return needs


def _secretsmanager(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    action = f"secretsmanager:{call.action}"
    if call.action == "ListSecrets":
        return [(action, "*", {})]
    secret, given = secret_of(world, call, payload), tags_of(payload.get("Tags"))
    name = str(payload.get("SecretId") or payload.get("Name") or "")
    arn = secret.arn if secret else name
    if not arn.startswith("arn:"):
        arn = f"arn:{world.settings.partition}:secretsmanager:{call.region}:{world.account}:secret:{name}-AbCdEf"
    context: Context = {f"aws:RequestTag/{key}": (value,) for key, value in given.items()}
    context |= {"aws:TagKeys": tuple(given)} if given else {}
    tags = secret.tags if secret else {}
    context |= {f"{who}:ResourceTag/{k}": (v,) for k, v in tags.items() for who in ("aws", "secretsmanager")}
    context[f"secretsmanager:{'Name' if call.action == 'CreateSecret' else 'SecretId'}"] = (name,)
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


def secret_of(world: World, call: Call, payload: Payload) -> Secret | None:
    """The secret that a call is about, whoever owns it."""
    return lookup(world, call.region, str(payload.get("SecretId") or "")) if payload.get("SecretId") else None


def _s3(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    action = f"s3:{_S3_ACTIONS.get(call.action, call.action)}"
    bucket, key, headers = payload.get("Bucket", ""), payload.get("Key"), payload.get("Headers", {})
    arn = f"arn:{world.settings.partition}:s3:::{bucket}" + (f"/{key}" if key is not None else "")
    context: Context = {"s3:prefix": (payload["prefix"],)} if "prefix" in payload else {}
    name = "x-amz-server-side-encryption"
    context |= {f"s3:{name}": (headers[name],)} if name in headers else {}
    needs: Needs = [(action, arn if bucket else "*", context)]
    if call.action == "PutObject" and headers.get("x-amz-tagging"):
        needs.append(("s3:PutObjectTagging", arn, context))
    found = world.cloud.buckets.get(bucket, {}).get(key or "")
    kms = headers.get(f"{name}-aws-kms-key-id", "") if call.action == "PutObject" else found.kms_key if found else ""
    used = {"PutObject": "GenerateDataKey", "GetObject": "Decrypt"}.get(call.action)
    return [*needs, _kms(world, call, used, kms)] if used and kms else needs


def _logs(world: World, call: Call, signer: Signer, payload: Payload) -> Needs:
    arn = f"arn:{world.settings.partition}:logs:{call.region}:{world.account}:log-group:{payload.get('logGroupName')}"
    stream = payload.get("logStreamName")
    return [(f"logs:{call.action}", f"{arn}:log-stream:{stream}" if stream else arn, {})]


ASKS: dict[str, Callable[[World, Call, Signer, Payload], Needs]] = {
    "ses": _ses,
    "sns": _sns,
    "ssm": _ssm,
    "secretsmanager": _secretsmanager,
    "s3": _s3,
    "logs": _logs,
}
