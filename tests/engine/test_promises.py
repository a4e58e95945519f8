"""Each point of one run: killed there, and each failure there, on a computer in memory.

What is checked at each point stands in `oracle.py`; what must be true in the end, in `Computer.settled`.
"""

import pytest

from rotate_my_key.core.model import Credentials
from rotate_my_key.core.plan import Note
from tests.engine.computer import DEFAULT, Computer, point
from tests.engine.fakes import Aws

POINTS = 75  # more than an ordinary run passes
WORDS = ["later", "lost", "lost before", "throttled", "denied", "full"]


@pytest.mark.parametrize("written", ["by rename", "in place"])
@pytest.mark.parametrize(
    ("list_lag", "sign_in_lag"),
    [pytest.param(0, 0, id="at once"), pytest.param(3, 9, id="late"), pytest.param(8, 0, id="lists late")],
)
def test_killed_at_any_point_the_next_run_finishes(written: str, list_lag: float, sign_in_lag: float) -> None:
    """One key is left, active, in every place, whenever the first run was killed: the next one is enough. No note
    outlives the pair that it names: if the files are emptied now, somebody must be able to sign in and see that all is
    done. The history has it once."""
    for at in range(POINTS):
        computer = Computer(Aws(list_lag, sign_in_lag))
        computer.home.in_place = {DEFAULT.path} if written == "in place" else set()
        survived = computer.run(kill_at=at) is not None
        stored = {record[0].key_id for record in computer.home.records.values() if record}
        assert all(isinstance(note, Note) and note.wanted in (None, *stored) for note in computer.home.notes.values())
        computer.aws.pause(1)
        results = computer.run()
        assert results and not any(result.problem for result in results), computer.points.names
        computer.settled()
        assert len(computer.home.past) == 1
        if survived:
            break
    assert 40 < at < POINTS


@pytest.mark.parametrize("answers", ["n", "yn", "yyn", "nyn", "nyyn", "yynyyn"])
def test_a_key_that_flaps_is_put_nowhere_before_it_is_settled(answers: str) -> None:
    """One yes is no proof, nor are two: a program that reads the file then would be refused."""
    computer = Computer(Aws(flaps=answers))
    computer.run()
    computer.settled()


@pytest.mark.parametrize("answers", ["yn", "yyn", "yyyn"])
def test_a_key_that_flaps_is_waited_for_before_the_old_one_goes(answers: str) -> None:
    """An earlier run was killed when the new key was in its places: the next one proves it as if it were new."""
    computer = Computer()
    computer.run(kill_at=point("written", -1))
    (new,) = set(computer.aws.there()) - {computer.old.key_id}
    seen: list[str] = []
    computer.aws.keys[new].flaps = answers

    def watch() -> None:
        if computer.aws.there().get(computer.old.key_id) == "Active":
            seen.append(computer.aws.keys[new].flaps)

    computer.points.watch = watch
    computer.run()
    computer.settled()
    assert "n" in seen[0] and seen[-1] == "", "the old key was switched off while the new one was refused now and then"


@pytest.mark.parametrize("killed", [False, True], ids=["in the same run", "by the next run"])
def test_what_is_read_back_must_sign_in_before_the_old_key_goes(killed: bool) -> None:
    """Somebody switches the new key off when it has been put in its places, and the list still shows it active: the
    old one goes on working."""
    computer = Computer(Aws(list_lag=3600))
    computer.aws.pause(4000)
    at = point("written", -1)

    def meddle_now() -> None:
        (new,) = set(computer.aws.there()) - {computer.old.key_id}
        computer.changes(new, "Inactive")

    if killed:
        computer.run(kill_at=at)
        meddle_now()
        computer.run()
    else:
        computer.run(meet={at: meddle_now})
    assert computer.aws.there()[computer.old.key_id] == "Active"


def test_what_is_signed_in_with_is_what_was_read_back() -> None:
    """Not what was to be written: if one place has the new id with another secret, the old key goes on working."""
    computer = Computer()

    def spoil() -> None:
        (new,) = set(computer.aws.there()) - {computer.old.key_id}
        computer.puts(DEFAULT, Credentials(new, "half a secret"))

    computer.run(meet={point("written", -1): spoil})
    assert computer.aws.there()[computer.old.key_id] == "Active"


@pytest.mark.parametrize("word", WORDS)
def test_any_single_failure_is_survived(word: str) -> None:
    """In the same run or, where the run ends with a problem, in the next one."""
    for at in range(POINTS):
        computer = Computer()
        results = computer.run(faults={at: word})
        assert results
        if any(result.problem for result in results):
            computer.aws.pause(30)
            computer.run()
        computer.settled()
