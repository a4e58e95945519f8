"""AWS for `demo`: one IAM user and the seven actions that a rotation needs, on loopback, by the standard library alone.

It is as strict as AWS where that matters to a rotation: signatures are checked (Signature Version 4, "Create a signed
AWS API request" in the IAM User Guide), a third key is refused, a new key is not known for some seconds, and one that
is deactivated or deleted no longer signs in. It knows no other user and no policies."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from .core.model import AccessKey, Credentials

_ACCOUNT, _USER = "123456789012", "alice"
_USER_ID = "AIDADEMODEMODEMODEMO"
_ARN = f"arn:aws:iam::{_ACCOUNT}:user/{_USER}"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET_ALPHABET = f"{string.ascii_letters}{string.digits}+/"
_MOST_KEYS = 2  # IAM's quota: access keys of a user
_LONGEST_BODY = 1 << 16  # bytes
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/(\d{8}/[a-z0-9-]+/[a-z]+/aws4_request), "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


class _Refused(Exception):
    """An error answer: AWS's code, its sentence and the HTTP status ("Common Errors", IAM API Reference)."""

    def __init__(self, code: str, sentence: str, status: int) -> None:
        super().__init__(code)
        self.code, self.sentence, self.status = code, sentence, status


@dataclass
class _StoredKey:
    """An access key; it signs in from `known` on, in seconds of the monotonic clock."""

    pair: Credentials
    created: datetime
    known: float
    status: str = "Active"


class DemoAws:
    """The server. While it runs, `url` is its endpoint and `pair` the user's key, made 98 days ago."""

    def __init__(self, *, propagation: float, latency: float) -> None:
        """`propagation`: seconds until a new key is known. `latency`: seconds that each answer takes."""
        self._propagation, self._latency = propagation, latency
        self._lock = threading.Lock()
        self._keys: dict[str, _StoredKey] = {}
        self.pair = self._add(timedelta(days=98), 0.0)
        self.secrets = {self.pair.secret}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def keys(self) -> list[AccessKey]:
        """The keys of the one user."""
        return [AccessKey(key_id, key.status, key.created) for key_id, key in self._keys.items()]

    def _add(self, age: timedelta, propagation: float) -> Credentials:
        pair = Credentials(
            "AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16)),
            "".join(secrets.choice(_SECRET_ALPHABET) for _ in range(40)),
        )
        created = (datetime.now(UTC) - age).replace(microsecond=0)
        self._keys[pair.key_id] = _StoredKey(pair, created, time.monotonic() + propagation)
        return pair

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Status and XML for one request. `headers` have their names in lower case."""
        time.sleep(self._latency)
        values = {name: found[0] for name, found in parse_qs(body.decode()).items()}
        action = values.get("Action", "")
        try:
            with self._lock:
                self._check(headers, body)
                result = self._do(action, values)
        except _Refused as no:
            error = f"<Error><Type>Sender</Type><Code>{no.code}</Code><Message>{escape(no.sentence)}</Message></Error>"
            return no.status, f"<ErrorResponse>{error}<RequestId>demo</RequestId></ErrorResponse>"
        return 200, (
            f"<{action}Response><{action}Result>{result}</{action}Result>"
            f"<ResponseMetadata><RequestId>demo</RequestId></ResponseMetadata></{action}Response>"
        )

    def _check(self, headers: dict[str, str], body: bytes) -> None:
        """Let a signature pass that a known and active key made of this very request. Raises _Refused."""
        match = _SIGNED.fullmatch(headers.get("authorization", ""))
        if match is None:
            raise _Refused("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        key_id, scope, names, signature = match.groups()
        key = self._keys.get(key_id)
        if key is None or key.status != "Active" or time.monotonic() < key.known:
            raise _Refused("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        signed = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names.split(";"))
        request = "\n".join(("POST", "/", "", signed, names, hashlib.sha256(body).hexdigest()))
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = "\n".join(("AWS4-HMAC-SHA256", headers.get("x-amz-date", ""), scope, digest))
        secret = f"AWS4{key.pair.secret}".encode()
        for part in scope.split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        if not hmac.compare_digest(hmac.digest(secret, to_sign.encode(), "sha256").hex(), signature):
            raise _Refused("SignatureDoesNotMatch", "The request signature we calculated does not match.", 403)

    def _do(self, action: str, values: dict[str, str]) -> str:
        """The XML of an action's result. Raises _Refused."""
        if values.get("UserName", _USER) != _USER:
            raise _Refused("NoSuchEntity", "The user with this name cannot be found.", 404)
        match action:
            case "GetCallerIdentity":
                return f"<Arn>{_ARN}</Arn><UserId>{_USER_ID}</UserId><Account>{_ACCOUNT}</Account>"
            case "GetUser":
                made = f"<UserId>{_USER_ID}</UserId><Arn>{_ARN}</Arn><CreateDate>2019-01-01T00:00:00Z</CreateDate>"
                return f"<User><Path>/</Path><UserName>{_USER}</UserName>{made}</User>"
            case "ListAccessKeys":
                rows = "".join(f"<member>{_described(key)}</member>" for key in self._keys.values())
                return f"<AccessKeyMetadata>{rows}</AccessKeyMetadata><IsTruncated>false</IsTruncated>"
            case "GetAccessKeyLastUsed":
                self._key(values)
                at = f"{datetime.now(UTC) - timedelta(hours=3):%Y-%m-%dT%H:%M:%SZ}"
                use = f"<LastUsedDate>{at}</LastUsedDate><ServiceName>s3</ServiceName><Region>eu-west-1</Region>"
                return f"<UserName>{_USER}</UserName><AccessKeyLastUsed>{use}</AccessKeyLastUsed>"
            case "CreateAccessKey":
                if len(self._keys) >= _MOST_KEYS:
                    raise _Refused("LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {_MOST_KEYS}", 409)
                pair = self._add(timedelta(0), self._propagation)
                self.secrets.add(pair.secret)
                key = _described(self._keys[pair.key_id])
                return f"<AccessKey>{key}<SecretAccessKey>{pair.secret}</SecretAccessKey></AccessKey>"
            case "UpdateAccessKey":
                self._key(values).status = values.get("Status", "Active")
                return ""
            case "DeleteAccessKey":
                del self._keys[self._key(values).pair.key_id]
                return ""
        raise _Refused("InvalidAction", f"Could not find operation {action}", 400)

    def _key(self, values: dict[str, str]) -> _StoredKey:
        key_id = values.get("AccessKeyId", "")
        try:
            return self._keys[key_id]
        except KeyError:
            raise _Refused("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.", 404) from None


def _described(key: _StoredKey) -> str:
    return (
        f"<UserName>{_USER}</UserName><AccessKeyId>{key.pair.key_id}</AccessKeyId><Status>{key.status}</Status>"
        f"<CreateDate>{key.created:%Y-%m-%dT%H:%M:%SZ}</CreateDate>"
    )


def _handler(aws: DemoAws) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), _LONGEST_BODY)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = aws.answer(headers, self.rfile.read(length))
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *words: object) -> None:
            """Nothing on the screen."""

    return Handler
