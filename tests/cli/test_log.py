"""`-v` and `--log-file`: a log of all calls to AWS, for IT."""

from __future__ import annotations

import re
import stat

import pytest

from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk

LINE = re.compile(
    r"(?P<time>2\d{3}-\d\d-\d\dT[\d:.]+\+00:00) (?P<call>\w+:\w+) (?P<where>http\S+) key \.\.\.(?P<key>\w{4}): "
    r"(?P<status>\d{3}|no answer)(?P<code> \w+)?, request (?P<id>[\w-]+), try (?P<tries>\d+), (?P<ms>\d+) ms"
)


def calls(text: str) -> list[dict[str, str]]:
    """The calls of a log, in their order."""
    return [found.groupdict() for line in text.splitlines() if (found := LINE.fullmatch(line))]


def test_each_call_is_a_line(desk: Desk, old: Credentials) -> None:
    """When, what, where, with which key; what AWS answered, which try it was, how long it took."""
    desk.aws.fault("ListAccessKeys", "throttle", times=1)
    done = desk.run("-v", "rotate", "--yes")
    logged = calls(done.err)
    assert [call["call"].split(":")[1] for call in logged].count("CreateAccessKey") == 1
    assert len(logged) == len(desk.aws.calls)
    assert {call["where"] for call in logged} == {desk.aws.url}
    assert {call["key"] for call in logged} == {old.key_id[-4:], desk.held()[-4:]}
    tries = [(c["status"], c["code"], c["tries"]) for c in logged if c["call"] == "iam:ListAccessKeys"][:2]
    assert tries == [("400", " Throttling", "1"), ("200", None, "2")]
    assert all(call["id"] != "-" for call in logged)
    offline = calls(desk.run("status", "-v", AWS_ENDPOINT_URL="http://127.0.0.1:9").err)[0]  # botocore's name for it
    assert (offline["status"], offline["code"], offline["id"]) == ("no answer", " EndpointConnectionError", "-")


@pytest.mark.parametrize(
    "words",
    [
        "--log-file {} rotate --yes",
        "rotate --log-file={} --yes",
        "--yes --log-file {}",
        "-q --yes --log-file {}",
        "-vv --yes --log-file {}",
    ],
)
def test_the_log_may_go_to_a_file(desk: Desk, old: Credentials, words: str) -> None:
    """The same lines, wherever the option stands, and none on the screen; it is the user's alone, and grows. No
    secret is in it, old or new, and no whole id, also of what failed."""
    file = desk.home / "log.txt"
    done = desk.run(*words.format(file).split())
    assert done.code == 0 and ("-vv" in words or not calls(done.text))
    assert len(calls(file.read_text())) == len(desk.aws.calls)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    assert desk.run("rotate", "-p", "nobody", "--log-file", str(file)).code == 1
    assert file.read_text().startswith(before) and "error: there is no profile nobody" in file.read_text()
    new = re.findall(r"aws_secret_access_key *= *(\S+)", desk.credentials.read_text())
    assert new and not any(text in file.read_text() for text in (old.secret, *new, old.key_id, desk.held()))


def test_a_log_that_cannot_be_written_is_said_at_once(desk: Desk) -> None:
    """Before anything is done; what is no file is refused."""
    for path in (desk.home / "nothing" / "log", desk.home):
        done = desk.run("rotate", "--yes", "--log-file", str(path))
        assert done.code == 1 and str(path) in done.problem()[0]
    assert desk.changes == []
