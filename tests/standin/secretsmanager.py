"""Secrets Manager: secrets by name or ARN, with a policy of their own, in versions of which the last counts.

Source: Secrets Manager API reference and user guide ("Access control", "Quotas"). Who may read is rights.py's business.
"""

from __future__ import annotations

import json
import re
import secrets
import string
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from . import policies
from .cloud import Secret, listed, tags_of
from .errors import Refused
from .protocols import cut, size
from .rules import Call
from .sessions import Signer
from .world import World

Payload = Mapping[str, Any]
Result = dict[str, Any]
_LONGEST = 65536


def create(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """CreateSecret, with a value or without. Raises Refused: ResourceExistsException, InvalidRequestException."""
    name = str(payload.get("Name") or "")
    if not re.fullmatch(r"[A-Za-z0-9/_+=.@-]{1,512}", name):
        raise Refused("ValidationException", "Invalid name. Must be a valid name containing alphanumeric ...", 400)
    old = lookup(world, call.region, name)
    if old and old.deleted:
        raise _not_now(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
    if old:
        sentence = f"The operation failed because the secret {name} already exists."
        raise Refused("ResourceExistsException", sentence, 400)
    secret = add(world, call.region, name, tags_of(payload.get("Tags")), str(payload.get("KmsKeyId") or ""))
    secret.description = str(payload.get("Description") or "")
    return _fill(world, secret, payload)


def put_value(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """PutSecretValue. Raises Refused (ResourceNotFoundException)."""
    if "SecretString" not in payload and "SecretBinary" not in payload:
        raise Refused("InvalidParameterException", "You must provide either SecretString or SecretBinary.", 400)
    return {**_fill(world, alive(world, call, payload), payload), "VersionStages": ["AWSCURRENT"]}


def get_value(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """GetSecretValue. Raises Refused: ResourceNotFoundException, InvalidRequestException."""
    secret = alive(world, call, payload)
    if secret.value is None:
        sentence = "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"
        raise Refused("ResourceNotFoundException", sentence, 400)
    if not secret.kms_key and secret.arn.split(":")[4] != signer.principal.split(":")[4]:
        raise _not_now(
            "You can't access a secret from a different AWS account if you encrypt the secret with the default KMS "
            "service key."
        )
    told = {"ARN": secret.arn, "Name": secret.name, "VersionId": secret.version, "SecretString": secret.value}
    return {**told, "VersionStages": ["AWSCURRENT"], "CreatedDate": secret.changed}


def describe(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """DescribeSecret; one that is to be deleted has a `DeletedDate`."""
    return _told(existing(world, call, payload))


def delete(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """DeleteSecret, with a recovery window of days, or at once: then the name is free after a while.

    What is deleted at once may be deleted already, or not be there at all.
    """
    force, days = payload.get("ForceDeleteWithoutRecovery"), payload.get("RecoveryWindowInDays")
    if force and days is not None:
        sentence = "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays."
        raise Refused("InvalidParameterException", sentence, 400)
    if days is not None and not 7 <= int(days) <= 30:
        sentence = "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."
        raise Refused("InvalidParameterException", sentence, 400)
    now, name = world.now(), str(payload.get("SecretId") or "")
    if force and lookup(world, call.region, name) is None:
        return {"ARN": name, "Name": name, "DeletionDate": now}
    secret = existing(world, call, payload)
    window = timedelta(seconds=world.settings.secret_deletion) if force else timedelta(days=int(days or 30))
    secret.deleted, secret.gone = now, now + window
    return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": secret.gone}


def put_policy(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """PutResourcePolicy. Raises Refused: MalformedPolicyDocumentException, PublicPolicyException."""
    secret = alive(world, call, payload)
    text = str(payload.get("ResourcePolicy") or "")
    try:
        document = json.loads(text)
        policies.check_resource_policy(document)
    except ValueError:
        raise _malformed("This resource policy contains malformed content.") from None
    if not all(world.organization.has_principal(arn) for arn in policies.principals(document)):
        raise _malformed("This resource policy contains an unsupported principal.")
    if payload.get("BlockPublicPolicy") and policies.is_public(document):
        raise Refused("PublicPolicyException", "Can't put a resource policy that grants broad access.", 400)
    secret.policy = text
    return {"ARN": secret.arn, "Name": secret.name}


def get_policy(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """GetResourcePolicy."""
    secret = alive(world, call, payload)
    told = {"ARN": secret.arn, "Name": secret.name}
    return {**told, **({"ResourcePolicy": secret.policy} if secret.policy else {})}


def tag(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """TagResource."""
    alive(world, call, payload).tags.update(tags_of(payload.get("Tags")))
    return {}


def list_all(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """ListSecrets of the region, by name; filters `name`, `tag-key`, `tag-value` take what begins so."""
    _sweep(world)
    mine = [each for each in world.cloud.secrets.values() if each.region in ("", call.region)]
    shown = [each for each in mine if payload.get("IncludePlannedDeletion") or not each.deleted]
    for wanted in payload.get("Filters") or ():
        shown = [each for each in shown if _matches(each, wanted.get("Key", ""), wanted.get("Values") or [])]
    count = size(payload.get("MaxResults"), 100, 100, world.settings.page_size)
    page, token = cut(shown, lambda secret: secret.name, payload.get("NextToken") or "", count)
    return {"SecretList": [_told(secret) for secret in page], **({"NextToken": token} if token else {})}


def add(world: World, region: str, name: str, tags: Mapping[str, str], kms_key: str = "") -> Secret:
    """A new secret without a value; AWS adds six letters to the name in its ARN."""
    letters = "".join(secrets.choice(string.ascii_letters) for _ in range(6))
    arn = (
        f"arn:{world.settings.partition}:secretsmanager:{region or 'us-east-1'}:{world.account}:secret:{name}-{letters}"
    )
    now = world.now()
    secret = Secret(name, arn, region, now, now, tags=dict(tags), kms_key=kms_key)
    world.cloud.secrets[arn] = secret
    return secret


def lookup(world: World, region: str, name: str) -> Secret | None:
    """By name, or by ARN with or without the six letters; another account's by its whole ARN only."""
    owner = world.of_account(name.split(":")[4]) if name.count(":") >= 6 else None
    for each in (world, owner):
        if each:
            _sweep(each)
    if name.startswith("arn:"):
        found = owner.cloud.secrets.get(name) if owner else None
        mine = (each for arn, each in world.cloud.secrets.items() if arn[:-7] == name)
        return found or next(mine, None)
    here = (each for each in world.cloud.secrets.values() if each.region in ("", region))
    return next((each for each in here if each.name == name), None)


def existing(world: World, call: Call, payload: Payload) -> Secret:
    """The secret that the call is about, deleted or not. Raises Refused."""
    secret = lookup(world, call.region, str(payload.get("SecretId") or ""))
    if secret is None:
        raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 400)
    return secret


def alive(world: World, call: Call, payload: Payload) -> Secret:
    """The secret, which is not deleted. Raises Refused."""
    secret = existing(world, call, payload)
    if secret.deleted:
        raise _not_now("You can't perform this operation on the secret because it was marked for deletion.")
    return secret


def _fill(world: World, secret: Secret, payload: Payload) -> Result:
    value = payload.get("SecretString", payload.get("SecretBinary"))
    told = {"ARN": secret.arn, "Name": secret.name}
    if value is None:
        return told
    if not 1 <= len(str(value).encode()) <= _LONGEST:
        raise Refused("ValidationException", "1 validation error detected: length of 'secretString'", 400)
    secret.value, secret.changed = str(value), world.now()
    secret.version = str(payload.get("ClientRequestToken") or uuid.uuid4())
    return {**told, "VersionId": secret.version}


def _sweep(world: World) -> None:
    now = world.now()
    for arn, secret in list(world.cloud.secrets.items()):
        if secret.gone and now >= secret.gone:
            del world.cloud.secrets[arn]


def _told(secret: Secret) -> Result:
    told: Result = {"ARN": secret.arn, "Name": secret.name, "CreatedDate": secret.created}
    told |= {"LastChangedDate": secret.changed, "Tags": listed(secret.tags)}
    more = {"Description": secret.description, "KmsKeyId": secret.kms_key, "DeletedDate": secret.deleted}
    return told | {name: value for name, value in more.items() if value}


def _matches(secret: Secret, key: str, values: list[str]) -> bool:
    texts = {"name": [secret.name], "tag-key": [*secret.tags], "tag-value": [*secret.tags.values()]}
    if key not in texts:
        raise Refused("InvalidParameterException", f"the stand-in has no filter {key}", 400)
    return any(text.startswith(value) for text in texts[key] for value in values)


def _not_now(sentence: str) -> Refused:
    return Refused("InvalidRequestException", sentence, 400)


def _malformed(sentence: str) -> Refused:
    return Refused("MalformedPolicyDocumentException", sentence, 400)
