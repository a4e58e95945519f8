"""What stands behind: moto's WSGI application, for every call that the stand-in does not answer itself."""

from __future__ import annotations

import io
import re
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from moto.core.base_backend import BackendDict
from moto.s3.models import s3_backends

from .errors import Answer
from .signature import Request

_ERROR = re.compile(rb'<Code>([^<]+)</Code>|"__type": *"(?:[^"]*#)?([^"]+)"')

_OURS = {"content-type", "content-length", "date", "server", "connection"}


@cache
def _moto() -> Any:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # slow: only if needed

    return DomainDispatcherApplication(create_backend_app)


def forward(request: Request, account: str) -> Answer:
    """Let moto carry out a call in this account, and give its answer."""
    from werkzeug.test import run_wsgi_app

    chunks, status, headers = run_wsgi_app(_moto(), _environ(request, account), buffered=True)
    code = int(status.split()[0])
    content_type = headers.get("Content-Type", "text/xml")
    body = b"".join(chunks)
    error = _ERROR.search(body) if code >= 400 else None
    outcome = "OK" if code < 400 else next(filter(None, error.groups())).decode() if error else str(code)
    more = {name: value for name, value in headers.items() if name.lower() not in _OURS}
    return Answer(code, content_type, body, outcome, headers=more)


def forget(account: str) -> None:
    """Let moto know nothing of an account any more; its own reset empties all accounts."""
    for service in BackendDict._instances:  # type: ignore[misc]
        service.pop(account, None)
    owners = s3_backends.bucket_accounts
    for bucket in [bucket for bucket, (_, owner) in owners.items() if owner == account]:
        del owners[bucket]


def _environ(request: Request, account: str) -> dict[str, Any]:
    host, _, port = request.headers.get("host", "127.0.0.1").partition(":")
    target = request.path + (f"?{request.query}" if request.query else "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ["CONTENT_TYPE"] = request.headers.get("content-type", "")
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    return environ
