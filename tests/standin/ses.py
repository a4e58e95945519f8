"""SES, API version 2: mail, to anybody or, in the sandbox, to verified addresses only.

Source: SES API v2 reference (SendEmail, GetAccount) and developer guide ("Request production access").
"""

from __future__ import annotations

import uuid
from base64 import b64decode
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

from .cloud import Cloud, Mail, find
from .errors import Refused
from .rules import Call
from .sessions import Signer
from .world import World

Payload = Mapping[str, Any]
Result = dict[str, Any]


def send_email(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """SendEmail, simple or raw. Raises Refused: MessageRejected, BadRequestException."""
    sender = payload.get("FromEmailAddress") or ""
    destination = payload.get("Destination") or {}
    to = [address for kind in ("To", "Cc", "Bcc") for address in destination.get(f"{kind}Addresses") or ()]
    subject, text, html = _content(payload.get("Content") or {})
    if not sender or not to:
        raise _bad("Missing required field: FromEmailAddress or Destination")
    if any("@" not in parseaddr(address)[1] for address in (sender, *to)):
        raise _bad("Illegal address")
    checked = [sender, *(to if world.settings.ses_sandbox else ())]
    failed = [each for each in checked if not _verified(world.cloud, call.region, parseaddr(each)[1])]
    if failed:
        sentence = "Email address is not verified. The following identities failed the check in region "
        raise Refused("MessageRejected", f"{sentence}{call.region.upper()}: {', '.join(dict.fromkeys(failed))}", 400)
    world.cloud.mails.append(Mail(sender, tuple(to), subject, text, html, call.region))
    return {"MessageId": f"{uuid.uuid4().hex[:16]}-{uuid.uuid4()}-000000"}


def get_account(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """GetAccount: `ProductionAccessEnabled` is false in the sandbox."""
    sandbox = world.settings.ses_sandbox
    most, rate = (200.0, 1.0) if sandbox else (50000.0, 14.0)
    quota = {"Max24HourSend": most, "MaxSendRate": rate, "SentLast24Hours": float(len(world.cloud.mails))}
    told = {"ProductionAccessEnabled": not sandbox, "SendingEnabled": True, "SendQuota": quota}
    return {**told, "EnforcementStatus": "HEALTHY", "DedicatedIpAutoWarmupEnabled": False}


def create_identity(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """CreateEmailIdentity: it is not verified until its owner clicks, or `StandIn.verify` does."""
    name = str(payload.get("EmailIdentity") or "")
    if find(world.cloud.identities, call.region, name) is not None:
        raise Refused("AlreadyExistsException", f"Email identity {name} already exist.", 400)
    world.cloud.identities[call.region, name] = False
    return {"IdentityType": _kind(name), "VerifiedForSendingStatus": False}


def get_identity(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """GetEmailIdentity. Raises Refused (NotFoundException)."""
    name = str(payload.get("EmailIdentity") or "")
    verified = find(world.cloud.identities, call.region, name)
    if verified is None:
        raise Refused("NotFoundException", f"Email identity {name} does not exist.", 404)
    status = "SUCCESS" if verified else "PENDING"
    return {"IdentityType": _kind(name), "VerifiedForSendingStatus": verified, "VerificationStatus": status}


def identity_of(cloud: Cloud, region: str, address: str) -> str:
    """The identity by which an address sends: its own, else its domain or one above."""
    names = [address, *_domains(address)]
    return next((name for name in names if find(cloud.identities, region, name) is not None), address)


def _verified(cloud: Cloud, region: str, address: str) -> bool:
    return any(find(cloud.identities, region, name) for name in (address, *_domains(address)))


def _domains(address: str) -> list[str]:
    labels = address.rpartition("@")[2].lower().split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def _content(content: Payload) -> tuple[str, str, str]:
    if simple := content.get("Simple"):
        body = simple.get("Body") or {}
        parts = [(simple.get("Subject") or {}), body.get("Text") or {}, body.get("Html") or {}]
        subject, text, html = (part.get("Data", "") for part in parts)
        if not subject and not (text or html):
            raise _bad("The message has neither subject nor body")
        return subject, text, html
    if raw := content.get("Raw"):
        return _parsed(b64decode(raw.get("Data", "")))
    raise _bad("Content is neither Simple nor Raw")


def _parsed(raw: bytes) -> tuple[str, str, str]:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    bodies = (message.get_body((kind,)) for kind in ("plain", "html"))
    text, html = (body.get_content() if body else "" for body in bodies)
    return str(message.get("Subject", "")), text, html


def _bad(sentence: str) -> Refused:
    return Refused("BadRequestException", sentence, 400)


def _kind(name: str) -> str:
    return "EMAIL_ADDRESS" if "@" in name else "DOMAIN"
