"""Records: what earlier versions wrote is read, what makes no sense is nothing, what is newer is left alone.

Each file in `golden/` was written by an earlier version. Never change one: add another when a form changes.
"""

import hashlib
import json
import os
import shutil
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.copies.find import Memory
from rotate_my_key.core.errors import Problem, Unreadable
from rotate_my_key.core.model import Credentials, Identity, InPlace, Place, PlaceKind
from rotate_my_key.core.plan import Note
from rotate_my_key.core.policy import Past, PendingChange
from rotate_my_key.keyring import entries
from rotate_my_key.keyring.store import Entry, Index, Line, Lines, LocalStaging, Move, Process
from rotate_my_key.schedule import job
from rotate_my_key.state import transit
from rotate_my_key.state.history import Cached, FileCache, FileHistory, HandedKeys, Mark, PendingChanges
from rotate_my_key.state.notes import FileNotes
from rotate_my_key.state.records import Newer

GOLDEN = Path(__file__).parent / "golden"
OLD, NEW = "AKIAOLDOLDOLDOLDOLD1", "AKIANEWNEWNEWNEWNEW2"
SECRET = "made/Up+SecretNothingOpensWithIt00000001"
ALICE = Identity("123456789012", "arn:aws:iam::123456789012:user/alice")
AT = datetime(2026, 5, 4, 12, 30, 15, 123456, UTC)
SECOND = AT.replace(microsecond=0)
DEFAULT = Place("/home/alice/.aws/credentials", "default")
RING = Place("/home/alice/.aws/config", "é", PlaceKind.KEYRING)
PLAIN = Note(
    name=OLD,
    identity=ALICE,
    endpoint="aws",
    unwanted=OLD,
    known=(OLD,),
    places=(DEFAULT,),
    began=AT,
    switch_off_at=AT,
    delete_at=AT + timedelta(days=7),
)
FULL = Note(
    name=OLD,
    identity=ALICE,
    endpoint="http://127.0.0.1:5000",
    unwanted=OLD,
    known=(OLD, "AKIAOTHEROTHEROTHER3"),
    places=(DEFAULT, RING),
    began=AT,
    switch_off_at=AT + timedelta(days=1),
    delete_at=AT + timedelta(days=7),
    wanted=NEW,
    may_delete="AKIAOTHEROTHEROTHER3",
    sent=AT + timedelta(seconds=1),
    lost=(AT + timedelta(seconds=2), AT + timedelta(seconds=3)),
    made=AT + timedelta(seconds=4),
    again=True,
    in_place=(InPlace(DEFAULT, 10, 60),),
    undo=True,
    told=True,
    copies=True,
    followed=True,
    leaked=True,
    extended=True,
    host="laptop",
    boot="6a0d8f7e",
)
PAST = Past(SECOND, "rotated", *("123456789012", ALICE.arn, OLD, NEW), deleted=(OLD,), places=("default", "é"))
ROWS = [{"profiles": ["default", "é"], "kind": "static pair", "key_id": NEW, "created": SECOND.isoformat()}]
MARK = Mark(OLD, "secretsmanager:rotate-my-key/alice", "it")
CHANGE = PendingChange(OLD, OLD, NEW, ALICE.account, ALICE.arn, True, ("restart", "mail"))
EXPORTED = transit.Exported(Credentials(NEW, SECRET), ALICE, "default", "eu-west-1", SECOND)
DELIVERED = transit.Delivered(Credentials(NEW, SECRET), ALICE, SECOND, OLD, "default")
ENTRY = Entry(
    config="/home/alice/.aws/config",
    ids=(OLD, NEW),
    spare=True,
    moving=Move.STORE,
    line='"/home/alice/.local/bin/rotate-my-key" credentials --profile default',
    lines=Lines("/home/alice/.aws/credentials", "credentials", (Line(1, "aws_access_key_id", "k = ", "\r\n"),)),
    process=Process("\n", "[default]\n", "credential_process", True),
)
LAST = job.Runs(job.Attempt(SECOND, 75, "offline", "rotate-my-key"), job.Attempt(SECOND - timedelta(days=1), 0))


class Memories:
    """Every record of this computer in one folder, each with what reads it and what writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = str(folder)
        self.notes, self.staging, self.handed = FileNotes(place), LocalStaging(place), HandedKeys(place)
        self.history = FileHistory(f"{place}/history.jsonl")
        self.cache = FileCache(f"{place}/status.json", [f"{place}/none"])
        self.pending, self.index = PendingChanges(place), Index(f"{place}/keyring.json", lambda: "kwallet.Ring")
        self.copies = Memory(f"{place}/copies.json")

    def sealed(self) -> transit.Exported:
        """What an export holds."""
        return transit.read_export((self.folder / "export.json").read_bytes())

    def fetched(self) -> transit.Delivered:
        """What a delivery holds."""
        return transit.read_delivery((self.folder / "delivery.json").read_bytes())

    def rows(self) -> list[dict[str, object]]:
        """What was cached."""
        return self.cache.load().rows


Read = Callable[[Memories], object]
# golden file: where it lies on a computer, what reads it, what it says
READ: dict[str, tuple[str, Read, object]] = {
    "note": (f"{OLD}.note", lambda m: m.notes.load(OLD), PLAIN),
    "note-full": (f"{OLD}.note", lambda m: m.notes.load(OLD), FULL),
    "note-first-release": (
        f"{OLD}.note",
        lambda m: m.notes.load(OLD),
        replace(FULL, made=None, followed=False, leaked=False),
    ),
    "staged": (
        f"{OLD}.staged",
        lambda m: (m.staging.get(OLD), m.notes.decode(m.staging.get_record(OLD) or b"")),
        ({"staged": Credentials(NEW, SECRET)}, PLAIN),
    ),
    "kept": (f"{OLD}.kept", lambda m: m.staging.get(OLD), {"kept": Credentials(OLD, SECRET, "a token")}),
    "history": ("history.jsonl", lambda m: m.history.entries(), (PAST, PAST._replace(action="imported", old=""))),
    "status": ("status.json", Memories.rows, ROWS),
    "handed": (NEW, lambda m: m.handed.read(NEW), MARK),
    "handed-empty": (NEW, lambda m: (m.handed.ids(), m.handed.read(NEW)), ((NEW,), Mark())),
    "after": (f"{OLD}.json", lambda m: m.pending.all(), (CHANGE,)),
    "export": ("export.json", Memories.sealed, EXPORTED),
    "delivery": ("delivery.json", Memories.fetched, DELIVERED),
    "keyring": ("keyring.json", lambda m: (m.index.load(), m.index.backend), ({"default": ENTRY}, "kwallet.Ring")),
    "keyring-system": ("keyring.json", lambda m: (m.index.load(), m.index.backend), ({"default": ENTRY}, "system")),
    "schedule": ("schedule.json", lambda m: job.load_runs(str(m.folder)), LAST),
    "copies": ("copies.json", lambda m: m.copies.load(), {"/home/alice/.env": {OLD, NEW}}),
    "entry": (
        "entry",
        lambda m: entries.decode((m.folder / "entry").read_bytes().decode(errors="replace")),
        (NEW, SECRET),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_was_written_is_read(tmp_path: Path, name: str) -> None:
    """By this version, as it was meant then."""
    where, read, said = READ[name]
    shutil.copy(GOLDEN / name, tmp_path / where)
    (tmp_path / where).chmod(0o600)
    assert read(Memories(tmp_path)) == said


def _history(m: Memories) -> None:
    m.history.add(PAST)
    m.history.add(PAST._replace(action="imported", old=""))


def _schedule(m: Memories) -> None:
    assert LAST.settled
    job.keep_run(str(m.folder), LAST.settled)
    job.keep_run(str(m.folder), LAST.last)


# golden file: what writes it now; none for the forms that are only read
WRITTEN: dict[str, Callable[[Memories], object]] = {
    "note": lambda m: m.notes.create(PLAIN),
    "note-full": lambda m: m.notes.create(FULL),
    "staged": lambda m: m.staging.put(OLD, "staged", Credentials(NEW, SECRET), m.notes.encode(PLAIN)),
    "kept": lambda m: m.staging.put(OLD, "kept", Credentials(OLD, SECRET, "a token")),
    "history": _history,
    "status": lambda m: m.cache.save(ROWS),
    "handed": lambda m: m.handed.mark(NEW, MARK),
    "after": lambda m: m.pending.save(CHANGE),
    "export": lambda m: (m.folder / "export.json").write_bytes(transit.write_export(EXPORTED)),
    "delivery": lambda m: (m.folder / "delivery.json").write_text(transit.write_delivery(DELIVERED)),
    "keyring": lambda m: m.index.put("default", ENTRY),
    "schedule": _schedule,
    "copies": lambda m: m.copies.learn([("/home/alice/.env", OLD), ("/home/alice/.env", NEW)], [OLD, NEW]),
    "entry": lambda m: (m.folder / "entry").write_text(entries.encode(NEW, SECRET)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_now_is_what_was_written_then(tmp_path: Path, name: str) -> None:
    """Value by value, so that a version that comes back reads it too; it passes over what it did not know."""
    WRITTEN[name](Memories(tmp_path))
    written, golden = values((tmp_path / READ[name][0]).read_bytes()), values((GOLDEN / name).read_bytes())
    assert [now | then for now, then in zip(written, golden, strict=True)] == written


def values(data: bytes) -> list[dict[str, object]]:
    """The JSON values, one a line or one in all; where this computer's own files are named, only that they are."""
    try:
        found = [json.loads(data)]
    except ValueError:
        found = [json.loads(line) for line in data.splitlines()]
    for value in found:
        value |= {"files": len(value["files"])} if "files" in value else {}
        if "record" in value:
            record = values(b64decode(value.pop("record")))
            value |= {f"record: {name}": each for part in record for name, each in part.items()} | {"checksum": ""}
    return found


# golden file: what is read where there is nothing that makes sense, and of a newer version
NOTHING: dict[str, tuple[object, object]] = {
    "note": (Unreadable, Newer),
    "kept": ({}, Newer),
    "history": ((), ()),
    "status": ([], []),
    "handed": (Mark(), Mark()),
    "after": ((), ()),
    "export": (Unreadable, Newer),
    "delivery": (Unreadable, Newer),
    "keyring": (Unreadable, Newer),
    "schedule": (None, None),
    "copies": ({}, {}),
    "entry": (Unreadable, Newer),
}
NONSENSE = {
    "empty": b"",
    "only reserved": b" " * 4096,
    "not text": b"\xff\xfe\0",
    "no object": b"[]",
    "nothing": b"null",
    "no fields": b"{}",
    "nothing but a version": b'{"version": 1}',
    "a version that is none": b'{"version": "new"}',
    "an endless version": b'{"version": Infinity}',
    "nested without end": b"[" * 100_000,
    "cut off": None,
    "times without a zone": None,
}


def reading(folder: Path, name: str, data: bytes) -> object:
    """What a record is read as, or the kind of Problem that it is."""
    where, read, _ = READ[name]
    (folder / where).write_bytes(data)
    (folder / where).chmod(0o600)
    try:
        return read(Memories(folder))
    except Problem as problem:
        assert problem.hint
        return type(problem)


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("how", NONSENSE)
def test_what_makes_no_sense_is_said_or_is_nothing(tmp_path: Path, name: str, how: str) -> None:
    """Torn or foreign: never something that anybody stumbles over later."""
    golden = (GOLDEN / name).read_bytes()
    data = NONSENSE[how]
    if how == "cut off":
        data = golden[:40]
    elif how == "times without a zone":
        data = golden.replace(b"+00:00", b"")
        if data == golden or name == "status":  # whose rows are for whoever shows them
            return
    assert data is not None
    assert reading(tmp_path, name, data) == NOTHING[name][0]


@pytest.mark.parametrize("name", NOTHING)
def test_a_newer_version_is_left_alone(tmp_path: Path, name: str) -> None:
    """It is not unreadable, so that nobody moves it aside; what only tells of the past is as if it were not there."""
    value = json.loads(
        (GOLDEN / name).read_bytes().splitlines()[0] if name == "history" else (GOLDEN / name).read_bytes()
    )
    value["version"] = 3
    if "checksum" in value:
        del value["checksum"]
        value["checksum"] = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    assert reading(tmp_path, name, json.dumps(value).encode()) == NOTHING[name][1]


@pytest.mark.parametrize("field", [b'"replaces": 1', b'"replaces": "../x"', b'"replaces": ["AKIA"]'])
def test_a_mark_with_a_strange_value_agrees_to_nothing_more(tmp_path: Path, field: bytes) -> None:
    """The key is replaced all the same."""
    assert reading(tmp_path, "handed", b'{%s, "delivery": "x", "signer": ""}' % field) == Mark()
    assert HandedKeys(str(tmp_path)).ids() == (NEW,)


def test_a_mark_is_kept_until_it_is_cleared(tmp_path: Path) -> None:
    """A second takes the place of the first."""
    handed = HandedKeys(str(tmp_path / "handed"))
    assert handed.ids() == ()
    handed.mark(NEW)
    assert handed.read(NEW) == Mark()
    handed.mark(NEW, MARK)
    assert (handed.ids(), handed.read(NEW)) == ((NEW,), MARK)
    handed.clear(NEW)
    assert (handed.ids(), handed.read(NEW)) == ((), Mark())


@given(st.lists(st.text(max_size=20), max_size=3), st.none() | st.text(max_size=9))
def test_a_line_of_history_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], new: str
) -> None:
    """Whatever a profile is called: also line ends and other separators."""
    history = FileHistory(str(tmp_path_factory.mktemp("state") / "history.jsonl"))
    past = Past(SECOND, "rotated", "1", "arn", "AKIAOLD", new, tuple(names), tuple(names))
    history.add(past)
    history.add(PAST)
    assert history.entries() == (past, PAST)


def test_a_line_of_history_that_is_cut_off_is_passed_over(tmp_path: Path) -> None:
    """The next one begins on a line of its own."""
    m = Memories(tmp_path)
    m.history.add(PAST)
    with (tmp_path / "history.jsonl").open("ab") as torn:
        torn.write(b'{"at": "2026-05-04T12:30:15+00:00", "action": "rot')
    m.history.add(PAST)
    assert m.history.entries() == (PAST, PAST)


@pytest.mark.parametrize("changed", ["credentials", "config", None])
def test_rows_are_of_the_files_as_they_were(tmp_path: Path, changed: str | None) -> None:
    """A file that changed or came is seen: a profile may hold another key now. Who wants to know is told. A look that
    began before keeps nothing: somebody else may have kept what is newer."""
    (tmp_path / "credentials").write_text("[default]\n")
    told: list[object] = []
    files = [str(tmp_path / "credentials"), str(tmp_path / "config")]

    def cache() -> FileCache:
        return FileCache(str(tmp_path / "state" / "status.json"), files, told.append)

    early = cache()
    assert early.load() == Cached([], False)
    cache().save(ROWS)
    if changed:
        (tmp_path / changed).write_text("[other]\n# longer\n")
    assert (cache().load(), told) == (Cached(ROWS, not changed), [ROWS])
    early.save(ROWS * 2)
    assert cache().load() == (Cached(ROWS, False) if changed else Cached(ROWS * 2, True))
    assert len(told) == (1 if changed else 2)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("name", sorted(WRITTEN.keys() - {"export", "delivery", "entry"}))
def test_records_are_private_and_hold_no_secret(tmp_path: Path, name: str) -> None:
    """0600; only a stored pair has its secret in it."""
    WRITTEN[name](Memories(tmp_path))
    file = tmp_path / READ[name][0]
    assert file.stat().st_mode & 0o777 == 0o600
    assert (SECRET in file.read_text()) == (name in ("staged", "kept"))
