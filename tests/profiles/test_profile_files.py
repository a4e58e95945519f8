"""The places in both profile files: found, rehearsed, written, healed."""

import os
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType

import pytest
from botocore.configloader import load_config, raw_config_parse
from botocore.credentials import ConfigProvider

from rotate_my_key.core.errors import Problem, TryLater
from rotate_my_key.core.model import Credentials, Holding, InPlace, Place, PlaceKind
from rotate_my_key.profiles.file import ProfilePaths
from rotate_my_key.profiles.kinds import Kind, sections
from rotate_my_key.profiles.places import LocalPlaces

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
        self.files = LocalPlaces(ProfilePaths(str(self.credentials), str(self.config)))
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
    """Profiles of the credentials file by their section, of the config file by botocore's rules; other sections too."""
    home.credentials.write_text(f"[a]\n{PAIR}[b]\n{OTHER}")
    home.config.write_text(f"[profile c]\n{PAIR}[default]\n{PAIR}[no-profile]\n{PAIR}")
    found = home.files.search([OLD.key_id])
    assert {(h.place.profile, h.place.kind.value) for h in found} == {
        ("a", "credentials"),
        ("c", "config"),
        ("default", "config"),
        ("[no-profile]", "config"),
    }
    assert {h.pair for h in found} == {OLD}


EMPTY_TOKENS = {
    "an empty aws_session_token": f"{PAIR}aws_session_token =\n",
    "an empty aws_security_token": f"{PAIR}aws_security_token=\n",
    "both": f"aws_security_token = \n{PAIR}aws_session_token = \n",
    "an expiry and an owner beside it": (
        f"{PAIR}aws_session_token = \nx_security_token_expires = \nx_principal_arn = arn:aws:iam::1:user/a\n"
    ),
    "with a colon, in capitals": f"{PAIR}AWS_SESSION_TOKEN:\n",
    "with a comment below": f"{PAIR}aws_session_token =\n  # none\n",
}
REAL_TOKENS = {
    "quotes": f'{PAIR}aws_session_token = ""\n',
    "None": f"{PAIR}aws_session_token = None\n",
    "an empty one before a real one": f"aws_security_token =\n{PAIR}aws_session_token = t\n",
}


def signed_with(home: Home, profile: str) -> tuple[str, str, str | None]:
    """What botocore signs with: the token is sent if it is true."""
    read = raw_config_parse(str(home.credentials))[profile] if home.credentials.exists() else {}
    read = read or load_config(str(home.config))["profiles"][profile]
    token = next((read[name] for name in ConfigProvider.TOKENS if name in read), None)
    return read["aws_access_key_id"], read["aws_secret_access_key"], token or None


@pytest.mark.parametrize("text", EMPTY_TOKENS.values(), ids=EMPTY_TOKENS)
@pytest.mark.parametrize("kind", [PlaceKind.CREDENTIALS, PlaceKind.CONFIG])
def test_an_empty_token_is_none(home: Home, kind: PlaceKind, text: str) -> None:
    """botocore signs with the plain key, so the pair is replaced; the empty lines stay as they are."""
    file = home.credentials if kind is PlaceKind.CREDENTIALS else home.config
    file.write_text(f"[default]\n{text}")
    assert signed_with(home, "default") == (OLD.key_id, OLD.secret, None)
    assert home.found() == {"default": OLD}
    assert [h.pair for h in home.files.pairs()] == [OLD]
    (fact,) = sections(ProfilePaths(str(home.credentials), str(home.config)))
    assert (fact.kind, fact.pair) == (Kind.STATIC, OLD)
    home.files.rehearse([home.place("default", kind)], OLD)
    home.write(home.place("default", kind))
    assert file.read_text() == f"[default]\n{text.replace(OLD.key_id, NEW.key_id).replace(OLD.secret, NEW.secret)}"
    assert signed_with(home, "default") == (NEW.key_id, NEW.secret, None)


@pytest.mark.parametrize("text", REAL_TOKENS.values(), ids=REAL_TOKENS)
def test_whatever_else_a_token_holds_makes_the_pair_a_temporary_one(home: Home, text: str) -> None:
    """botocore, or another SDK, would send it."""
    home.credentials.write_text(f"[default]\n{text}")
    with pytest.raises(Problem, match="gives profile default a session token"):
        home.files.rehearse([home.place("default")], OLD)


def test_missing_and_empty_files_hold_nothing(home: Home) -> None:
    """So does the null device."""
    assert home.found() == {}
    home.credentials.write_bytes(b"")
    assert home.found() == {}
    assert LocalPlaces(ProfilePaths("/dev/null", str(home.config))).search([OLD.key_id]) == ()


def test_what_is_no_file_may_hold_the_key(home: Home) -> None:
    """A pipe is not waited for, nor passed over."""
    os.mkfifo(home.config)
    with pytest.raises(Problem, match="config is not a regular file but a pipe"):
        home.found()


def commented(comment: str) -> str:
    """The pair with something behind both values."""
    return PAIR.replace("\n", f"{comment}\n")


GOOD = f"[default]\n{PAIR}"
WORK = f"{GOOD}[work]\n"
ID_LINE, SECRET_LINE = PAIR.splitlines(keepends=True)

# A second place, which botocore does not read or reads otherwise, and some SDK reads all the same: where it is (lines
# count from the file's start), and what is said of it.
# fmt: off
FOR_OTHERS = {
    "a comment behind both": (WORK + commented("  # work"), "", "line 5 has a comment behind aws_access"),
    "the other kind of comment": (WORK + commented(" ; work"), "",
        "line 5 has a comment behind aws_access"),
    "a comment without a blank": (WORK + commented("#work"), "", "line 5 has a comment behind aws_access"),
    "a comment behind the secret": (WORK + ID_LINE + SECRET_LINE[:-1] + " # x\n", "",
        "line 6 has a comment behind aws_secret"),
    "quotes": (WORK + f'aws_access_key_id="{OLD.key_id}"\naws_secret_access_key="{OLD.secret}"\n', "",
        "line 5 has q"),
    "single quotes, and a comment": (
        WORK + f"aws_access_key_id = '{OLD.key_id}' # x\naws_secret_access_key = '{OLD.secret}' # y\n",
        "", "line 5 has quotes"),
    "blanks within the quotes": (WORK + f'aws_access_key_id=" {OLD.key_id} "\naws_secret_access_key=" {OLD.secret} "\n',
        "", "line 5 "),
    "quotes for an empty token": (WORK + f'{PAIR}aws_session_token = ""\n', "", "line 7 gives profile work"),
    "a comment for an empty token": (WORK + f"{PAIR}aws_session_token = # none\n", "",
        "line 7 gives profile work"),
    "an indented secret": (WORK + ID_LINE + "  " + SECRET_LINE, "", "line 6 is indented"),
    "both indented below a setting": (WORK + "region = eu-west-1\n  " + ID_LINE + "  " + SECRET_LINE, "",
        "line 6 is indented"),
    "in a block of settings": (WORK + "s3 =\n  " + ID_LINE + "  " + SECRET_LINE, "", "line 6 is indented"),
    "in a block, beside another key": (WORK + OTHER + "s3 =\n  " + ID_LINE + "  " + SECRET_LINE, "",
        "line 8 is indented"),
    "the secret on the next line": (WORK + ID_LINE + f"aws_secret_access_key =\n  {OLD.secret}\n", "",
        "line 6 has the value of aws_secret_access_key on the next line"),
    "something below the secret": (WORK + PAIR + "  more\n", "", "line 7 is indented"),
    "capitals and a comment": (
        WORK + f"AWS_ACCESS_KEY_ID : {OLD.key_id} # x\nAWS_Secret_Access_Key: {OLD.secret} # y\n",
        "", "line 5 has a comment"),
    "blanks within the brackets": (GOOD + "[ work ]\n" + PAIR, "", "line 4 has blanks inside its brackets"),
    "lent to all": (GOOD + "[DEFAULT]\n" + PAIR + "[work]\nregion = x\n", "", "line 5 sets aws_access_key_id for all"),
    "lent to none": (GOOD, f"[DEFAULT]\n{PAIR}", r"line 1 begins \[DEFAULT\], which botocore does not read"),
    "a name of two words": (GOOD, f"[profile my company]\n{PAIR}",
        r"line 1 begins \[profile my company\], which botoc"),
    "a bracket behind the header": (GOOD, f"[profile work] # [x]\n{PAIR}", "line 1 begins"),
    "a name with a quote": (GOOD, f"[profile Single'Quote]\n{PAIR}", r"line 1 begins \[profile Single'Quote\], which"),
    "a name of two words, and comments": (GOOD, "[profile my company]\n" + commented(" # x"), "line 1 begins"),
    "no word profile": (GOOD, f"[work]\n{PAIR}", r"line 1 begins \[work\], which botocore does not read"),
    "blanks within the brackets of config": (GOOD, f"[ profile work ]\n{PAIR}", "line 1 begins"),
    "a capital": (GOOD, f"[Profile work]\n{PAIR}", "line 1 begins"),
    "a default that botocore passes over": (GOOD, f"[default]\n{PAIR}[profile default]\nregion = x\n",
        r"line 1 begins \[default\]; botocore takes \[profile default\] for that profile"),
    "a comment in config": (GOOD, "[profile work]\n" + commented(" # work"), "line 2 has a comment"),
    "half a pair in each file": (WORK + ID_LINE, f"[profile work]\n{SECRET_LINE}",
        r"line 4 begins \[work\], which has no aws_secret_access_key"),
    "half a pair in each file, turned round": (WORK + SECRET_LINE, f"[profile work]\n{ID_LINE}",
        r"line 1 begins \[profile work\], which has no aws_secret_access_key"),
    "old line ends": (GOOD, f"[profile work]\r{PAIR}".replace("\n", "\r"), "has line ends that SDKs read differently"),
}
# fmt: on


def read_by_botocore(home: Home) -> list[tuple[object, object]]:
    """The pairs that it reads, of all profiles."""
    read = list(raw_config_parse(str(home.credentials)).values())
    read += load_config(str(home.config))["profiles"].values() if home.config.exists() else []
    return [(values.get("aws_access_key_id"), values.get("aws_secret_access_key")) for values in read]


@pytest.mark.parametrize(("credentials", "config", "said"), FOR_OTHERS.values(), ids=FOR_OTHERS)
def test_a_place_that_only_other_sdks_read_refuses_the_rotation(
    home: Home, credentials: str, config: str, said: str
) -> None:
    """Such a profile would break unnoticed when the old key goes, so it is found, and named with its line."""
    home.credentials.write_bytes(credentials.encode())
    if config:
        home.config.write_bytes(config.encode())
    found = [h.place for h in home.files.search([OLD.key_id]) if h.pair == OLD]
    assert len(found) > 1, found
    alike = "line ends" in said or "token" in credentials or "lent" in said or "brackets" in said or "for all" in said
    assert read_by_botocore(home).count((OLD.key_id, OLD.secret)) == 1 or alike
    for places in (found, found[1:]):
        with pytest.raises(Problem, match=said) as problem:
            home.files.rehearse(places, OLD)
        assert OLD.secret not in problem.value.message + problem.value.hint
    with pytest.raises(Problem, match=said):
        home.write(*found)
    if not config:
        assert home.credentials.read_text() == credentials


READ_BY_NOBODY = {
    "a comment": WORK + PAIR.replace("aws_", "# aws_"),
    "the other kind of comment": WORK + PAIR.replace("aws_", ";aws_"),
    "an indented comment": GOOD + "  # " + ID_LINE + "  # " + SECRET_LINE,
    "a comment above": f"# {ID_LINE}# {SECRET_LINE}" + GOOD,
    "other names": WORK + PAIR.replace("aws_", "my_"),
    "in the text of another setting": f"{GOOD}[work]\nnote = {OLD.key_id} {OLD.secret}\n",
}


@pytest.mark.parametrize("text", READ_BY_NOBODY.values(), ids=READ_BY_NOBODY)
def test_a_pair_that_nobody_reads_is_left_alone(home: Home, text: str) -> None:
    """Comments and other texts refuse nothing, and stay."""
    home.credentials.write_text(text)
    assert home.found() == {"default": OLD}
    home.files.rehearse([home.place("default")], OLD)
    home.write(home.place("default"))
    assert home.credentials.read_text() == text.replace(GOOD, f"[default]\n{NEW_PAIR}")
    assert home.files.search([OLD.key_id]) == ()


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


def test_every_pair_of_a_user_is_found(home: Home) -> None:
    """A broken file does not hide the other one's profiles; a session and another service's key are none."""
    other = "aws_access_key_id = minioadmin\naws_secret_access_key = minioadmin\n"
    session = f"{PAIR}aws_session_token = t\n"
    home.credentials.write_text(f"[a]\n{PAIR}[b]\nregion = x\n[ c ]\n{OTHER}[d]\n{other}[e]\n{session}")
    home.config.write_text("[x]\n[x]\n")
    assert home.files.pairs() == (
        Holding(home.place("a"), OLD),
        Holding(home.place(" c "), Credentials("AKIAOTHER", "other")),
    )


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
    files = LocalPlaces(ProfilePaths(str(tmp_path / "credentials"), str(tmp_path / "config")))
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


def test_a_file_that_is_pushed_is_said_before_anything_is_done(home: Home) -> None:
    """The next push gives the new secret away; a repository that stays on this computer does not."""
    folder = home.credentials.parent
    home.credentials.write_text(f"[a]\n{PAIR}")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (
        ["init", "-q"],
        ["add", "-f", home.credentials.name],
        ["remote", "add", "o", "https://example.com/x"],
    ):
        assert not list(home.files.rehearse([home.place("a")], OLD))
        subprocess.run(["git", *words], cwd=folder, env=environment, check=True)
    assert "tracked by git in a repository with a remote" in home.files.rehearse([home.place("a")], OLD)[0]


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
