"""The audit: who was told what and when, what was done to a key and why, by which version of the policy.

- One JSON object a line, to a file, to CloudWatch Logs, to S3, or to several of them; each is durable when `record`
  returns, and a line that one of them does not take is an error, after the others have it. No event can hold a secret.
- An act has two lines: `intended` before it, and its outcome. What is intended and has no outcome was cut off there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import count
from threading import Lock
from typing import Any

from ..aws.delivery import S3
from ..aws.services import AwsCloud
from ..core.errors import Problem, WrongUsage
from ..files.write import append_private
from ..settings.fleet import AuditSettings as Settings
from .model import Event

VERSION = 1
Lines = Sequence[tuple[datetime, str]]
Sink = Callable[[Lines], None]  # one place for lines, which are durable on return. Raises Problem
TakeLine = Callable[[str], None]  # such as a file, or what a function in Lambda prints, which CloudWatch Logs gets


class NotKept(Problem):
    """The audit could not be written: whoever acts must stop before the act."""


@dataclass(frozen=True, slots=True)
class AuditRun:
    """One run, as its lines name it. `name` has letters, digits and hyphens and sorts by time; `by` is an ARN."""

    name: str
    command: str
    policy: str = ""
    by: str = ""


def _each(take: TakeLine) -> Sink:
    """For what takes one line after the other."""

    def write(lines: Lines) -> None:
        for _, line in lines:
            take(line)

    return write


def _objects(objects: S3, bucket: str, prefix: str, run: str) -> Sink:
    """S3 has no appending: one object a write, `PREFIX2026/11/25/RUN-000001.jsonl`."""
    numbers = count(1)

    def write(lines: Lines) -> None:
        name = f"{prefix}{lines[0][0].astimezone(UTC):%Y/%m/%d}/{run}-{next(numbers):06d}.jsonl"
        objects.put(bucket, name, "".join(f"{line}\n" for _, line in lines).encode())

    return write


@dataclass(slots=True)
class AuditTrail:
    """The port Audit over some sinks. Safe to share between threads. `metrics` takes the one metric line of a run."""

    run: AuditRun
    sinks: Mapping[str, Sink]
    namespace: str
    metrics: Sink | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def record(self, *events: Event) -> None:
        """Write a line for each; several at once cost no more than one. Raises NotKept naming where."""
        if events:
            with self._lock:
                self._write(self.sinks, [(event.at, as_line(event, self.run)) for event in events])

    def close(self, numbers: Mapping[str, float]) -> None:
        """End the run with these numbers: its last line goes to every sink, the metric line to one. Raises NotKept."""
        at = self.now()
        said = {name: f"{number:g}" for name, number in numbers.items()}
        self.record(Event(at, "ended", policy=self.run.policy, details=said))
        if self.metrics:
            self._write({"metrics": self.metrics}, [(at, metric_line(numbers, at, self.namespace, self.run))])

    def _write(self, sinks: Mapping[str, Sink], lines: Lines) -> None:
        failures: list[str] = []
        for name, sink in sinks.items():
            try:
                sink(lines)
            except Problem as problem:
                failures.append(": ".join(filter(None, (name, problem.message))))
        if failures:
            what = f"the audit cannot be written ({'; '.join(failures)})"
            raise NotKept(what, "correct [audit] in the fleet's settings")


def as_line(event: Event, run: AuditRun) -> str:
    """An event as one line of JSON: ASCII, so that nothing in it can end the line. Empty fields are left out."""
    fields: dict[str, Any] = {
        "version": VERSION,
        "at": event.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "run": run.name,
        "command": run.command,
        **{name: getattr(event, name) for name in ("what", "outcome", "account", "user", "key_id", "why")},
        "policy": event.policy or run.policy,
        "by": run.by,
        "details": dict(event.details),
    }
    return json.dumps({name: value for name, value in fields.items() if value or name == "version"})


def metric_line(numbers: Mapping[str, float], at: datetime, namespace: str, run: AuditRun) -> str:
    """One line in the embedded metric format (CloudWatch User Guide, "Specification: Embedded metric format"):
    `_aws` with Timestamp in ms and CloudWatchMetrics, and each metric and dimension a member of the root."""
    metrics = [{"Name": name, "Unit": "Count"} for name in numbers]
    directive = {"Namespace": namespace, "Dimensions": [["Command"]], "Metrics": metrics}
    root = {"_aws": {"Timestamp": int(at.timestamp() * 1000), "CloudWatchMetrics": [directive]}}
    return json.dumps({**root, "Command": run.command, "Run": run.name, "Policy": run.policy, **numbers})


def private_file(path: str) -> TakeLine:
    """A file of ours alone (0600); each line is written in one call, and synced."""
    return lambda line: append_private(path, line.encode())


def open_audit(
    settings: Settings, run: AuditRun, cloud: AwsCloud, otherwise: TakeLine, metrics: TakeLine | None = None
) -> AuditTrail:
    """The audit that the settings name; `otherwise` where they name none, for acts are never without. `metrics` takes
    the metric line (in Lambda: standard output); without it a log group does, and one alone, for each line counts.
    Raises WrongUsage for a file whose path is not absolute."""
    sinks: dict[str, Sink] = {}
    if settings.file:
        if not os.path.isabs(settings.file):
            hint = "use an absolute path, like /var/log/keys.jsonl"
            raise WrongUsage(f"audit.file {settings.file} is not an absolute path", hint)
        sinks[settings.file] = _each(private_file(settings.file))
    counts = _each(metrics) if metrics else None
    if settings.log_group:
        log = partial(cloud.logs(settings.region).put, settings.log_group, f"fleet/{run.name}")
        sinks[f"log group {settings.log_group}"] = log
        counts = counts or log
    if settings.bucket:
        objects = cloud.objects(settings.region)
        sinks[f"s3://{settings.bucket}"] = _objects(objects, settings.bucket, settings.prefix, run.name)
    return AuditTrail(run, sinks or {"": _each(otherwise)}, settings.namespace, counts)
