"""Whether an answer can be AWS's, told by its first bytes. Pure.

A captive portal or a proxy answers with a page for people. botocore takes one that is well-formed XML for success where
an action has no result, and JSON that it cannot read for an error's message.
"""

from __future__ import annotations

import re

_PAGE = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<(!doctype\s+)?html", re.IGNORECASE)
_QUERY = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<(\w+:)?\w+Response[\s>]")
_JSON = re.compile(rb"\s*(\{|\Z)")  # some actions answer with nothing
_REST_XML = re.compile(rb"(?!\s*(<\?xml[^>]*>\s*)?<(!doctype\s+)?html)", re.IGNORECASE)  # an S3 object may be anything

# By botocore's `protocol` of the service.
_BODIES = {"query": _QUERY, "json": _JSON, "rest-json": _JSON, "rest-xml": _REST_XML}


def is_aws(protocol: str, body: bytes) -> bool:
    """Whether a service of this protocol may answer so."""
    return bool(_BODIES[protocol].match(body))


def is_page(body: bytes) -> bool:
    """Whether it is a web page."""
    return bool(_PAGE.match(body))
