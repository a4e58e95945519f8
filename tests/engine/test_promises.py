"""The promises, looked after at every point of many runs: killed, failing, meddled with, on a computer in memory.

What is checked at each point stands in `Computer.watch`; what must be true in the end, in `Computer.settled`.
"""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotate_my_key.model import Credentials
from rotate_my_key.plan import Note
from rotate_my_key.rotation.outcome import Ending
from tests.engine.computer import DEFAULT, WORK, Computer
from tests.engine.fakes import Aws

POINTS = 75  # more than an ordinary run passes
FOREIGN = Credentials("AKIAFOREIGN00000000X", "of another account")
WORDS = ["later", "lost", "lost before", "throttled", "denied", "full"]


@pytest.mark.parametrize("written", ["by rename", "in place"])
@pytest.mark.parametrize(
    ("list_lag", "sign_in_lag"),
    [pytest.param(0, 0, id="at once"), pytest.param(3, 9, id="late"), pytest.param(8, 0, id="lists late")],
)
def test_killed_at_any_point_the_next_run_finishes(written: str, list_lag: float, sign_in_lag: float) -> None:
    """One key is left, active, in every place, whenever the first run was killed: the next one is enough."""
    for point in range(POINTS):
        computer = Computer(Aws(list_lag, sign_in_lag))
        computer.home.in_place = {DEFAULT.path} if written == "in place" else set()
        survived = computer.run(kill_at=point) is not None
        computer.aws.pause(1)
        results = computer.run()
        assert results and not any(result.problem for result in results), computer.points.names
        computer.settled()
        if survived:
            break
    assert 40 < point < POINTS


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
    at = point(computer, "written", -1)
    computer.run(kill_at=at)
    (new,) = set(computer.aws.there()) - {computer.old.key_id}
    seen: list[str] = []
    computer.aws.keys[new].flaps = answers
    computer.points.watch = lambda: seen.append(computer.aws.keys[new].flaps) if is_on(computer) else None
    computer.run()
    computer.settled()
    assert "n" in seen[0] and seen[-1] == "", "the old key was switched off while the new one was refused now and then"


@pytest.mark.parametrize("killed", [False, True], ids=["in the same run", "by the next run"])
def test_what_is_read_back_must_sign_in_before_the_old_key_goes(killed: bool) -> None:
    """Somebody switches the new key off when it has been put in its places, and the list still shows it active: the
    old one goes on working."""
    computer = Computer(Aws(list_lag=3600))
    computer.aws.pause(4000)
    at = point(Computer(), "written", -1)

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


def test_no_note_outlives_the_pair_that_it_names() -> None:
    """Killed while it tidies up, and then the files are emptied: nobody is left who could sign in to see that all is
    done, so that the note would block for ever."""
    for at in range(POINTS):
        computer = Computer()
        survived = computer.run(kill_at=at) is not None
        stored = {record[0].key_id for record in computer.home.records.values() if record}
        assert all(isinstance(note, Note) and note.wanted in (None, *stored) for note in computer.home.notes.values())
        if survived:
            break
    assert 40 < at < POINTS


@pytest.mark.parametrize("word", WORDS)
def test_any_single_failure_is_survived(word: str) -> None:
    """In the same run or, where the run ends with a problem, in the next one."""
    for point in range(POINTS):
        computer = Computer()
        results = computer.run(faults={point: word})
        assert results
        if any(result.problem for result in results):
            computer.aws.pause(30)
            computer.run()
        computer.settled()


def point(computer: Computer, name: str, nth: int) -> int:
    """The number of a point of that name in an undisturbed run of such a computer."""
    twin = Computer(Aws(computer.aws.list_lag, computer.aws.sign_in_lag))
    twin.run()
    return [number for number, each in enumerate(twin.points.names) if each == name][nth]


def is_on(computer: Computer) -> bool:
    """Whether the old key still works."""
    return computer.aws.there().get(computer.old.key_id) == "Active"


@dataclass(frozen=True)
class Try:
    """One run: where it is killed, what fails, who meddles, and how long it is until the next."""

    kill_at: int | None
    faults: dict[int, str]
    meddling: dict[int, str] = field(default_factory=dict)
    force: bool = False
    pause: float = 1


MEDDLING = [
    "makes a key",
    "makes a key and uses it",
    "makes a key and puts it here",
    "deletes the old key",
    "switches the old key off",
    "deletes the new key",
    "switches the new key off",
    "puts a foreign key here",
    "empties a profile",
    "restores the old file",
]


def tries(*, meddling: bool) -> st.SearchStrategy[Try]:
    """Any run; points that it does not reach do nothing."""
    points = st.integers(0, POINTS - 5)
    meddlers = st.dictionaries(points, st.sampled_from(MEDDLING), max_size=2) if meddling else st.just({})
    return st.builds(
        Try,
        kill_at=st.none() | points,
        faults=st.dictionaries(points, st.sampled_from(WORDS), max_size=3),
        meddling=meddlers,
        force=st.booleans(),
        pause=st.sampled_from([0.5, 1, 5, 30, 600]),
    )


@st.composite
def computers(draw: st.DrawFn) -> Computer:
    """Alice's computer, with some lags of AWS, and perhaps a file that can only be written in place."""
    computer = Computer(Aws(draw(st.sampled_from([0, 2, 8])), draw(st.sampled_from([0, 3, 10]))))
    computer.home.in_place = draw(st.sampled_from([set(), {DEFAULT.path}, {WORK.path}]))
    return computer


def meddle(computer: Computer, what: str) -> None:
    """Somebody else does something."""
    new = next((k for k in reversed(computer.aws.there()) if computer.aws.keys[k].maker == "us"), "")
    match what:
        case "makes a key":
            computer.makes_a_key()
        case "makes a key and uses it":
            computer.makes_a_key(used=True)
        case "makes a key and puts it here":
            if made := computer.makes_a_key():
                computer.puts(WORK, made)
        case "deletes the old key":
            computer.changes(computer.old.key_id, None)
        case "switches the old key off":
            computer.changes(computer.old.key_id, "Inactive")
        case "deletes the new key":
            computer.changes(new, None)
        case "switches the new key off":
            computer.changes(new, "Inactive")
        case "puts a foreign key here":
            computer.puts(DEFAULT, FOREIGN)
        case "empties a profile":
            computer.puts(WORK, None)
        case "restores the old file":
            if computer.points.names[-1] == "search":  # nobody can hinder it between a search and what follows
                computer.puts(WORK, computer.old)
                if computer.aws.there().get(computer.old.key_id) != "Active":
                    computer.meddled.add(computer.old.key_id)


def rotate(computer: Computer, script: list[Try], keep_old: timedelta, old_active: bool) -> None:
    """The runs, one after the other, and the time between them."""
    for run in script:
        meet = {point: lambda what=what: meddle(computer, what) for point, what in run.meddling.items()}
        computer.run(
            run.kill_at,
            run.faults,
            meet,
            force=run.force,
            keep_old=keep_old,
            old_active=old_active,
        )
        computer.aws.pause(run.pause)


KEEP = st.sampled_from([timedelta(0), timedelta(hours=1)])


@settings(max_examples=300)
@given(computers(), st.lists(tries(meddling=False), min_size=1, max_size=4), KEEP, st.booleans())
def test_whatever_fails_a_run_without_disturbance_ends_with_one_key(
    computer: Computer, script: list[Try], keep_old: timedelta, old_active: bool
) -> None:
    """Killed and failing again and again: then one run, or two if the first takes back, leaves the one key."""
    rotate(computer, script, keep_old, old_active)
    computer.aws.pause(4000)
    results = computer.run()
    assert results and not any(result.problem for result in results)
    if any(result.outcome and result.outcome.ending is Ending.TAKEN_BACK for result in results):
        computer.run()
    computer.settled()


@settings(max_examples=300)
@given(computers(), st.lists(tries(meddling=True), min_size=1, max_size=4), KEEP, st.booleans())
def test_whoever_meddles_nothing_of_theirs_is_deleted_and_nobody_is_locked_out(
    computer: Computer, script: list[Try], keep_old: timedelta, old_active: bool
) -> None:
    """Other people change keys and files in the middle: every run ends, and the promises are kept at each point."""
    rotate(computer, script, keep_old, old_active)
    computer.aws.pause(4000)
    assert computer.run()
    assert len(computer.progress.doings) < 60
