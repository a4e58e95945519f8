"""Fetching by a presigned URL of S3, which is a secret: it stands in no message, and goes nowhere but to its own host.

No credentials are used. That host must be S3's, or the endpoint that is set: a link to somewhere else is not followed,
nor is a redirection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from botocore.awsrequest import AWSRequest, AWSResponse

from ..errors import Gone, NotAllowed, Problem, TryLater
from . import bodies, endpoints
from .calls import always
from .errors import Sent, translate
from .failures import FAILURES, NotAws
from .link import FALLBACK_REGION, Link
from .patience import Patience
from .session import Aws

_ASK = "ask IT for a new one"
_S3 = re.compile(
    r"(?:[\w.-]+\.)?s3(?:[.-][\w-]+)*\.(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)"
)
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")

# S3's codes (S3 API reference, "Error responses") for a URL that is signed.
_WHY = {
    "ExpiredToken": "the link has expired: the sign-in that made it has ended",
    "InvalidToken": "the link has expired: the sign-in that made it has ended",
    "InvalidAccessKeyId": "the link has expired: the key that signed it is gone",
    "SignatureDoesNotMatch": "the link is not whole: it was cut off or changed on its way",
    "AuthorizationQueryParametersError": "the link is not whole: it was cut off or changed on its way",
}


def fetch(aws: Aws, url: str, most: int, tell: Callable[[str], None]) -> bytes:
    """What the link leads to, at most so many bytes. `tell` is called with a host that is not AWS's own, before
    anything is sent there.

    Raises Problem for what is no such link, NotAllowed for one that has expired, Gone, TryLater.
    """
    link = aws.wide_link(None)
    _check(url, link, tell)
    request = AWSRequest(method="GET", url=url, headers={"Accept-Encoding": "identity"}).prepare()
    lanes = link.lanes_to(url)

    def send() -> AWSResponse:
        with lanes.borrow() as lane:
            answer = lane.send(request)
            page = bodies.is_page(answer.content)
        if answer.status_code >= 500 or page:
            raise NotAws(answer.status_code, page=page)
        return answer

    try:
        answer = Patience(aws.sleep, aws.monotonic).run(send, again=always)
    except FAILURES as error:
        failure = error
    else:
        return _body(answer, most)
    finally:
        lanes.close()
    raise _told(failure, url, link)


def _check(url: str, link: Link, tell: Callable[[str], None]) -> None:
    parts = urlsplit(url)
    endpoints.refuse_plain(url)
    if not {"X-Amz-Signature", "Signature"} & parse_qs(parts.query).keys():
        raise Problem("that is no link that S3 has signed", "copy the whole of it, or ask IT for a new one")
    if _S3.fullmatch(parts.hostname or "") and parts.scheme == "https":
        return
    ours = urlsplit(link.at(link.region or FALLBACK_REGION).url("s3"))
    if (parts.scheme, parts.netloc) != (ours.scheme, ours.netloc):
        raise Problem(f"the link leads to {parts.hostname}, which is not S3; nothing was sent there", _ASK)
    tell(f"{parts.scheme}://{parts.netloc}")


def _body(answer: AWSResponse, most: int) -> bytes:
    body: bytes = answer.content
    if answer.status_code == 200:
        if len(body) > most:
            raise Problem("what the link leads to is too large for a key", _ASK)
        return body
    found = _CODE.search(body)
    code = found[1].decode() if found else ""
    if answer.status_code == 404:
        raise Gone("what the link leads to is not there any more: it was fetched, or not fetched in time", _ASK)
    if b"expired" in body.lower() and code == "AccessDenied":
        raise NotAllowed("the link has expired", _ASK)
    if code in _WHY:
        raise NotAllowed(_WHY[code], _ASK)
    if answer.status_code in (401, 403):
        raise NotAllowed("S3 does not allow it: whoever made the link may not read there", _ASK)
    raise Problem(f"S3 answers {code or 'nothing'} (HTTP {answer.status_code})", _ASK)


def _told(error: Exception, url: str, link: Link) -> Problem:
    """Without the URL: only its host is named."""
    parts = urlsplit(url)
    sent = Sent("s3:GetObject", "", f"{parts.scheme}://{parts.netloc}", link.region, timedelta(0))
    problem = translate(error, sent)
    kind = TryLater if isinstance(problem, TryLater) else Problem
    return kind(problem.message, problem.hint)
