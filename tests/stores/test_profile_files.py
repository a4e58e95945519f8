"""The places in both profile files: found, rehearsed, written, healed."""

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType

import pytest

from rotate_my_key.errors import Problem, TryLater
from rotate_my_key.model import Credentials, Holding, InPlace, Place, PlaceKind
from rotate_my_key.stores.profile_files import ProfileFiles

OLD = Credentials("AKIAOLDOLDOLDOLDOLD1", "oldSecret/K7MDENG+bPxRfiCYEXAMPLEKEY==xy")
NEW = Credentials("AKIANEWNEWNEWNEWNEW2", "/nEw+sec/K7MDENG+bPxRfiCYEXAMPLEKEYxyz=0")
PAIR = f"aws_access_key_id = {OLD.key_id}\naws_secret_access_key = {OLD.secret}\n"
NEW_PAIR = f"aws_access_key_id = {NEW.key_id}\naws_secret_access_key = {NEW.secret}\n"
OTHER = "aws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n"


class Home:
    """A folder with both files, and the notes that a write asked for."""

    def __init__(self, folder: Path) -> None:
        self.credentials = folder / "credentials"
        self.config = folder / "config"
        self.files = ProfileFiles(str(self.credentials), str(self.config))
        self.noted: list[tuple[InPlace, ...]] = []

    def place(self, profile: str, kind: PlaceKind = PlaceKind.CREDENTIALS) -> Place:
        """The place of a profile in one of the two files."""
        return Place(str(self.credentials if kind is PlaceKind.CREDENTIALS else self.config), profile, kind)

    def found(self, known: Collection[Place] = ()) -> dict[str, Credentials | None]:
        """What a search for the old key finds, by profile."""
        return {h.place.profile: h.pair for h in self.files.search([OLD.key_id], known)}

    def write(self, *places: Place, old: Credentials = OLD, new: Credentials = NEW) -> None:
        """Put the new pair in, noting what is written in place."""
        self.files.write(places, old, new, lambda writes: self.noted.append(tuple(writes)))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty `~/.aws`."""
    return Home(tmp_path)


def test_every_place_of_a_key_is_found_in_both_files(home: Home) -> None:
    """Profiles of the credentials file by their section, of the config file by botocore's rules."""
    home.credentials.write_text(f"[a]\n{PAIR}[b]\n{OTHER}")
    home.config.write_text(f"[profile c]\n{PAIR}[default]\n{PAIR}[no-profile]\n{PAIR}")
    found = home.files.search([OLD.key_id])
    assert {(h.place.profile, h.place.kind.value) for h in found} == {
        ("a", "credentials"),
        ("c", "config"),
        ("default", "config"),
    }
    assert {h.pair for h in found} == {OLD}


def test_missing_empty_and_irregular_files_hold_nothing(home: Home) -> None:
    """SDKs pass over a file that is missing, empty or not regular (/dev/null), and so does a search."""
    assert home.found() == {}
    home.credentials.write_bytes(b"")
    os.mkfifo(home.config)
    assert home.found() == {}
    assert ProfileFiles("/dev/null", str(home.config)).search([OLD.key_id]) == ()


@pytest.mark.parametrize("line", ["{} # mine", '"{}"', "'{}'"])
def test_an_id_that_only_some_sdks_make_sense_of_is_found_and_refused(home: Home, line: str) -> None:
    """Such a profile would break unnoticed when the old key goes, so the rotation does not begin."""
    home.credentials.write_text(f"[a]\n{PAIR}[b]\n{PAIR.replace(OLD.key_id, line.format(OLD.key_id))}")
    found = home.files.search([OLD.key_id])
    assert [h.place.profile for h in found] == ["a", "b"]
    with pytest.raises(Problem, match="line 5 has"):
        home.files.rehearse([h.place for h in found], OLD)


def test_a_known_place_is_given_whatever_it_holds(home: Home) -> None:
    """Another pair, none because the profile is gone, none because the file cannot be read."""
    home.credentials.write_text(f"[b]\n{OTHER}")
    home.config.write_text("not a profile file")
    known = [home.place("a"), home.place("b"), home.place("c", PlaceKind.CONFIG)]
    assert home.found(known) == {"a": None, "b": Credentials("AKIAOTHER", "other"), "c": None}


def test_a_file_that_cannot_be_parsed_is_a_problem_unless_known(home: Home) -> None:
    """It may hold the key; nobody can tell."""
    home.config.write_text("not a profile file")
    with pytest.raises(Problem, match="line 1 stands before the first section"):
        home.found()


def test_status_sees_every_pair_and_what_is_wrong(home: Home) -> None:
    """A broken file does not hide the other one's profiles."""
    home.credentials.write_text(f"[a]\n{PAIR}[b]\nregion = x\n[ c ]\n{OTHER}[d]\naws_access_key_id = AKIA\n")
    home.config.write_text("[x]\n[x]\n")
    survey = home.files.survey()
    assert survey.holdings == (
        Holding(home.place("a"), OLD),
        Holding(home.place(" c "), Credentials("AKIAOTHER", "other")),
    )
    assert home.files.profiles() == survey.holdings
    assert [p.message.partition(", ")[2] for p in survey.problems] == [
        "line 2 begins [x] again, which line 1 does already"
    ]


def test_a_pair_with_a_session_token_is_shown_with_it(home: Home) -> None:
    """It is no long-term pair, and must not be taken for one."""
    home.credentials.write_text(f"[a]\n{PAIR}aws_session_token = t\n")
    assert home.found() == {"a": Credentials(OLD.key_id, OLD.secret, "t")}


def test_all_places_change_and_nothing_else(home: Home) -> None:
    """Both files, several profiles; a place that holds another pair is left alone."""
    home.credentials.write_text(f"# mine\n[a]\n{PAIR}[b]\n{OTHER}[c]\n{PAIR}")
    home.config.write_text(f"[profile a]\n{PAIR}region = x\n")
    places = [home.place("a"), home.place("b"), home.place("c"), home.place("a", PlaceKind.CONFIG)]
    home.write(*places)
    assert home.credentials.read_text() == f"# mine\n[a]\n{NEW_PAIR}[b]\n{OTHER}[c]\n{NEW_PAIR}"
    assert home.config.read_text() == f"[profile a]\n{NEW_PAIR}region = x\n"
    assert home.noted == []


def test_a_second_write_finds_nothing_to_do(home: Home) -> None:
    """A place that holds the new pair already is not written again."""
    home.credentials.write_text(f"[a]\n{PAIR}")
    home.write(home.place("a"))
    before = os.stat(home.credentials)
    home.write(home.place("a"))
    assert os.stat(home.credentials).st_ino == before.st_ino


def test_one_file_as_both_files_is_replaced_once(tmp_path: Path) -> None:
    """Some people point both variables at one file, or link one to the other."""
    (tmp_path / "credentials").write_text(f"[default]\n{PAIR}[profile a]\n{PAIR}[b]\n{PAIR}")
    (tmp_path / "config").symlink_to("credentials")
    files = ProfileFiles(str(tmp_path / "credentials"), str(tmp_path / "config"))
    places = [holding.place for holding in files.search([OLD.key_id])]
    assert len(places) == 5
    assert files.rehearse(places, OLD) == []
    files.write(places, OLD, NEW, lambda writes: None)
    assert (tmp_path / "credentials").read_text() == f"[default]\n{NEW_PAIR}[profile a]\n{NEW_PAIR}[b]\n{NEW_PAIR}"
    assert (tmp_path / "config").is_symlink()


def test_rehearsing_changes_nothing(home: Home) -> None:
    """Content, inode and times stay, and nothing is left beside the file."""
    home.credentials.write_text(f"[a]\n{PAIR}")
    before = os.stat(home.credentials)
    assert home.files.rehearse([home.place("a")], OLD) == []
    after = os.stat(home.credentials)
    assert (before.st_ino, before.st_mtime_ns, before.st_size) == (after.st_ino, after.st_mtime_ns, after.st_size)
    assert os.listdir(home.credentials.parent) == ["credentials"]


@pytest.mark.parametrize("content", [None, b"", b"[b]\n"], ids=["missing", "empty", "another profile"])
def test_rehearsing_a_place_without_the_pair_is_refused(home: Home, content: bytes | None) -> None:
    """There is nothing to change there."""
    if content is not None:
        home.credentials.write_bytes(content)
    with pytest.raises(Problem) as problem:
        home.files.rehearse([home.place("a")], OLD)
    assert problem.value.hint


def test_rehearsing_a_pipe_is_refused_at_once(home: Home) -> None:
    """It does not wait for somebody to write to it."""
    os.mkfifo(home.credentials)
    with pytest.raises(Problem, match="not a regular file"):
        home.files.rehearse([home.place("a")], OLD)


def test_a_file_with_two_names_is_written_in_place_and_noted_before(home: Home) -> None:
    """Rename would part the names; the note with path, offset and length comes before the bytes."""
    text = f"[a]\nregion = x\n{PAIR}\n[b]\n{PAIR}"
    home.credentials.write_text(text)
    os.link(home.credentials, home.credentials.with_name("other name"))
    places = [home.place("a"), home.place("b")]
    assert "can only be written in place, since it has several names" in home.files.rehearse(places, OLD)[0]

    def note(writes: Collection[InPlace]) -> None:
        assert home.credentials.read_text() == text
        home.noted.append(tuple(writes))

    home.files.write(places, OLD, NEW, note)
    assert home.credentials.read_text() == text.replace(PAIR, NEW_PAIR)
    assert os.stat(home.credentials).st_nlink == 2
    pieces = [text.encode()[w.offset : w.offset + w.length].decode() for w in home.noted[0]]
    assert pieces == [PAIR.partition(" = ")[2].rstrip()] * 2
    assert [write.place.profile for write in home.noted[0]] == ["a", "b"]


def test_in_place_needs_values_of_the_same_lengths(home: Home) -> None:
    """Else bytes would have to move, and a reader could meet anything."""
    home.credentials.write_text(f"[a]\n{PAIR}")
    os.link(home.credentials, home.credentials.with_name("other name"))
    with pytest.raises(Problem, match="another length"):
        home.write(home.place("a"), new=Credentials(NEW.key_id, NEW.secret + "x"))
    assert home.credentials.read_text() == f"[a]\n{PAIR}"
    assert home.noted == []
    home.credentials.write_text(f"[a]\n{OTHER}")
    with pytest.raises(Problem, match="another length"):
        home.files.rehearse([home.place("a")], Credentials("AKIAOTHER", "other"))


def on_first_fsyncs(count: int, action: Callable[[], object]) -> Callable[[FrameType, str, object], None]:
    """A profile function that runs the action after each of the first fsyncs: in the middle of a write."""
    left = count

    def look(frame: FrameType, event: str, argument: object) -> None:
        nonlocal left
        if event == "c_return" and argument is os.fsync and left:
            left -= 1
            action()

    return look


def test_what_an_editor_saves_in_the_middle_of_a_write_is_kept(home: Home) -> None:
    """The write begins again with the bytes that are there now."""
    home.credentials.write_text(f"[a]\n{PAIR}")
    sys.setprofile(on_first_fsyncs(2, lambda: home.credentials.write_text(f"# saved\n[a]\n{PAIR}region = x\n")))
    try:
        home.write(home.place("a"))
    finally:
        sys.setprofile(None)
    assert home.credentials.read_text() == f"# saved\n[a]\n{NEW_PAIR}region = x\n"


def test_a_file_that_never_stands_still_is_left_to_a_later_run(home: Home) -> None:
    """TryLater after a few attempts; nothing of ours is in the file, nothing is left beside it."""
    home.credentials.write_text(f"[a]\n{PAIR}")
    sys.setprofile(on_first_fsyncs(99, lambda: home.credentials.write_text(home.credentials.read_text() + "# more\n")))
    try:
        with pytest.raises(TryLater, match="another program keeps writing"):
            home.write(home.place("a"))
    finally:
        sys.setprofile(None)
    assert home.credentials.read_text().startswith(f"[a]\n{PAIR}# more\n")
    assert os.listdir(home.credentials.parent) == ["credentials"]


def test_a_place_that_a_person_changed_in_the_middle_is_left_alone(home: Home) -> None:
    """Another pair in it by the time of the second attempt."""
    home.credentials.write_text(f"[a]\n{PAIR}")
    sys.setprofile(on_first_fsyncs(1, lambda: home.credentials.write_text(f"[a]\n{OTHER}")))
    try:
        home.write(home.place("a"))
    finally:
        sys.setprofile(None)
    assert home.credentials.read_text() == f"[a]\n{OTHER}"


@pytest.mark.parametrize("first", ["id", "secret"])
@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
def test_every_torn_write_is_seen_and_healed(home: Home, first: str, back: bool) -> None:
    """Whatever part of the bytes a killed write brought to the disk, from one to all but one, in either direction."""
    lines = PAIR.splitlines() if first == "id" else PAIR.splitlines()[::-1]
    text = f"[a]\n{lines[0]}\n# \u00e9\nregion = x\n{lines[1]}\n"
    home.credentials.write_text(text)
    os.link(home.credentials, home.credentials.with_name("other name"))
    home.write(home.place("a"))
    (write,) = home.noted[0]
    old = text.encode()[write.offset : write.offset + write.length]
    new = home.credentials.read_bytes()[write.offset : write.offset + write.length]
    old, new, before, after = (new, old, NEW, OLD) if back else (old, new, OLD, NEW)
    for cut in range(len(old) + 1):
        torn = new[:cut] + old[cut:]
        home.credentials.write_bytes(
            text.encode().replace(text.encode()[write.offset : write.offset + write.length], torn)
        )
        assert home.files.is_torn(write, before, after) == (torn not in (old, new))
        home.files.mend([write], before, after)
        assert home.credentials.read_bytes()[write.offset : write.offset + write.length] == new


def test_bytes_that_a_person_changed_are_not_healed(home: Home) -> None:
    """A place that is no mix of both pairs is somebody's else doing; also one that is not there any more."""
    home.credentials.write_text(f"[a]\n{PAIR}")
    os.link(home.credentials, home.credentials.with_name("other name"))
    home.write(home.place("a"))
    (write,) = home.noted[0]
    for text in (f"[a]\n{OTHER}", f"[a]\n\n{NEW_PAIR}", "", f"[a]\n{NEW_PAIR.replace(NEW.secret[:9], 'something')}"):
        home.credentials.write_text(text)
        assert not home.files.is_torn(write, OLD, NEW)
        home.files.mend([write], OLD, NEW)
        assert home.credentials.read_text() == text
    home.credentials.unlink()
    assert not home.files.is_torn(write, OLD, NEW)
    home.files.mend([write], OLD, NEW)


def test_a_large_file_is_read_back_too(home: Home) -> None:
    """One too large for botocore to be asked is held to the same."""
    many = "".join(f"[p{n}]\n{OTHER}" for n in range(4000))
    home.credentials.write_text(f"{many}[a]\n{PAIR}{many.replace('[p', '[q')}")
    home.files.rehearse([home.place("a")], OLD)
    home.write(home.place("a"))
    assert home.credentials.read_text() == f"{many}[a]\n{NEW_PAIR}{many.replace('[p', '[q')}"
