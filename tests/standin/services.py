"""The services beside IAM and STS: moto's, behind what moto leaves out.

A guard looks at a call before moto does: it refuses what AWS refuses, or answers itself. Mail is ours but for the
identities, since moto keeps one body of a mail and knows no sandbox. The sources are the services' API references.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any
from uuid import uuid4

from moto.backends import get_backend

from . import policies
from .errors import Answer, Refused
from .protocols import result
from .rules import Call
from .sessions import Signer
from .signature import Request
from .world import World

Payload = Mapping[str, Any]
Result = dict[str, Any]
Guard = Callable[[World, Call, Signer, Payload], Result | None]
_DAY = 24 * 3600 * 1000
_REGIONS = ("eu-west-1", "us-east-1", "us-west-2", "eu-central-1")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that SES took. `to` has all recipients."""

    sender: str
    to: tuple[str, ...]
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    region: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A message that SNS took; `topic` is an ARN."""

    topic: str
    subject: str
    message: str = field(repr=False)


class Secret:
    """A secret as moto holds it; what is set here is set there."""

    def __init__(self, moto: Any) -> None:
        self._moto = moto
        self.name: str = moto.name
        self.arn: str = moto.arn
        self.policy: str = moto.policy or ""
        self.deleted: bool = moto.is_deleted()

    @property
    def kms_key(self) -> str:
        """The key of one's own that seals it, if there is one."""
        return self._moto.kms_key_id or ""

    @kms_key.setter
    def kms_key(self, key: str) -> None:
        self._moto.kms_key_id = key

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return {tag["Key"]: tag["Value"] for tag in self._moto.tags or ()}

    @tags.setter
    def tags(self, tags: Mapping[str, str]) -> None:
        self._moto.tags = [{"Key": key, "Value": value} for key, value in tags.items()]

    @property
    def value(self) -> str | None:
        """What it holds now; None if it was never filled."""
        version = self._moto.versions.get(self._moto.default_version_id) or {}
        return version.get("secret_string")

    @value.setter
    def value(self, value: str) -> None:
        self._moto.versions[self._moto.default_version_id]["secret_string"] = value


class Object:
    """An object in S3 as moto holds it; its body can be set."""

    def __init__(self, moto: Any) -> None:
        self._moto = moto
        self.encryption: str = moto.encryption or "AES256"
        self.kms_key: str = moto.kms_key_id or ""

    @property
    def body(self) -> bytes:
        """What is in it."""
        return bytes(self._moto.value)

    @body.setter
    def body(self, body: bytes) -> None:
        self._moto.value = body


def moto(world: World, service: str, region: str) -> Any:
    """What moto has of a service in this account."""
    return get_backend(service)[world.account][world.settings.partition if service == "s3" else region]  # type: ignore[call-overload]


def regions(region: str) -> tuple[str, ...]:
    """One, or for "" all that tests look into."""
    return (region,) if region else _REGIONS


def guard(world: World, call: Call, signer: Signer, payload: Payload) -> Answer | None:
    """An answer of our own, or None for moto to carry out the call. Raises Refused."""
    look = _GUARDS.get((call.service, call.action)) or _GUARDS.get((call.service, ""))
    said = look(world, call, signer, payload) if look else None
    return None if said is None else result(call.protocol, said)


def home(world: World, call: Call, payload: Payload) -> str:
    """The account that a call is carried out in: a secret may be another's."""
    owner = owner_of(world, str(payload.get("SecretId") or "")) if call.service == "secretsmanager" else None
    return (owner or world).account


def shortened(world: World, call: Call, request: Request) -> Request:
    """The request that moto gets: for no more on a page than the settings say."""
    most = world.settings.page_size
    if most == 1000:
        return request
    if call.action == "ListObjectsV2":
        return replace(request, query=f"{request.query}&max-keys={most}")
    if call.action == "ListSecrets":
        return replace(request, body=json.dumps({**json.loads(request.body), "MaxResults": most}).encode())
    return request


# SES


def identity_of(world: World, region: str, address: str) -> str:
    """The identity by which an address sends: its own, else its domain or one above."""
    labels = address.rpartition("@")[2].lower().split(".")
    names = [address, *(".".join(labels[start:]) for start in range(len(labels)))]
    known = moto(world, "ses", region).email_identities
    found = [name for name in names if name in known]
    return next((name for name in found if known[name].verified_for_sending_status), next(iter(found), address))


def _send(world: World, call: Call, signer: Signer, payload: Payload) -> Result:
    sender, destination = payload.get("FromEmailAddress") or "", payload.get("Destination") or {}
    to = [address for kind in ("To", "Cc", "Bcc") for address in destination.get(f"{kind}Addresses") or ()]
    subject, text, html = _content(payload.get("Content") or {})
    if not sender or not to or not (subject or text or html):
        raise Refused("BadRequestException", "Missing required field: sender, recipient or content", 400)
    if any("@" not in parseaddr(address)[1] for address in (sender, *to)):
        raise Refused("BadRequestException", "Illegal address", 400)
    known = moto(world, "ses", call.region).email_identities

    def verified(address: str) -> bool:
        name = identity_of(world, call.region, parseaddr(address)[1])
        return name in known and known[name].verified_for_sending_status is True

    failed = [each for each in (sender, *(to if world.settings.ses_sandbox else ())) if not verified(each)]
    if failed:
        sentence = "Email address is not verified. The following identities failed the check in region "
        raise Refused("MessageRejected", f"{sentence}{call.region.upper()}: {', '.join(dict.fromkeys(failed))}", 400)
    world.mails.append(Mail(sender, tuple(to), subject, text, html, call.region))
    return {"MessageId": f"{uuid4().hex[:16]}-{uuid4()}-000000"}


def _content(content: Payload) -> tuple[str, str, str]:
    if raw := content.get("Raw"):
        message = message_from_bytes(b64decode(raw.get("Data", "")), policy=policy.default)
        assert isinstance(message, EmailMessage)
        bodies = (message.get_body((kind,)) for kind in ("plain", "html"))
        text, html = (body.get_content() if body else "" for body in bodies)
        return str(message.get("Subject", "")), text, html
    simple = content.get("Simple") or {}
    body = simple.get("Body") or {}
    parts = (simple.get("Subject") or {}, body.get("Text") or {}, body.get("Html") or {})
    subject, text, html = (str(part.get("Data", "")) for part in parts)
    return subject, text, html


def _get_account(world: World, call: Call, signer: Signer, payload: Payload) -> Result:
    return {"ProductionAccessEnabled": not world.settings.ses_sandbox, "SendingEnabled": True}


# SNS and CloudWatch Logs


def _publish(world: World, call: Call, signer: Signer, payload: Payload) -> None:
    """A subject is ASCII that begins with a letter, number or mark, in one line of up to 100 characters."""
    parts, subject = payload.get("TopicArn", "").split(":"), payload.get("Subject", "x")
    if len(parts) != 6 or parts[3] != call.region:
        raise Refused("InvalidParameter", "Invalid parameter: TopicArn", 400)
    if parts[4] != world.account:
        raise Refused("AuthorizationError", f"User: {signer.arn} is not authorized to perform: SNS:Publish", 403)
    if not (0 < len(subject) <= 100 and subject.isascii() and subject.isprintable() and not subject.startswith(" ")):
        raise Refused("InvalidParameter", "Invalid parameter: Subject", 400)
    if not 0 < len(payload.get("Message", "").encode()) <= 256 * 1024:
        raise Refused("InvalidParameter", "Invalid parameter: Message too short or too long", 400)


def published(world: World, call: Call, payload: Payload) -> None:
    """Keep what SNS took."""
    if (call.service, call.action) == ("sns", "Publish"):
        world.published.append(Published(payload["TopicArn"], payload.get("Subject", ""), payload["Message"]))


def _create_stream(world: World, call: Call, signer: Signer, payload: Payload) -> None:
    name = str(payload.get("logStreamName") or "")
    if not name or ":" in name or "*" in name or len(name) > 512:
        raise Refused("InvalidParameterException", "1 validation error detected: Value at 'logStreamName'", 400)


def _put_events(world: World, call: Call, signer: Signer, payload: Payload) -> None:
    """A batch has up to 10,000 events and a mebibyte, with 26 bytes for each event, of one day."""
    events = [(int(event["timestamp"]), str(event["message"])) for event in payload.get("logEvents") or ()]
    length = sum(len(message.encode()) + 26 for _, message in events)
    if not events or length > 1_048_576 or len(events) > 10_000 or not all(message for _, message in events):
        raise Refused("InvalidParameterException", f"Upload too large or empty: {length} bytes", 400)
    if events[-1][0] - events[0][0] > _DAY:
        sentence = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        raise Refused("InvalidParameterException", sentence, 400)


# Secrets Manager


def owner_of(world: World, name: str) -> World | None:
    """Whose secret an ARN names."""
    return world.of_account(name.split(":")[4]) if name.count(":") >= 6 else world


def secret_of(world: World, call: Call, payload: Payload) -> Secret | None:
    """The secret that a call is about, whoever owns it; another account's by its whole ARN only."""
    name = str(payload.get("SecretId") or "")
    owner = owner_of(world, name)
    found = moto(owner, "secretsmanager", call.region).secrets.get(name) if owner and name else None
    return Secret(found) if found and (owner is world or found.arn == name) else None


def _free(world: World, name: str) -> float:
    """When a name is free again; of a secret that was deleted at once."""
    return world.left.get(name, 0) + world.settings.secret_deletion


def _secret(world: World, call: Call, signer: Signer, payload: Payload) -> None:
    """A name whose secret was deleted is not free at once; AWS's own key opens a secret in its own account alone."""
    name = str(payload.get("Name") or "")
    old = moto(world, "secretsmanager", call.region).secrets.get(name) if name else None
    if call.action == "CreateSecret" and ((old and old.is_deleted()) or world.now().timestamp() < _free(world, name)):
        sentence = "You can't create this secret because a secret with this name is already scheduled for deletion."
        raise Refused("InvalidRequestException", sentence, 400)
    secret = secret_of(world, call, payload)
    if call.action == "DeleteSecret" and secret and payload.get("ForceDeleteWithoutRecovery"):
        world.left[secret.name] = world.now().timestamp()
    if secret and secret.deleted and call.action in ("PutSecretValue", "PutResourcePolicy", "TagResource"):
        sentence = "You can't perform this operation on the secret because it was marked for deletion."
        raise Refused("InvalidRequestException", sentence, 400)
    foreign = secret and secret.arn.split(":")[4] != signer.principal.split(":")[4]
    if call.action == "GetSecretValue" and secret and foreign and not secret.kms_key:
        sentence = "You can't access a secret from a different AWS account if you encrypt the secret with the default"
        raise Refused("InvalidRequestException", f"{sentence} KMS service key.", 400)


def _put_policy(world: World, call: Call, signer: Signer, payload: Payload) -> None:
    """A secret's policy is understood, names who is there, and lets nobody in from anywhere."""
    code, said = "MalformedPolicyDocumentException", "This resource policy contains "
    _secret(world, call, signer, payload)
    try:
        document = json.loads(str(payload.get("ResourcePolicy") or ""))
        policies.check_resource_policy(document)
    except ValueError:
        raise Refused(code, f"{said}malformed content.", 400) from None
    if not all(world.organization.has_principal(arn) for arn in policies.principals(document)):
        raise Refused(code, f"{said}an unsupported principal.", 400)
    if payload.get("BlockPublicPolicy") and policies.is_public(document):
        raise Refused("PublicPolicyException", "Can't put a resource policy that grants broad access.", 400)


# S3


def bucket_of(world: World, name: str) -> Any:
    """A bucket as moto holds it, whoever's it is; None if there is none."""
    each = (moto(one, "s3", "").buckets.get(name) for one in world.organization.worlds.values())
    return next(filter(None, each), None)


def _bucket(world: World, call: Call, signer: Signer, payload: Payload) -> None:
    """Names are the whole world's; what is in another account's bucket is nobody else's."""
    bucket = bucket_of(world, payload["Bucket"])
    if bucket and bucket.account_id != world.account and call.action != "CreateBucket":
        raise Refused("AccessDenied", "Access Denied", 403)


_GUARDS: dict[tuple[str, str], Guard] = {
    ("organizations", "ListAccounts"): lambda world, call, signer, asked: world.organization.list_accounts(
        world, asked
    ),
    ("organizations", "ListAccountsForParent"): lambda world, call, signer, asked: world.organization.list_for_parent(
        world, asked, units=False
    ),
    ("organizations", "ListOrganizationalUnitsForParent"): lambda world, call, signer, asked: (
        world.organization.list_for_parent(world, asked, units=True)
    ),
    ("organizations", "ListTagsForResource"): lambda world, call, signer, asked: world.organization.list_tags(
        world, asked
    ),
    ("organizations", "DescribeOrganization"): lambda world, call, signer, said: world.organization.describe(),
    ("ses", "SendEmail"): _send,
    ("ses", "GetAccount"): _get_account,
    ("sns", "Publish"): _publish,
    ("logs", "CreateLogStream"): _create_stream,
    ("logs", "PutLogEvents"): _put_events,
    ("secretsmanager", "PutResourcePolicy"): _put_policy,
    ("secretsmanager", ""): _secret,
    ("s3", ""): _bucket,
}
