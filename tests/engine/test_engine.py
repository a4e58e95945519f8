"""What is hard to provoke from outside: the loop on ports in memory, a story a test."""

from datetime import timedelta

import pytest

from rotate_my_key.core.errors import KeyRefused, NeedsPerson, NoRoom, OtherIdentity, Problem, TryLater
from rotate_my_key.core.model import Credentials, Holding, Identity, LastUse, Place
from rotate_my_key.core.plan import PlaceState, Step
from rotate_my_key.rotation.facts import classify
from rotate_my_key.rotation.incoming import sign_in
from rotate_my_key.rotation.ports import Ending
from rotate_my_key.rotation.prepare import RotateOptions, prepare
from rotate_my_key.rotation.run import Result
from rotate_my_key.rotation.survey import with_notes
from rotate_my_key.rotation.unfinished import unfinished
from tests.engine.computer import DEFAULT, POLICY, WORK, Computer, point
from tests.engine.fakes import Aws, FakeAccount

OLD, NEW = Credentials("AKIAOLD", "old secret"), Credentials("AKIANEW", "new secret")
FOREIGN = Credentials("AKIAFOREIGN00000000X", "of another account")


def only(results: list[Result] | None) -> Result:
    """The one result."""
    assert results is not None
    (result,) = results
    return result


@pytest.fixture
def computer() -> Computer:
    """Alice's computer."""
    return Computer()


@pytest.mark.parametrize(
    ("held", "wanted", "unwanted", "state"),
    [
        pytest.param(OLD, NEW, OLD, PlaceState.UNWANTED, id="the old pair"),
        pytest.param(NEW, NEW, OLD, PlaceState.WANTED, id="the new pair"),
        pytest.param(NEW, None, OLD, PlaceState.OTHER, id="no key is wanted yet"),
        pytest.param(None, NEW, OLD, PlaceState.EMPTY, id="nothing"),
        pytest.param(FOREIGN, NEW, OLD, PlaceState.OTHER, id="another pair"),
        pytest.param(Credentials(OLD.key_id, "x"), NEW, OLD, PlaceState.OTHER, id="the old id, another secret"),
        pytest.param(Credentials(NEW.key_id, "x"), NEW, OLD, PlaceState.OTHER, id="the new id, another secret"),
        pytest.param(OLD, NEW, OLD.key_id, PlaceState.UNWANTED, id="the old secret is not stored: by id"),
        pytest.param(NEW, NEW.key_id, OLD, PlaceState.WANTED, id="the new secret is not stored: by id"),
    ],
)
def test_what_a_place_holds(
    held: Credentials | None, wanted: Credentials | str | None, unwanted: Credentials | str, state: PlaceState
) -> None:
    """Old, new, nothing or other."""
    assert classify(Holding(DEFAULT, held), wanted, unwanted) is state


def test_two_keys_that_became_one_are_parted_again(computer: Computer) -> None:
    """Undone, the younger key stays where it was before; both are active, and no copy is left."""
    younger = computer.aws.add("alice", timedelta(days=10))
    computer.puts(WORK, younger)
    computer.run(keep_old=timedelta(days=7))
    assert set(computer.home.places.values()) == {younger}
    computer.aws.pause(60)
    computer.undo()
    assert computer.home.places == {DEFAULT: computer.old, WORK: younger}
    assert list(computer.aws.there().values()) == ["Active", "Active"]
    assert computer.home.records == {} and computer.home.notes == {}


def test_two_keys_become_one_in_a_later_run(computer: Computer) -> None:
    """A file that cannot be written takes nothing back: no key was made. The next run goes on."""
    other = Computer()
    for each in (computer, other):
        each.puts(WORK, each.aws.add("alice", timedelta(days=10)))
    assert only(computer.run(faults={point("write", computer=other): "full"})).problem
    assert list(computer.aws.there().values()) == ["Active", "Active"]
    computer.run()
    assert set(computer.home.places.values()) == {computer.home.places[WORK]}
    assert len(computer.aws.there()) == 1 and computer.home.records == {}


def test_a_key_of_somebody_else_is_taken_back(computer: Computer) -> None:
    """A new key that signs in as another identity is not used: it goes, exit 1."""

    def other() -> None:
        computer.account.signs_in_as = Identity("999999999999", "arn:aws:iam::999999999999:user/eve")

    def alice() -> None:
        computer.account.signs_in_as = computer.account.identity

    at = point("prove")
    problem = only(computer.run(meet={at: other, at + 2: alice})).problem
    assert isinstance(problem, OtherIdentity)
    assert computer.aws.there() == {computer.old.key_id: "Active"}
    assert set(computer.home.places.values()) == {computer.old}


def test_a_place_that_cannot_be_written_after_all_is_taken_back(computer: Computer) -> None:
    """The rehearsal went well, the second write does not: the first is taken back too, exit 1."""
    problem = only(computer.run(faults={point("write", nth=1): "full"})).problem
    assert problem and problem.code == 1
    assert computer.aws.there() == {computer.old.key_id: "Active"}
    assert set(computer.home.places.values()) == {computer.old}
    assert computer.home.notes == {}


def test_a_lost_answer_that_shows_late_is_made_good(computer: Computer) -> None:
    """The list shows it only when AWS has refused a third key."""
    computer.aws.list_lag = 25
    result = only(computer.run(faults={point("create"): "lost"}))
    assert result.outcome and result.outcome.ending is Ending.ROTATED
    computer.settled()


def test_two_lost_answers_are_left_to_the_next_run(computer: Computer) -> None:
    """Exit 75; nothing is lost."""
    first = point("create")
    lost = dict.fromkeys(range(first, first + 60), "lost before")
    problem = only(computer.run(faults=lost)).problem
    assert isinstance(problem, TryLater)
    assert computer.progress.doings.count(Step.CREATE) == 2
    computer.aws.pause(60)
    assert only(computer.run()[-1:]).outcome  # type: ignore[index]
    computer.settled()


@pytest.mark.parametrize("here", [False, True], ids=["somebody uses", "a profile here holds"])
def test_a_key_in_use_is_not_taken_for_the_lost_one(computer: Computer, here: bool) -> None:
    """Made in the same second: by another computer, and there is no room for ours; or in the console, and put into a
    profile, so that it is in use whatever its last use says."""
    at = point("create")
    made: list[Credentials | None] = []

    def meddle() -> None:
        made.append(computer.makes_a_key(used=not here))
        if here:
            computer.puts(Place("/home/alice/.aws/credentials", "other"), made[0])

    assert computer.run(kill_at=at + 1, faults={at: "lost before"}, meet={at: meddle}) is None
    computer.aws.pause(100)
    problem = (computer.run() or [])[-1].problem
    assert here or isinstance(problem, NeedsPerson | NoRoom)
    assert made[0] and computer.aws.there()[made[0].key_id] == "Active"


@pytest.mark.parametrize("times", [1, 3])
def test_a_throttled_create_is_sent_again(computer: Computer, times: int) -> None:
    """AWS has said that nothing was made; each sending is noted anew."""
    at = point("create")
    faults = {at + number * 6: "throttled" for number in range(times)}
    assert only(computer.run(faults=faults)).outcome
    computer.settled()


def test_a_full_disk_costs_the_new_key_and_nothing_else(computer: Computer) -> None:
    """A secret that cannot be stored is of no use: its key goes at once."""
    problem = only(computer.run(faults={point("created") + 1: "full"})).problem
    assert problem and "nothing changed" in problem.message
    assert computer.aws.there() == {computer.old.key_id: "Active"}
    assert computer.home.notes == {} and computer.home.records == {}


def test_a_history_that_cannot_be_written_stops_nothing(computer: Computer) -> None:
    """It is said, and no more."""
    assert only(computer.run(faults={point("history"): "full"})).outcome
    assert "history" in computer.progress.warnings[0]
    computer.settled()


DAY = timedelta(days=1)


def test_an_overlap_counts_from_the_switch(computer: Computer) -> None:
    """Not from the day on which a rotation began that was stopped; what is kept afterwards counts from its end."""
    computer.run(kill_at=point("prove"), overlap=DAY, keep_old=DAY)
    computer.aws.pause(3 * 86400)
    computer.run()
    for late, status in ((0.9, "Active"), (3, "Inactive"), (0.9, "Inactive"), (0.2, None)):
        computer.aws.pause(late * 86400)
        computer.run()
        assert computer.aws.there().get(computer.old.key_id) == status
    computer.settled()


def test_an_overlap_ends_as_agreed_where_aws_does_not_tell_of_the_use(computer: Computer) -> None:
    """Denied is not "still in use"."""
    computer.aws.denies = {"iam:GetAccessKeyLastUsed"}
    computer.run(overlap=DAY)
    computer.aws.keys[computer.old.key_id].use = LastUse(computer.aws.now() + DAY / 2, "s3", "eu-west-1")
    computer.aws.pause(86400 + 60)
    computer.run()
    computer.settled()


@pytest.mark.parametrize(("force", "days", "keys"), [(False, 365, 6), (True, 40, 21)], ids=["what is due", "all keys"])
def test_a_year_of_daily_runs(computer: Computer, force: bool, days: int, keys: int) -> None:
    """Never more than two keys; each goes on working for a day after it was replaced; one is left."""
    used = {computer.old.key_id: computer.aws.now()}
    for _ in range(days):
        computer.run(overlap=DAY, force=force)
        used[computer.find().key_id] = computer.aws.now()
        computer.aws.pause(86400 - 600)
        there = computer.aws.there()
        assert len(there) <= 2
        assert all(there.get(key_id) == "Active" for key_id, at in used.items() if computer.aws.now() - at < DAY)
    assert len(used) == keys
    computer.aws.pause(2 * 86400)
    computer.run()
    computer.settled()


def test_a_key_that_was_made_here_just_now_is_waited_for(computer: Computer) -> None:
    """AWS refuses it for longer than a key that may be dead is asked again: it is not, as the history knows."""
    computer.run()
    computer.aws.keys[computer.find().key_id].flaps = "n" * 20
    assert only(computer.run()).outcome
    computer.settled()


def test_a_second_key_that_was_switched_on_meanwhile_is_not_given_up(computer: Computer) -> None:
    """The consent was for an inactive key."""
    second = computer.aws.add("alice", timedelta(days=400), "Inactive")
    computer.room = True
    problem = only(computer.run(meet={point("create"): lambda: computer.changes(second.key_id, "Active")})).problem
    assert isinstance(problem, NoRoom)
    assert computer.aws.there() == {computer.old.key_id: "Active", second.key_id: "Active"}


def test_a_list_that_lags_does_not_bring_back_what_was_deleted() -> None:
    """After a lost answer the list is fetched once more at the end, and still shows the old key."""
    computer = Computer(Aws(list_lag=14))
    assert only(computer.run(faults={point("create"): "lost"})).outcome
    computer.settled()
    assert len(computer.points.names) < 250


def test_a_new_key_that_is_not_listed_yet_is_not_forgotten_when_taken_back() -> None:
    """A run turns round and is killed; the next one, seconds later, sees a list without the new key."""
    computer = Computer(Aws(list_lag=8))
    at = point("write", nth=1)
    assert computer.run(faults={at: "full"}, kill_at=at + 6) is None
    computer.run()
    assert len(computer.aws.there()) == 1


def test_a_key_that_the_list_does_not_show_yet_is_rotated_if_that_is_forced() -> None:
    """Just after a rotation; it is not passed over as fresh."""
    computer = Computer(Aws(list_lag=8))
    first = only(computer.run())
    second = only(computer.run(force=True))
    assert first.outcome and second.outcome and second.outcome.ending is Ending.ROTATED
    assert second.outcome.old == first.outcome.new
    computer.settled()


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=400)])
def test_a_refused_key_is_not_waited_for_as_long_as_a_wrong_clock_says(computer: Computer, ahead: timedelta) -> None:
    """Our clock is ahead until AWS has answered: an hour, or a year."""
    account = FakeAccount(computer.aws, computer.points, clock_off=ahead.total_seconds())
    before = computer.aws.seconds
    with pytest.raises(KeyRefused):
        sign_in(FOREIGN, account, computer.aws.pause)
    assert computer.aws.seconds - before < 60


@pytest.mark.parametrize("denied", [False, True])
def test_a_key_that_was_switched_off_a_moment_ago_is_switched_on_before_it_is_put_back(denied: bool) -> None:
    """Undone at once: the list still shows it as active, and it still signs in. If that is denied, it was left on."""
    computer = Computer(Aws(list_lag=8, sign_in_lag=3))
    computer.aws.denies = {"iam:UpdateAccessKey"} if denied else set()
    computer.run(**{"overlap" if denied else "keep_old": timedelta(days=7)})
    computer.undo()
    assert computer.aws.there() == {computer.old.key_id: "Active"}
    assert set(computer.home.places.values()) == {computer.old}


def test_a_key_that_the_list_does_not_show_yet_is_the_one_to_restore() -> None:
    """Killed right after the old key was switched off: the list still shows it as active, and not the new one."""
    computer = Computer(Aws(list_lag=8, sign_in_lag=3))
    assert computer.run(kill_at=point("updated", computer=Computer(Aws(list_lag=8, sign_in_lag=3)))) is None
    computer.puts(DEFAULT, None)
    computer.restore()
    (new,) = {pair for pair in computer.home.places.values() if pair}
    assert computer.home.places[DEFAULT] == new != computer.old
    computer.aws.pause(60)
    computer.run()
    computer.settled()


def test_what_is_written_over_is_stored_even_if_its_copy_was_lost(computer: Computer) -> None:
    """Somebody removes the old pair's copy while the new key is proved: it is stored again."""

    def lose() -> None:
        del computer.home.records[computer.old.key_id, "kept"]
        computer.oracle.rebase()

    assert computer.run(kill_at=point("written") + 2, meet={point("prove"): lose}) is None
    assert computer.old in {record[0] for record in computer.home.records.values() if record}


def test_a_key_that_left_its_profile_while_aws_was_asked_begins_no_rotation(computer: Computer) -> None:
    """There is no place for a new one."""
    for place in (DEFAULT, WORK):
        computer.puts(place, None)
    with pytest.raises(Problem, match="no profile here holds"):
        prepare(computer.old, RotateOptions(POLICY), computer.account, computer.here, computer.aws.pause)


def test_a_profile_without_a_key_is_not_part_of_a_rotation_that_has_made_none(computer: Computer) -> None:
    """Whose old key is in no profile any more: it has a row of its own."""
    computer.run(kill_at=point("create"))
    sso = {"kind": "sso", "key_id": None}
    first, second = with_notes([sso], unfinished(computer.here, mend=False))
    assert (first, second["key_id"], "unfinished" in second) == (sso, computer.old.key_id, True)


def test_the_other_of_two_keys_that_are_parted_again_has_a_way_out(computer: Computer) -> None:
    """Both files were emptied, and undo fills one: the other key is in no profile, and the hint retires it."""
    computer.puts(WORK, computer.aws.add("alice", timedelta(days=10)))
    computer.run(keep_old=timedelta(days=7))
    for place in (DEFAULT, WORK):
        computer.puts(place, None)
    computer.aws.pause(60)
    problem = only(computer.undo()).problem
    assert problem and "any more" in problem.message and problem.hint.startswith("rotate-my-key delete-key ")
    for _ in range(2):
        computer.delete_key(problem.hint.split()[-1])
    computer.aws.pause(60)
    computer.run()
    assert computer.home.notes == {} and computer.home.records == {}
    assert list(computer.aws.there().values()) == ["Active"]
