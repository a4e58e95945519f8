"""Answers as AWS never gives them: each makes of a good answer what a broken or hostile AWS, proxy or network might."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import repeat

from tests.standin.errors import Answer

Odd = Callable[[Answer], Answer]

DRIP = 0.02  # seconds between two bytes; the laptop of these tests gives such an answer half a second in all
ELSEWHERE = "http://127.0.0.1:9"


def body(change: Callable[[bytes], bytes]) -> Odd:
    """Another body, with the headers that belong to it."""
    return lambda answer: replace(answer, body=change(answer.body))


def swap(pattern: bytes, by: bytes, *, count: int = 0) -> Odd:
    """Another text in the body; an answer that has no such thing stays as it is."""
    return body(lambda text: re.sub(pattern, lambda match: match.expand(by), text, count=count, flags=re.DOTALL))


def value(name: str, by: str) -> Odd:
    """Another value of an element."""
    put = by.encode()
    return body(
        lambda text: re.sub(
            rb"(<%s>)[^<]*(</%s>)" % (name.encode(), name.encode()), lambda match: match[1] + put + match[2], text
        )
    )


def without(name: str) -> Odd:
    """No such element."""
    return swap(rb"<%s>.*?</%s>" % (name.encode(), name.encode()), b"")


def twice(name: str) -> Odd:
    """The element and another like it."""
    return swap(rb"(<%s>.*?</%s>)" % (name.encode(), name.encode()), rb"\1\1")


def headed(status: int = 0, **headers: str) -> Odd:
    """Another status, other headers."""
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda answer: replace(answer, status=status or answer.status, headers={**answer.headers, **more})


def wire(parts: Callable[[Answer], Iterable[bytes]]) -> Odd:
    """Bytes of one's own in the answer's place."""
    return lambda answer: replace(answer, wire=parts(answer))


def _head(answer: Answer, more: str = "") -> bytes:
    return f"HTTP/1.1 {answer.status} X\r\nContent-Type: text/xml\r\n{more}".encode()


def _whole(answer: Answer) -> bytes:
    return _head(answer, f"Content-Length: {len(answer.body)}\r\n\r\n") + answer.body


def _drip(data: bytes) -> Iterator[bytes]:
    for byte in data:
        time.sleep(DRIP)
        yield bytes([byte])


def _then(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _length(by: str) -> Odd:
    return wire(lambda answer: [_head(answer, f"Content-Length: {by}\r\n\r\n") + answer.body])


def _chunked(rest: Callable[[], Iterable[bytes]]) -> Odd:
    return wire(lambda answer: _then(_head(answer, "Transfer-Encoding: chunked\r\n\r\n"), rest()))


def _slowly(part: bytes) -> Iterator[bytes]:
    while True:
        time.sleep(DRIP)
        yield part


def _packed(change: Callable[[bytes], bytes]) -> Odd:
    return lambda answer: replace(answer, body=gzip.compress(change(answer.body)), headers={"Content-Encoding": "gzip"})


def _root(text: bytes) -> bytes:
    found = re.match(rb"\s*(?:<\?xml[^>]*>\s*)?<(\w+)", text)
    return found[1] if found else b"NothingResponse"


def _bomb(text: bytes) -> bytes:
    levels = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    return b'<!DOCTYPE x [<!ENTITY a0 "ha">%s]><%s>&a9;</%s>' % (levels, _root(text), _root(text))


def _deep(text: bytes) -> bytes:
    return b"<%s>%s%s</%s>" % (_root(text), b"<a>" * 100_000, b"</a>" * 100_000, _root(text))


def _many(text: bytes) -> bytes:
    return re.sub(rb"(<member>.*?</member>)", lambda match: match[1] * 100_000, text, count=1, flags=re.DOTALL)


_DATE = "CreateDate|LastUsedDate|Expiration"


def _much(part: bytes) -> Iterable[bytes]:
    """200 MB of it."""
    return repeat(part, 200_000_000 // len(part))


SLOW: dict[str, Odd] = {
    "the whole answer, a byte at a time": wire(lambda answer: _drip(_whole(answer))),
    "a body, a byte at a time": wire(
        lambda answer: _then(_head(answer, f"Content-Length: {len(answer.body)}\r\n\r\n"), _drip(answer.body))
    ),
    "chunks of a byte, without end": _chunked(lambda: _slowly(b"1\r\n \r\n")),
    "100 Continue, again and again": wire(lambda answer: _slowly(b"HTTP/1.1 100 Continue\r\n\r\n")),
}

SHAPES: dict[str, Odd] = {
    "nothing in the result": swap(rb"<(\w+Result)>.*</\1>", rb"<\1></\1>"),
    "no result": swap(rb"<(\w+Result)>.*</\1>", b""),
    "another action's answer": swap(rb"<(/?)\w+(Response|Result)\b", rb"<\1ListPolicies\2"),
    "another action's result": swap(rb"<(/?)\w+Result\b", rb"<\1ListPoliciesResult"),
    "a result twice": swap(rb"(<(\w+Result)>.*</\2>)", rb"\1\1"),
    "an empty body": body(lambda text: b""),
    "an empty body, 204": lambda answer: replace(answer, status=204, body=b""),
    "half a body": body(lambda text: text[: len(text) // 2]),
    "a body of zeros": body(lambda text: bytes(1000)),
    "JSON": body(lambda text: b'{"Error": {"Code": 1}}'),
    "UTF-16": body(lambda text: text.decode().encode("utf-16")),
    "text that is not UTF-8": swap(rb"</(\w+)></", b"\xff\xfe</\\1></"),
    "200 MB of blanks": wire(lambda answer: _then(_head(answer, "\r\n"), _much(b" " * 65536))),
    "200 MB of blanks, their length given": wire(
        lambda answer: _then(_head(answer, "Content-Length: 200000000\r\n\r\n"), _much(b" " * 65536))
    ),
    "packed": _packed(lambda text: text),
    "a gzip bomb": _packed(lambda text: bytes(100_000_000)),
    "a packed answer that says it is not": body(gzip.compress),
    "entities of entities": body(_bomb),
    "100,000 elements in each other": body(_deep),
    "an error of 100,000 elements": lambda answer: replace(answer, status=400, body=_deep(b"<ErrorResponse>")),
    "an error without a word": lambda answer: replace(answer, status=400, body=b"<ErrorResponse/>"),
    "an error in an odd form": lambda answer: replace(
        answer, status=400, body=b"<ErrorResponse><Error>x</Error><Error><Code><a/></Code></Error></ErrorResponse>"
    ),
    "an unknown error": lambda answer: replace(
        answer, status=418, body=b"<ErrorResponse><Error><Code>\x1b[2J\xc2\x9b</Code></Error></ErrorResponse>"
    ),
    "a result, 300": headed(300),
    "a result, 500": headed(500),
}

HTTP: dict[str, Odd] = {
    "closed without a word": wire(lambda answer: [b"\r\n"]),
    "not HTTP": wire(lambda answer: [b"220 mail.example ESMTP\r\n"]),
    "status 999": wire(lambda answer: [b"HTTP/1.1 999 Odd\r\n\r\n" + answer.body]),
    "status 99": wire(lambda answer: [b"HTTP/1.1 099 Odd\r\n\r\n" + answer.body]),
    "a status that is no number": wire(lambda answer: [b"HTTP/1.1 OK fine\r\n\r\n" + answer.body]),
    "a status line without end": wire(lambda answer: _then(b"HTTP/1.1 200 ", _much(b"x" * 65536))),
    "headers without end": wire(lambda answer: _then(b"HTTP/1.1 200 OK\r\n", _much(b"A: b\r\n" * 9999))),
    "a header without end": wire(lambda answer: _then(b"HTTP/1.1 200 OK\r\nA: ", _much(b"b" * 65536))),
    "chunks without end": _chunked(lambda: _much(b"1000\r\n" + b" " * 4096 + b"\r\n")),
    "a chunk's length without end": _chunked(lambda: _much(b"0" * 65536)),
    "a chunk's length that is none": _chunked(lambda: [b"-5\r\n\r\n"]),
    "trailers without end": _chunked(lambda: _then(b"1\r\n \r\n0\r\n", _much(b"A: b\r\n" * 9999))),
    "more announced than sent": _length("1000000"),
    "less announced than sent": _length("20"),
    "a negative length": _length("-1"),
    "a length that is none": _length("many"),
    "two lengths": _length("10\r\nContent-Length: 3000"),
    **{
        f"{status} to {where}": headed(status, Location=where)
        for status in (301, 302, 307, 308)
        for where in (f"{ELSEWHERE}/", "https://example.invalid/")
    },
    "304": headed(304),
    "a web page": lambda answer: replace(answer, content_type="text/html", body=b"<html><body>Sign in</body></html>"),
}

HEADER_DATES: dict[str, Odd] = {
    f"Date: {date or 'none'}": headed(Date=date)
    for date in (
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Tue, 01 Sep 2026 00:00:00 -0000",
        "Tue, 99 Foo 2026 99:99:99 +99:99",
        "-",
        "",
    )
}

VALUES: dict[str, Odd] = {
    **{
        f"dates: {date or 'empty'}": swap(rb"<(%s)>[^<]*<" % _DATE.encode(), rb"<\1>%s<" % date.encode())
        for date in (
            "1970-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59",
            "2026-01-01T00:00:00+99:99",
            "99999999999999999999",
            "nan",
            "-",
            "",
        )
    },
    "no dates": swap(rb"<(%s)>[^<]*</\1>" % _DATE.encode(), b""),
    "100,000 keys": body(_many),
    "a key twice": twice("member"),
    "no keys": swap(rb"<member>.*</member>", b""),
    "a page without end": lambda answer: swap(rb"</AccessKeyMetadata>", rb"</AccessKeyMetadata><Marker>again</Marker>")(
        value("IsTruncated", "true")(answer)
    ),
    "somebody else's": value("UserName", "mallory"),
    "another user": swap(rb"user/alice", b"user/mallory"),
    "another account": value("Account", "999999999999"),
    "an ARN that is none": value("Arn", "alice"),
    "no ARN": without("Arn"),
    "root": swap(rb":user/alice", b":root"),
    "a status that nobody knows": value("Status", "Frozen"),
    "no status": without("Status"),
    "an empty status": value("Status", ""),
    "ids that begin otherwise": swap(rb"<AccessKeyId>AKIA", b"<AccessKeyId>ZZZZ"),
    "ids in lower case": value("AccessKeyId", "akiaabcdefghijklmnop"),
    "ids too long": value("AccessKeyId", "AKIA" + "A" * 200),
    "ids with a line end": value("AccessKeyId", "AKIAAAAAAAAAA\nAAAAA"),
    "no ids": without("AccessKeyId"),
    "two ids": twice("AccessKeyId"),
    "two keys": twice("AccessKey"),
    "two secrets": twice("SecretAccessKey"),
    "no secret": without("SecretAccessKey"),
    "an empty secret": value("SecretAccessKey", ""),
    "no session token": without("SessionToken"),
}

# How a secret may look. AWS's have 40 characters of A-Za-z0-9+/.
SECRETS: dict[str, str] = {
    "with a blank": "abcdefghij klmnopqrstuvwxyz0123456789+/A",
    "with a blank before": " abcdefghijklmnopqrstuvwxyz0123456789+/A",
    "with a blank behind": "abcdefghijklmnopqrstuvwxyz0123456789+/A ",
    "with %": "abcdefghij%klmnopqrstuvwxyz%(x)s56789+/A",
    "with #": "abcdefghij #klmnopqrstuvwxyz0123456789+/",
    "with ;": "abcdefghij ;klmnopqrstuvwxyz0123456789+/",
    "in quotes": '"abcdefghijklmnopqrstuvwxyz0123456789+/"',
    "with a line end": "abcdefghij\nklmnopqrstuvwxyz0123456789+/A",
    "with a section": "abcdefghij\n[default]\nx = 0123456789+/A",
    "of 39 characters": "abcdefghijklmnopqrstuvwxyz0123456789+/A",
    "of 41 characters": "abcdefghijklmnopqrstuvwxyz0123456789+/ABC",
    "of 80 characters": "abcdefghijklmnopqrstuvwxyz0123456789+/AB" * 2,
    "of 10,000 characters": "abcdefghijklmnopqrstuvwxyz0123456789+/AB" * 250,
    "of letters that are not ASCII": "äöü€defghijklmnopqrstuvwxyz0123456789+/A",
    "with a character of no width": "abcdefghij\u2028klmnopqrstuvwxyz0123456789+/",
    "of one character": "x",
}
WRONG = {f"a secret {how} that is not the key's": value("SecretAccessKey", secret) for how, secret in SECRETS.items()}

ODD: dict[str, Odd] = {**SHAPES, **HTTP, **HEADER_DATES, **VALUES, **WRONG, **SLOW}
