"""The audit: lines that are there when `record` returns, in every place that is set, and one metric line a run."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied, Problem, WrongUsage
from rotate_my_key.fleet.audit import AuditRun, AuditTrail, NotKept, as_line, open_audit
from rotate_my_key.fleet.model import Event
from rotate_my_key.settings.fleet import AuditSettings
from tests.fleet.fakes import NOW

RUN = AuditRun("20261125T120000Z-a1b2c3", "enforce", "0123456789ab", "arn:aws:iam::123456789012:user/it")
EVENT = Event(NOW, "deactivated", "123456789012", "alice", "AKIAIOSFODNN7EXAMPLE", "97 days old", outcome="intended")


@dataclass
class FakeCloud:
    """CloudWatch Logs and S3 in memory; `broken` is raised by both."""

    lines: list[tuple[str, str, datetime, str]] = field(default_factory=list)
    stored: dict[tuple[str, str], bytes] = field(default_factory=dict)
    broken: Problem | None = None

    def logs(self, region: str = "") -> Any:
        """See the port Cloud."""
        return self

    objects = logs

    def put(self, *args: Any) -> None:
        """Both ports have a verb of this name."""
        if self.broken:
            raise self.broken
        match args:
            case (str(group), str(stream), [*lines]):
                self.lines += [(group, stream, at, text) for at, text in lines]
            case (str(bucket), str(name), bytes(body)):
                assert (bucket, name) not in self.stored, "an object is never written over"
                self.stored[bucket, name] = body


def trail(settings: AuditSettings, cloud: FakeCloud, otherwise: list[str], metrics: Any = None) -> AuditTrail:
    """The audit that these settings name."""
    return open_audit(settings, RUN, cloud, otherwise.append, metrics)  # type: ignore[arg-type]


def test_a_line_says_who_what_when_why_and_by_which_policy() -> None:
    """One JSON object, with the names that docs/it/enforce.md has."""
    line = as_line(EVENT, RUN)
    assert "\n" not in line
    assert json.loads(line) == {
        "version": 1,
        "at": "2026-11-25T12:00:00.000+00:00",
        "run": "20261125T120000Z-a1b2c3",
        "command": "enforce",
        "what": "deactivated",
        "outcome": "intended",
        "account": "123456789012",
        "user": "alice",
        "key_id": "AKIAIOSFODNN7EXAMPLE",
        "why": "97 days old",
        "policy": "0123456789ab",
        "by": "arn:aws:iam::123456789012:user/it",
    }


def test_nothing_that_a_name_holds_ends_a_line() -> None:
    """Whatever a text has in it: line ends and Unicode's separators are escaped."""
    line = as_line(Event(NOW, "notified", user="a\n\u2028b", why="\r\x85"), RUN)
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize("before", ["", '{"cut": '])
def test_a_file_is_private_appended_to_and_ended_lines_only(tmp_path: Path, before: str) -> None:
    """0600 whatever the umask; what a crash cut off before is ended first, and nothing that was there is lost."""
    file = tmp_path / "audit.jsonl"
    if before:
        file.write_text(before)
        file.chmod(0o600)
    umask = os.umask(0)
    try:
        log = trail(AuditSettings(file=str(file)), FakeCloud(), [])
        log.record(EVENT)
        log.record(EVENT, EVENT)
    finally:
        os.umask(umask)
    *cut, first, second, third = file.read_text().splitlines()
    assert cut == [before] * bool(before)
    assert [json.loads(line)["user"] for line in (first, second, third)] == ["alice"] * 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_several_places_at_once(tmp_path: Path) -> None:
    """File, log group and bucket have the same lines; an object is never written over."""
    cloud = FakeCloud()
    settings = AuditSettings(
        file=str(tmp_path / "a.jsonl"), log_group="/rotate-my-key/audit", bucket="logs", prefix="keys/"
    )
    log = trail(settings, cloud, [])
    log.record(EVENT)
    log.record(EVENT)
    texts = [text for _, _, _, text in cloud.lines]
    assert texts == (tmp_path / "a.jsonl").read_text().splitlines()
    assert "".join(f"{text}\n" for text in texts).encode() == b"".join(cloud.stored.values())
    assert list(cloud.stored) == [
        ("logs", f"keys/2026/11/25/20261125T120000Z-a1b2c3-00000{number}.jsonl") for number in (1, 2)
    ]
    assert cloud.lines[0][:2] == ("/rotate-my-key/audit", "fleet/20261125T120000Z-a1b2c3")


def test_one_place_that_fails_is_an_error_after_the_others_have_the_line(tmp_path: Path) -> None:
    """It names the place, and no folder is made up for a file; whoever acts stops there."""
    file, cloud = tmp_path / "a.jsonl", FakeCloud(broken=Denied("logs:PutLogEvents is not allowed"))
    with pytest.raises(NotKept, match="log group audit: logs:PutLogEvents is not allowed"):
        trail(AuditSettings(file=str(file), log_group="audit"), cloud, []).record(EVENT)
    assert len(file.read_text().splitlines()) == 1
    with pytest.raises(NotKept, match="audit cannot be written"):
        trail(AuditSettings(file=str(tmp_path / "no" / "a.jsonl")), FakeCloud(), []).record(EVENT)


def test_without_settings_it_goes_where_the_caller_says() -> None:
    """Acts are never without an audit; without events there is no line."""
    said: list[str] = []
    trail(AuditSettings(), FakeCloud(), said).record()
    assert said == []
    trail(AuditSettings(), FakeCloud(), said).record(EVENT)
    assert json.loads(said[0])["user"] == "alice"


def test_a_file_has_an_absolute_path() -> None:
    """Where a run was started from must not matter."""
    with pytest.raises(WrongUsage, match="not an absolute path"):
        trail(AuditSettings(file="audit.jsonl"), FakeCloud(), [])


def check_emf(line: str) -> dict[str, Any]:
    """Raises AssertionError for a line that breaks the specification of the embedded metric format."""
    root = json.loads(line)
    meta = root["_aws"]
    assert isinstance(meta["Timestamp"], int)
    for directive in meta["CloudWatchMetrics"]:
        assert set(directive) <= {"Namespace", "Dimensions", "Metrics", "StorageResolution"}
        assert 1 <= len(directive["Namespace"]) <= 1024
        assert all(
            len(names) <= 30 and all(isinstance(root[name], str) for name in names) for names in directive["Dimensions"]
        )
        assert len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert metric["Unit"] == "Count"
            assert isinstance(root[metric["Name"]], int | float)
    return dict(root)


def ended(log: AuditTrail, numbers: dict[str, float]) -> None:
    """The run ends."""
    log.now = lambda: NOW + timedelta(minutes=1)
    log.close(numbers)


def test_one_metric_line_a_run_to_standard_output_in_lambda() -> None:
    """There it becomes metrics; a second one in a log group would count twice."""
    cloud, said, metrics = FakeCloud(), list[str](), list[str]()
    ended(trail(AuditSettings(log_group="audit"), cloud, said, metrics.append), {"Deactivated": 2.0, "Failed": 0.0})
    root = check_emf(metrics[0])
    assert (root["Deactivated"], root["Failed"], root["Command"], root["Policy"]) == (2, 0, "enforce", "0123456789ab")
    assert root["_aws"]["Timestamp"] == 1795608060000
    assert len(metrics) == 1
    assert [json.loads(text)["what"] for _, _, _, text in cloud.lines] == ["ended"]


def test_elsewhere_the_log_group_has_the_metric_line() -> None:
    """CloudWatch takes it from there too."""
    cloud = FakeCloud()
    ended(trail(AuditSettings(log_group="audit", namespace="Keys"), cloud, []), {"Deleted": 1.0})
    texts = [text for _, _, _, text in cloud.lines]
    assert json.loads(texts[0])["details"] == {"Deleted": "1"}
    assert check_emf(texts[1])["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Keys"
