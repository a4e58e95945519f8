"""The same cases against each port in memory and against the real thing: IAM over HTTP, files on the disk."""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotate_my_key.aws.client import Aws as RealAws
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Denied, Gone, KeyRefused, NoRoom, TryLater, Unanswered, Unreadable
from rotate_my_key.core.model import AccessKey, Credentials, InPlace, Place
from rotate_my_key.core.plan import Note
from rotate_my_key.core.policy import Past
from rotate_my_key.keyring.store import LocalStaging
from rotate_my_key.profiles.file import ProfilePaths
from rotate_my_key.profiles.places import LocalPlaces
from rotate_my_key.rotation.ports import Account, History, Notes, Places, Staging
from rotate_my_key.state.history import FileHistory
from rotate_my_key.state.notes import FileNotes
from tests.engine.fakes import (
    ALICE,
    START,
    Aws,
    FakeAccount,
    FakeHistory,
    FakeNotes,
    FakePlaces,
    FakeStaging,
    Home,
    Points,
)
from tests.standin import StandIn

OLD = Credentials("AKIAOLDOLDOLDOLDOLD1", "oldSecret/K7MDENG+bPxRfiCYEXAMPLEKEY==xy")
NEW = Credentials("AKIANEWNEWNEWNEWNEW2", "/nEw+sec/K7MDENG+bPxRfiCYEXAMPLEKEYxyz=0")
FOREIGN = Credentials("AKIAFOREIGNFOREIGN03", "aNother+sec/K7MDENG+bPxRfiCYEXAMPLEKEY00")

both = pytest.mark.parametrize("kind", ["in memory", "real"])


# AWS


@dataclass
class Cloud:
    """Alice's account at AWS, whichever, and how to make it misbehave."""

    account: Account
    add: Callable[[], Credentials]
    deny: Callable[[str], None]
    lose_create: Callable[[], None]


@pytest.fixture
def cloud(kind: str, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """Alice, without a key yet."""
    if kind == "in memory":
        aws, points = Aws(), Points()
        yield Cloud(
            FakeAccount(aws, points),
            lambda: aws.add("alice", timedelta(days=98)),
            aws.denies.add,
            lambda: points.start(faults={0: "lost"}),
        )
        return
    request.getfixturevalue("nobody")
    standin: StandIn = request.getfixturevalue("running")
    standin.reset()
    standin.add_user("alice")
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    real = RealAws(
        os.environ,
        version="0",
        clock=lambda: datetime.now(UTC),
        sleep=sleep,
        monotonic=lambda: passed[0],
        endpoint_url=standin.url,
    )
    yield Cloud(
        IamAccount(real, proof_interval=timedelta(0)),
        lambda: standin.add_key("alice", timedelta(days=98)),
        lambda action: standin.deny(action.split(":")[1]),
        lambda: standin.fault("CreateAccessKey", "drop", when="after"),
    )
    real.close()


def listed(cloud: Cloud) -> tuple[AccessKey, ...]:
    """What ListAccessKeys shows."""
    return cloud.account.keys()


@both
def test_a_look_tells_who_and_which_keys(cloud: Cloud) -> None:
    """Signed by the first pair that AWS accepts; the old key is among the keys. Any other is refused. A last
    use that cannot be known is no obstacle, and not never."""
    pair = cloud.add()
    look = cloud.account.look([FOREIGN, pair])
    assert look.signer == pair
    assert cloud.account.identify(pair) == look.identity
    assert look.identity.is_user and look.identity.user == "alice"
    (key,) = look.keys
    assert (key.key_id, key.active) == (pair.key_id, True)
    assert look.now - key.created >= timedelta(days=98)
    assert look.last_use and not look.last_use.is_evidence
    assert cloud.account.now() - look.now < timedelta(minutes=1)
    with pytest.raises(KeyRefused):
        cloud.account.look([FOREIGN])
    with pytest.raises(KeyRefused):
        cloud.account.identify(FOREIGN)
    cloud.deny("iam:GetAccessKeyLastUsed")
    assert cloud.account.last_use(pair.key_id) is None


@both
def test_a_new_key_is_made_proven_and_listed(cloud: Cloud) -> None:
    """What CreateAccessKey gives signs in as the same user. There is no third key."""
    pair = cloud.add()
    who = cloud.account.look([pair]).identity
    made, key = cloud.account.create()
    assert (made.key_id, key.active) == (key.key_id, True)
    assert key.created.microsecond == 0
    assert cloud.account.prove(made, 3) == who
    cloud.account.sign_with([made, pair])
    assert {key.key_id for key in listed(cloud)} == {pair.key_id, made.key_id}
    with pytest.raises(NoRoom):
        cloud.account.create()


@both
def test_a_lost_answer_is_told_and_its_key_shows(cloud: Cloud) -> None:
    """Unanswered: it may have been carried out; here it was."""
    pair = cloud.add()
    cloud.account.look([pair])
    before = cloud.account.now()
    cloud.lose_create()
    with pytest.raises(Unanswered):
        cloud.account.create()
    (stray,) = [key for key in listed(cloud) if key.key_id != pair.key_id]
    assert before - timedelta(seconds=2) <= stray.created <= before + timedelta(seconds=20)
    assert cloud.account.last_use(stray.key_id)


@both
def test_a_key_is_switched_off_and_on_and_deleted(cloud: Cloud) -> None:
    """And one that is not there is Gone."""
    pair, second = cloud.add(), cloud.add()
    cloud.account.look([pair])
    cloud.account.set_active(second.key_id, False)
    assert [key.status for key in listed(cloud) if key.key_id == second.key_id] == ["Inactive"]
    with pytest.raises(KeyRefused):
        cloud.account.look([second])
    cloud.account.look([pair])
    cloud.account.set_active(second.key_id, True)
    cloud.account.delete(second.key_id)
    assert [key.key_id for key in listed(cloud)] == [pair.key_id]
    with pytest.raises(Gone):
        cloud.account.delete(second.key_id)
    with pytest.raises(Gone):
        cloud.account.set_active(second.key_id, False)


@both
@pytest.mark.parametrize(
    ("action", "call"),
    [
        ("iam:CreateAccessKey", lambda account, key_id: account.create()),
        ("iam:UpdateAccessKey", lambda account, key_id: account.set_active(key_id, False)),
        ("iam:DeleteAccessKey", lambda account, key_id: account.delete(key_id)),
        ("iam:ListAccessKeys", lambda account, key_id: account.keys()),
    ],
)
def test_a_denial_names_the_action(cloud: Cloud, action: str, call: Callable[[Account, str], object]) -> None:
    """And nothing was done."""
    pair = cloud.add()
    cloud.account.look([pair])
    cloud.deny(action)
    with pytest.raises(Denied) as caught:
        call(cloud.account, pair.key_id)
    assert caught.value.action == action
    assert cloud.account.prove(pair, 1).user == "alice"


# Places


@dataclass
class Disk:
    """The default and the work profile, in files or in memory."""

    places: Places
    default: Place
    work: Place
    put: Callable[[Place, Credentials | None], None]

    def held(self, *ids: str) -> dict[str, Credentials | None]:
        """What a search finds, by profile."""
        return {h.place.profile: h.pair for h in self.places.search(ids, [self.default, self.work])}


def no_note(writes: Collection[InPlace]) -> None:
    """Files that can be replaced are not noted."""
    raise AssertionError


@pytest.fixture
def disk(kind: str, tmp_path: Path) -> Disk:
    """Both profiles hold the old pair."""
    if kind == "in memory":
        default, work = Place("/home/credentials", "default"), Place("/home/credentials", "work")
        home = Home({default: OLD, work: OLD})
        return Disk(FakePlaces(home, Points()), default, work, home.places.__setitem__)
    path = tmp_path / "credentials"
    default, work = Place(str(path), "default"), Place(str(path), "work")
    held: dict[Place, Credentials | None] = {default: OLD, work: OLD}

    def put(place: Place, pair: Credentials | None) -> None:
        held[place] = pair
        text = "# kept\n"
        for place, pair in held.items():
            text += f"[{place.profile}]\nregion = eu-west-1\n"
            text += f"aws_access_key_id = {pair.key_id}\naws_secret_access_key = {pair.secret}\n" if pair else ""
        path.write_text(text)

    put(default, OLD)
    return Disk(LocalPlaces(ProfilePaths(str(path), str(tmp_path / "config"))), default, work, put)


@both
def test_a_search_gives_what_is_there_now(disk: Disk) -> None:
    """The places that hold an id, and each known place whatever it holds; or every pair. An empty place is none."""
    assert disk.held(OLD.key_id) == {"default": OLD, "work": OLD}
    disk.put(disk.work, FOREIGN)
    assert {h.place.profile for h in disk.places.search([OLD.key_id])} == {"default"}
    assert {h.place.profile for h in disk.places.search([FOREIGN.key_id])} == {"work"}
    assert {h.place.profile: h.pair for h in disk.places.pairs()} == {"default": OLD, "work": FOREIGN}
    disk.put(disk.work, None)
    assert disk.held() == {"default": OLD, "work": None}
    assert [h.pair for h in disk.places.pairs()] == [OLD]


@both
def test_a_write_changes_every_place_that_holds_the_old_pair(disk: Disk) -> None:
    """And leaves alone one that holds another. What is whole is not torn, nor is it mended."""
    assert disk.places.rehearse([disk.default, disk.work], OLD) == []
    disk.put(disk.work, FOREIGN)
    disk.places.write([disk.default, disk.work], OLD, NEW, no_note)
    assert disk.held() == {"default": NEW, "work": FOREIGN}
    disk.places.write([disk.default], OLD, NEW, no_note)
    assert disk.held() == {"default": NEW, "work": FOREIGN}
    disk.places.write([disk.default], NEW, OLD, no_note)
    write = InPlace(disk.default, 0, 10)
    assert not disk.places.is_torn(write, OLD, NEW)
    disk.places.mend([write], OLD, NEW)
    assert disk.held() == {"default": OLD, "work": FOREIGN}


# Records


@pytest.fixture
def staging(kind: str, tmp_path: Path) -> Staging:
    """An empty one."""
    return FakeStaging(Home(), Points()) if kind == "in memory" else LocalStaging(str(tmp_path / "rotations"))


@both
def test_staged_pairs_are_kept_by_role(staging: Staging) -> None:
    """Room that is only reserved is no pair; a record is replaced; dropped, all are gone."""
    name = OLD.key_id
    assert (staging.names(), staging.get(name), staging.get_record(name)) == ((), {}, None)
    staging.reserve(name)
    assert (staging.names(), staging.get(name), staging.get_record(name)) == ((name,), {}, None)
    staging.put(name, "kept", OLD, b"early")
    staging.put(name, "staged", NEW, b"late")
    assert staging.get(name) == {"staged": NEW, "kept": OLD}
    assert staging.get_record(name) == b"late"
    staging.reserve(name)
    assert staging.get(name)["staged"] == NEW
    staging.put(name, "staged", FOREIGN)
    assert staging.get(name)["staged"] == FOREIGN
    assert staging.get(FOREIGN.key_id) == {}
    staging.drop(name)
    staging.drop(name)
    assert (staging.names(), staging.get(name)) == ((), {})


NOTE = Note(
    name=OLD.key_id,
    identity=ALICE,
    endpoint="aws",
    unwanted=OLD.key_id,
    known=(OLD.key_id,),
    places=(Place("/home/alice/.aws/credentials", "default"),),
    began=START,
    switch_off_at=START,
    delete_at=START,
)


@pytest.fixture
def notes(kind: str, tmp_path: Path) -> Notes:
    """None yet."""
    return FakeNotes(Home(), Points()) if kind == "in memory" else FileNotes(str(tmp_path / "rotations"))


@both
def test_notes_are_made_once_saved_and_removed(notes: Notes) -> None:
    """A second run that makes the same note learns that one is there; a record that makes no sense is no note."""
    assert (notes.names(), notes.load(NOTE.name)) == ((), None)
    notes.create(NOTE)
    with pytest.raises(TryLater):
        notes.create(NOTE)
    assert (notes.names(), notes.load(NOTE.name)) == ((NOTE.name,), NOTE)
    sent = replace(NOTE, sent=START, wanted=NEW.key_id)
    notes.save(sent)
    assert notes.load(NOTE.name) == sent
    assert notes.decode(notes.encode(sent)) == sent
    assert notes.set_aside(NOTE.name)
    assert (notes.names(), notes.load(NOTE.name)) == ((), None)
    notes.create(NOTE)
    notes.remove(NOTE.name)
    notes.remove(NOTE.name)
    assert notes.names() == ()
    with pytest.raises(Unreadable):
        notes.decode(b"\0")


@both
def test_history_keeps_its_order(kind: str, tmp_path: Path) -> None:
    """Oldest first."""
    history: History = (
        FakeHistory(Home(), Points()) if kind == "in memory" else FileHistory(str(tmp_path / "history.jsonl"))
    )
    past = [Past(START, "rotated", "123456789012", ALICE.arn, OLD.key_id, NEW.key_id, (OLD.key_id,), ("x [y]",))]
    past.append(past[0]._replace(action="deleted", new=None, at=START + timedelta(days=1)))
    assert history.entries() == ()
    for each in past:
        history.add(each)
    assert history.entries() == tuple(past)
