"""A run that is killed anywhere, before a call or after it: the next runs do what is right, and nothing too early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from rotate_my_key.fleet.memory import KeyMemory
from tests.fleet.enforce.company import DAY, Company, did

VERBS = ("users", "keys", "last_use", "tags", "tag", "untag", "set_active", "delete")


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Counts every call that touches the world, and raises at one of them: before it is carried out, or after."""

    def __init__(self, company: Company, at: int, *, done: bool) -> None:
        self.count = 0
        self._at = at
        self._done = done
        self.alive = False
        for verb in VERBS:
            self._wrap(company.here, verb)
        self._wrap(company.mail, "deliver")
        self._wrap(company.audit, "record")

    def _wrap(self, target: Any, verb: str) -> None:
        real = getattr(target, verb)

        def call(*args: Any, **named: Any) -> Any:
            self.count += self.alive
            mine = self.alive and self.count == self._at
            if mine and not self._done:
                raise Killed
            result = real(*args, **named)
            if mine:
                raise Killed
            return result

        setattr(target, verb, call)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within the block it kills."""
        self.alive = True
        try:
            yield
        finally:
            self.alive = False


def company() -> tuple[Company, dict[str, str]]:
    """Alice is to be switched off, bob's key deleted, carol told; names by key id."""
    found = Company()
    ids = {found.user("alice", 97)[0]: "alice"}
    (bob,) = found.user("bob", 130)
    found.here.set_active("bob", bob, active=False)
    day = (found.now - 12 * DAY).date()
    found.remember("bob", {bob: KeyMemory(1, day, day, off=day)})
    ids[bob] = "bob"
    ids[found.user("carol", 90, told=None)[0]] = "carol"
    return found, ids


def calls() -> int:
    """How many calls a whole run makes."""
    found, _ = company()
    killer = Killer(found, 10**9, done=False)
    with killer.at_work():
        found.run()
    return killer.count


TOTAL = calls()


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, TOTAL + 1))
def test_killed_at_any_call(at: int, *, done: bool) -> None:
    """Later runs end where an undisturbed one ends, no act comes before its time, and who did it stays known."""
    found, ids = company()
    killer = Killer(found, at, done=done)
    with pytest.raises(Killed), killer.at_work():
        found.run()
    closed = bool(found.mail.sent) and any(known.off for known in tag_of(found, "alice"))  # its turn was at its end
    notice, off, gone = {}, {}, {}
    for _ in range(18):
        outcome = found.run()
        assert outcome.code == 0, did(outcome)
        for key_id, name in ids.items():
            key = found.here.everybody[name].keys.get(key_id)
            if key is None:
                gone.setdefault(name, found.now.date())
            elif not key.active:
                off.setdefault(name, found.now.date())
                assert found.known(name, key_id).off is not None
            elif found.known(name, key_id).first:
                notice.setdefault(name, found.now.date())
        found.advance(1)
    assert set(gone) == {"alice", "bob", "carol"}
    assert (off["alice"], gone["bob"]) == (day_of(0), day_of(0))
    assert (gone["alice"] - off["alice"]).days == 10
    assert (notice["carol"], (off["carol"] - notice["carol"]).days) == (day_of(0), 7)
    for name in ("alice", "bob"):
        assert (
            sum(message.to == f"{name}@example.com" and "deleted" in message.subject for message in found.mail.sent)
            >= 1
        )
        assert f"deleted {name} done" in found.audit.lines()
    assert sum("was switched off" in message.subject for message in found.mail.sent) in (2, 3)
    assert closed or "of alice in prod (123456789012): switched off" in words(found)
    assert sum(message.to == "carol@example.com" and "will be" in message.subject for message in found.mail.sent) <= 2


def tag_of(found: Company, name: str) -> list[KeyMemory]:
    """What is remembered of each key of a user."""
    return [found.known(name, key_id) for key_id in found.here.everybody[name].keys]


def words(found: Company) -> str:
    """All that the admins read."""
    return " ".join(" ".join(message.text.split()) for message in found.chat.sent)


def day_of(days: int) -> date:
    """A day counted from the first run."""
    return (Company().now + days * DAY).date()


def test_a_run_makes_enough_calls_to_be_killed_at() -> None:
    """The test above is worth something."""
    assert TOTAL > 30
