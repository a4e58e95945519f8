"""What `revoke` writes down beside the switching: begun before a key is switched off, waited for shortly, ended after.

A key that leaked must not wait for tag or audit; and who switched it off must be known to take it back. So both are
sent first and have their full patience in threads of their own, and what could not be written is told at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import date
from threading import Lock

from ..aws.parallel import Running
from ..errors import Gone
from ..faults import fault
from .audit import NotKept
from .model import Event, FleetKey
from .one_user import UserKeys, remember
from .ports import Audit

SHORTLY = 1.5  # seconds that a key waits for its tag, and for the audit


class AuditLines:
    """The audit of one run. Safe to share between threads. Once a line does not come through soon, the later ones are
    kept and sent together at the end: they would only queue up."""

    def __init__(self, audit: Audit, shortly: float = SHORTLY) -> None:
        self._audit = audit
        self._shortly = shortly
        self._lock = Lock()
        self._late: list[tuple[Running[None], tuple[Event, ...]]] = []
        self._kept: list[Event] = []
        self._trouble: dict[tuple[str, str], str] = {}

    def write(self, *events: Event) -> None:
        """Send these lines, and wait shortly. Raises Interrupted."""
        with self._lock:
            if self._late:
                self._kept += events
                return
        job = Running(lambda: self._audit.record(*events))
        if job.wait(self._shortly):
            self._end(job, events)
            return
        with self._lock:
            self._late.append((job, events))

    def finish(self) -> None:
        """Wait until all is written, or cannot be. Raises Interrupted."""
        with self._lock:
            late, self._late = self._late, []
            kept, self._kept = tuple(sorted(self._kept, key=lambda event: event.at)), []
        for job, events in late:
            self._end(job, events)
        if kept:
            self._end(Running(lambda: self._audit.record(*kept)), kept)

    def trouble(self, account: str, key_id: str) -> str:
        """What could not be written about a key, or ""."""
        return self._trouble.get((account, key_id), "")

    def _end(self, job: Running[None], events: Sequence[Event]) -> None:
        try:
            job.result()
        except Exception as error:  # noqa: BLE001 - no key stays on because of the audit
            why = error.message if isinstance(error, NotKept) else fault(error).message
            self._trouble.update({(event.account, event.key_id): why for event in events})


class RevokeMark:
    """The tag of one user in one account, which says that `revoke` switched off these keys.

    `recall` gives the user with what his tag tells, and may take its time.
    """

    def __init__(self, recall: Callable[[], UserKeys], tag: str, today: date) -> None:
        self._recall = recall
        self._tag = tag
        self._today = today
        self._held: UserKeys | None = None
        self._ids: frozenset[str] = frozenset()
        self._job: Running[str] | None = None

    def begin(self, keys: Collection[FleetKey]) -> None:
        """Write it for these keys, if it is not begun. Later ones come in at the end."""
        if self._job is None:
            self._ids = ids = frozenset(key.key_id or "" for key in keys)
            self._job = Running(lambda: self._write(ids))

    def wait(self, seconds: float) -> None:
        """Give it so long."""
        if self._job:
            self._job.wait(seconds)

    def finish(self, off: Collection[str]) -> str:
        """See to it that it says so of the keys that are off, and of no other; gives why it cannot, or "". What did not
        go through is tried once more. Raises Interrupted."""
        if self._job is None:
            return ""
        trouble = self._job.result()
        if not trouble and self._ids == frozenset(off):
            return ""
        again = self._write(frozenset(off))
        return again if off else ""

    def _write(self, ids: frozenset[str]) -> str:
        try:
            self._held = held = self._held or self._recall()
            noted = {key_id: replace(held.of(key_id), revoked=self._today) for key_id in ids}
            before = {key_id: held.of(key_id) for key_id in self._ids - ids}
            return remember(held, {**before, **noted}, self._tag)
        except Gone as problem:
            return problem.message
        except Exception as error:  # noqa: BLE001 - no key stays on because of its tag
            return fault(error).message
