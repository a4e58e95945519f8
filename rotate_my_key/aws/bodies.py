"""Whether an answer can be AWS's, told by its bytes. Pure.

A captive portal or a proxy answers with a page for people. botocore takes one that is well-formed XML for success where
an action has no result, and JSON that it cannot read for an error's message.
"""

from __future__ import annotations

import re

_START = rb"\s*(<\?xml[^>]*>\s*)?<"
_PAGE = re.compile(_START + rb"(!doctype\s+)?html", re.IGNORECASE)
_ROOT = re.compile(_START + rb"(\w+:)?(\w+)Response[\s>]")
_JSON = re.compile(rb"\s*(\{|\Z)")  # some actions answer with nothing
# An S3 object may be anything. A document type is never AWS's; it is where XML declares entities.
_REST_XML = re.compile(rb"(?!" + _START + rb"(!doctype|html))", re.IGNORECASE)

# By botocore's `protocol` of the service.
_BODIES = {"json": _JSON, "rest-json": _JSON, "rest-xml": _REST_XML}


def is_aws(protocol: str, action: str, status: int, body: bytes) -> bool:
    """Whether a service of this protocol may answer an action so. Where an action has no result, botocore would take
    the answer to any other one for a yes."""
    if protocol != "query":
        return bool(_BODIES[protocol].match(body))
    root = _ROOT.match(body)
    if root is None or body.count(b"<SecretAccessKey>") > 1:  # one key has one secret
        return False
    return root[3].decode() == (action if status < 300 else "Error")


def is_page(body: bytes) -> bool:
    """Whether it is a web page."""
    return bool(_PAGE.match(body))
