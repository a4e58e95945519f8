"""The lines of a pair taken out of a file and put back, byte by byte."""

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials, PlaceKind
from rotate_my_key.profiles.edit import add_process, insert_pair, remove_process, take_out
from rotate_my_key.profiles.file import ProfileFile

PAIR = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
ID, SECRET = f"aws_access_key_id = {PAIR.key_id}", f"aws_secret_access_key = {PAIR.secret}"
VALUE = '"/usr/bin/rotate-my-key" credentials --profile work'


def credentials(text: str) -> ProfileFile:
    """A credentials file."""
    return ProfileFile(text.encode(), "/c", PlaceKind.CREDENTIALS)


def config(text: str) -> ProfileFile:
    """A config file."""
    return ProfileFile(text.encode(), "/f", PlaceKind.CONFIG)


TEXTS = [
    pytest.param(f"[work]\n{ID}\n{SECRET}\n", id="nothing else"),
    pytest.param(f"[work]\n{ID}\n{SECRET}", id="no last line end"),
    pytest.param(f"[work]\r\n{ID}\r\n{SECRET}\r\n\r\n[b]\r\nx=1\r\n", id="CRLF"),
    pytest.param(f"[work]\n{SECRET}\n; between\n\n{ID}\n[b]\n", id="secret first, a comment between"),
    pytest.param(f"\n#x\n[a]\n\n[work]\nregion=x\n{ID}  \ns3 =1\n{SECRET}\t\noutput=j", id="blanks and settings"),
    pytest.param(f"[work]\ns3 =\n  a = 1\n{ID}\n{SECRET}\n  \n[c]\n", id="a block above"),
    pytest.param(
        f"[a]\nü=ö\n[work]\nAWS_ACCESS_KEY_ID:{PAIR.key_id}\naws_secret_access_key  =  {PAIR.secret}\n", id="odd"
    ),
]


@pytest.mark.parametrize("text", TEXTS)
def test_out_and_back(text: str) -> None:
    """What was put back stands as it stood."""
    data, lines = take_out(credentials(text), "work", PAIR)
    assert PAIR.secret.encode() not in data
    assert PAIR.key_id.encode() not in data
    assert insert_pair(ProfileFile(data, "/c", PlaceKind.CREDENTIALS), "work", PAIR, lines.lines) == text.encode()


def test_another_pair_goes_back() -> None:
    """A rotation may have happened meanwhile."""
    data, lines = take_out(credentials(f"[work]\n{ID}\n{SECRET}\n"), "work", PAIR)
    new = Credentials("AKIANEW", "secret")
    back = insert_pair(ProfileFile(data, "/c", PlaceKind.CREDENTIALS), "work", new, lines.lines)
    assert back == b"[work]\naws_access_key_id = AKIANEW\naws_secret_access_key = secret\n"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param("[b]\nx=2\n\n[work]\nr=1\n", f"[b]\nx=2\n\n[work]\nr=1\n{ID}\n{SECRET}\n", id="other sections"),
        pytest.param("[work]\n[b]\n", f"[work]\n{ID}\n{SECRET}\n[b]\n", id="a shorter section"),
        pytest.param("[work]", f"[work]\n{ID}\n{SECRET}\n", id="no line end any more"),
        pytest.param("[work]\nr=1\nnew=1\n", f"[work]\nr=1\n{ID}\n{SECRET}\nnew=1\n", id="a longer section"),
        pytest.param("[b]\n", f"[b]\n\n[work]\n{ID}\n{SECRET}\n", id="the section is gone"),
        pytest.param("", f"[work]\n{ID}\n{SECRET}\n", id="the file is gone"),
    ],
)
def test_back_into_a_file_that_changed(changed: str, expected: str) -> None:
    """The pair goes into its section, wherever and whatever that is now."""
    _, lines = take_out(credentials(f"[a]\n[work]\nr=1\n{ID}\n{SECRET}\n"), "work", PAIR)
    back = insert_pair(credentials(changed), "work", PAIR, lines.lines).decode()
    assert back == expected or back.replace("\n\n[work]\n\n", "\n\n[work]\n") == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"[work]\n{ID}\n{SECRET} # mine\n", id="a comment behind"),
        pytest.param(f"[DEFAULT]\n{ID}\n[work]\n{SECRET}\n", id="from DEFAULT"),
        pytest.param(f"[work]\n{ID}\n{SECRET}\n  more\n", id="a value that goes on"),
        pytest.param(f"[work]\r{ID}\r{SECRET}\r", id="lone CR"),
        pytest.param(f"[work]\n{ID}\n{SECRET}\naws_session_token = x\n", id="a token"),
        pytest.param(f"[work]\n{ID}\n{SECRET}\n[profile work]\n{ID}\n{SECRET}\n", id="two spellings"),
    ],
)
def test_refused(text: str) -> None:
    """What SDKs read differently is not touched."""
    with pytest.raises(Problem):
        take_out(credentials(text), "work", PAIR)


CONFIGS = [
    pytest.param("", id="empty"),
    pytest.param("[profile work]\nregion=x\n", id="a section"),
    pytest.param("[profile work]", id="a section without line end"),
    pytest.param("[default]\r\nregion=x\r\n", id="CRLF"),
    pytest.param("[default]\nregion=x", id="no last line end"),
    pytest.param("# only a comment\n", id="a comment"),
    pytest.param("[profile b]\ns3 =\n  a = 1\n", id="a block last"),
]


@pytest.mark.parametrize("text", CONFIGS)
def test_a_line_added_and_removed(text: str) -> None:
    """The line is in the profile's section, and removing it leaves what was there."""
    data, process = add_process(config(text), "work", VALUE)
    added = ProfileFile(data, "/f", PlaceKind.CONFIG)
    assert added.get(added.effective["work"], "credential_process") == VALUE
    assert remove_process(added, "work", process) == text.encode()


def test_what_a_person_added_stays() -> None:
    """A section that was made for the line is theirs, too, once they wrote into it."""
    data, process = add_process(config("[a]\n"), "work", VALUE)
    later = ProfileFile(data + b"region = x\n", "/f", PlaceKind.CONFIG)
    assert remove_process(later, "work", process) == b"[a]\n\n[profile work]\nregion = x\n"


@pytest.mark.parametrize("name", ["my own", "a'b", "ü", "default"])
def test_names_of_all_kinds(name: str) -> None:
    """The section's header is read back as that profile."""
    data, process = add_process(config(""), name, VALUE)
    assert remove_process(ProfileFile(data, "/f", PlaceKind.CONFIG), name, process) == b""


@pytest.mark.parametrize("name", ["a]b\nc", "a\nb"])
def test_names_that_no_header_can_hold(name: str) -> None:
    """They are refused."""
    with pytest.raises(Problem):
        add_process(config(""), name, VALUE)
