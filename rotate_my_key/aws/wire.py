"""How one request is signed and sent: by the pair of the call that this thread is in, through its lane.

Clients hold no credentials; botocore's events hand over what is on its way, and a context variable says whose it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.credentials import Credentials as BotoCredentials
from botocore.session import Session

from ..model import Credentials
from . import bodies
from .clock import AwsClock
from .failures import NotAws
from .lanes import Lane


@dataclass(slots=True)
class Call:
    """What a request on its way in this thread needs from us. `action` is AWS's name of it, `protocol` botocore's word
    for the service's; `status` is that of the answer, once there is one."""

    pair: Credentials
    lane: Lane
    read_timeout: float | None
    clock: AwsClock
    action: str
    protocol: str
    size: int = 0
    status: int = 0


_CALL: ContextVar[Call] = ContextVar("call")


def _sign_with_pair(context: dict[str, Any], **_: Any) -> None:
    """before-call: botocore/signers.py takes the credentials from the request's context if there are any."""
    call = _CALL.get()
    context.setdefault("signing", {})["request_credentials"] = _credentials(call.pair)
    if call.read_timeout is not None:
        context["read_timeout"] = call.read_timeout


def _presign_with_pair(request: Any, **_: Any) -> None:
    """before-sign: a presigned URL is signed without a call."""
    call = _CALL.get(None)
    if call is not None:
        request.context.setdefault("signing", {})["request_credentials"] = _credentials(call.pair)


def _credentials(pair: Credentials) -> BotoCredentials:
    return BotoCredentials(pair.key_id, pair.secret, pair.token)


def _send(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
    """before-send: what a handler gives is taken for the answer. Raises NotAws and botocore's HTTP errors."""
    call = _CALL.get()
    request.stream_output = False  # an object of S3 too is read at once: it is small, and then errors are told here
    asked = call.clock.local()
    response = call.lane.send(request, call.size)
    body, call.status = response.content, response.status_code
    if not bodies.is_aws(call.protocol, call.action, call.status, body):
        raise NotAws(call.status, page=bodies.is_page(body))
    if call.protocol == "rest-xml":  # botocore reads an object from the connection again
        response.raw = io.BytesIO(body)
    call.clock.heard(response.headers.get("Date", ""), asked, accepted=call.status < 300)
    return response


def prepare(session: Session) -> None:
    """Let the calls of a session's clients be signed and sent here; once for each session."""
    session.register("before-call", _sign_with_pair)  # type: ignore[arg-type]
    session.register("before-sign.s3", _presign_with_pair)  # type: ignore[arg-type]
    session.register("before-send", _send)  # type: ignore[arg-type]


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """Within the block the requests of this thread belong to this call."""
    token = _CALL.set(call)
    try:
        yield
    finally:
        _CALL.reset(token)
