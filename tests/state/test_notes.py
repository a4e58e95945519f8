"""Notes on the disk: whole or not at all, private, and never a surprise to who reads them."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.core.errors import Problem, Unreadable
from rotate_my_key.core.model import Identity, InPlace, Place, PlaceKind
from rotate_my_key.core.plan import NOTE_VERSION, Note
from rotate_my_key.state.notes import FileNotes

NAME = "AKIAOLDOLDOLDOLDOLD1"
AT = datetime(2026, 5, 4, 12, 30, 15, 123456, UTC)
NOTE = Note(
    name=NAME,
    identity=Identity("123456789012", "arn:aws:iam::123456789012:user/alice"),
    endpoint="aws",
    unwanted=NAME,
    known=(NAME,),
    places=(Place("/home/alice/.aws/credentials", "default"),),
    began=AT,
    switch_off_at=AT,
    delete_at=AT + timedelta(days=7),
)

texts = st.text(max_size=20)
ids = st.from_regex(r"[A-Z0-9]{4,20}", fullmatch=True)
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
places = st.builds(Place, texts, texts, st.sampled_from(PlaceKind))
notes = st.builds(
    Note,
    name=ids,
    identity=st.builds(Identity, texts, texts),
    endpoint=texts,
    unwanted=ids,
    known=st.lists(ids, max_size=2).map(tuple),
    places=st.lists(places, max_size=3).map(tuple),
    began=times,
    switch_off_at=times,
    delete_at=times,
    wanted=st.none() | ids,
    may_delete=st.none() | ids,
    sent=st.none() | times,
    lost=st.lists(times, max_size=2).map(tuple),
    in_place=st.lists(st.builds(InPlace, places, st.integers(0), st.integers(0)), max_size=2).map(tuple),
    again=st.booleans(),
    undo=st.booleans(),
    told=st.booleans(),
    copies=st.booleans(),
    followed=st.booleans(),
    leaked=st.booleans(),
    extended=st.booleans(),
    host=texts,
    boot=texts,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the notes are; not there yet."""
    return tmp_path / "rotations"


@given(notes)
def test_a_note_is_read_back_as_it_was(note: Note) -> None:
    """All of it, whatever paths and profiles are called; the kind of a place is no part of what it is."""
    read = FileNotes("/nowhere").decode(FileNotes("/nowhere").encode(note))
    assert read == note
    assert [place.kind for place in read.places] == [place.kind for place in note.places]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from(sorted(json.loads(FileNotes("").encode(NOTE)))), json_values)
def test_a_note_with_a_wrong_value_is_read_right_or_not_at_all(field: str, value: Any) -> None:
    """It never becomes a note that something stumbles over later."""
    store = FileNotes("/nowhere")
    plain = json.loads(store.encode(NOTE)) | {field: value}
    try:
        note = store.decode(json.dumps(plain).encode())
    except Problem as problem:
        assert problem.hint
        return
    assert store.decode(store.encode(note)) == note


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" " * 4096, id="reserved"),
        pytest.param(b"\xff\xfe\0", id="not text"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="no version"),
        pytest.param(b'{"version": 1}', id="nothing but a version"),
        pytest.param(b'{"version": "new"}', id="a version that is none"),
        pytest.param(b'{"version": Infinity}', id="an endless version"),
        pytest.param(FileNotes("").encode(NOTE)[:-9], id="cut off"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(FileNotes("").encode(NOTE).replace(b"+00:00", b""), id="times without a zone"),
    ],
)
def test_what_makes_no_sense_is_unreadable(record: bytes) -> None:
    """A torn or foreign file is said to be one."""
    with pytest.raises(Unreadable):
        FileNotes("/nowhere").decode(record)


def test_a_newer_version_is_left_alone() -> None:
    """It is not unreadable, so nobody moves it aside."""
    record = json.dumps({"version": NOTE_VERSION + 1}).encode()
    with pytest.raises(Problem) as caught:
        FileNotes("/nowhere").decode(record)
    assert not isinstance(caught.value, Unreadable)
    assert "newer" in caught.value.message


def test_notes_are_private_and_hold_no_secret(folder: Path) -> None:
    """0600 in a folder of 0700."""
    FileNotes(str(folder)).create(NOTE)
    (file,) = folder.iterdir()
    if os.name == "posix":
        assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "secret" not in file.read_text()


def test_names_are_oldest_first_and_readable_or_not(folder: Path) -> None:
    """Other files in the folder are none."""
    store = FileNotes(str(folder))
    store.create(NOTE)
    (folder / "AKIAOLDER.note").write_bytes(b"\0")
    (folder / "not a note.note").write_bytes(b"\0")
    (folder / f"{NAME}.staged").write_bytes(b"\0")
    os.utime(folder / "AKIAOLDER.note", (1, 1))
    assert store.names() == ("AKIAOLDER", NAME)
    with pytest.raises(Unreadable):
        store.load("AKIAOLDER")


def test_a_note_set_aside_is_kept_under_another_name(folder: Path) -> None:
    """Somebody may want to look at it; it is no note any more."""
    store = FileNotes(str(folder))
    store.create(NOTE)
    aside = store.set_aside(NAME)
    assert store.names() == ()
    assert store.decode(Path(aside).read_bytes()) == NOTE


@pytest.mark.parametrize("name", ["../escape", "a/b", "", "akia", "AKIA\n"])
def test_a_name_never_leads_out_of_the_folder(folder: Path, name: str) -> None:
    """A key id comes from AWS or from a file, and is not trusted."""
    with pytest.raises(Problem):
        FileNotes(str(folder)).load(name)
