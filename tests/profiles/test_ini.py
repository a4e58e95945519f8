"""Our reader and botocore's, side by side over generated files."""

from pathlib import Path
from typing import Any

import pytest
from botocore.configloader import build_profile_map, load_config, raw_config_parse
from botocore.exceptions import ConfigParseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import PlaceKind
from rotate_my_key.profiles.file import Ini, ProfileFile, config_profile

BLANKS = ["", " ", "  ", "\t", "\f", "\v", "\x1c", "\x85", "\xa0", "\u2003", "\u2028", "\ufeff", "\r"]
NAMES = ["a", "A", "aws_access_key_id", "AWS_Access_Key_ID", "aws_secret_access_key", "s3", "", "x y", "\u212a", "[b"]
SECTIONS = [
    "a",
    "b",
    "default",
    "DEFAULT",
    "profile a",
    'profile "a"',
    "profile default",
    " a ",
    "a]",
    "",
    "profilex a",
]
VALUES = ["", "v", "v=w", "v # c", "#", "[x]", '"q"', "\u2028v", "v\fw", "é", "=", ":"]

blank = st.sampled_from(BLANKS[:6]) | st.sampled_from(BLANKS)
header = st.builds(
    "{}[{}]{}{}".format, blank, st.sampled_from(SECTIONS), blank, st.sampled_from(["", "", ";c", "x", "]"])
)
option = st.builds(
    "{}{}{}{}{}{}{}".format,
    blank,
    st.sampled_from(NAMES),
    blank,
    st.sampled_from(["=", "=", ":", "==", ""]),
    blank,
    st.sampled_from(VALUES),
    blank,
)
other = st.builds("{}{}".format, blank, st.sampled_from(["# c", "; c", "#[a]", "word", "k=v", "", ""]))
line = header | option | option | other
files = st.lists(st.tuples(line, st.sampled_from(["\n", "\n", "\r\n", "\r"])), max_size=12).map(
    lambda lines: "".join(text + end for text, end in lines)
)
started = st.builds("{}{}".format, st.sampled_from(["", "", "[a]\n", "[default]\r\n"]), files)


def all_that_is_set(ini: Ini) -> dict[str, dict[str, str | None]]:
    """Every section with every name it sets or is lent."""
    return {s: {n: ini.get(s, n) for n in [*ini.sections[s], *ini.defaults]} for s in ini.sections}


@settings(max_examples=4 * settings.default.max_examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(started)
def test_botocore_reads_the_same(tmp_path: Path, text: str) -> None:
    """The same sections, names and values as botocore's loader gives, and a Problem where it gives an error."""
    path = tmp_path / "file"
    path.write_bytes(text.encode())
    try:
        raw_config_parse(str(path))
    except ConfigParseError:
        with pytest.raises(Problem):
            Ini(text.encode(), str(path))
        return
    flat = raw_config_parse(str(path), parse_subsections=False)
    assert all_that_is_set(Ini(text.encode(), str(path))) == flat
    profiles: dict[str, Any] = load_config(str(path))["profiles"]
    file = ProfileFile(text.encode(), str(path), PlaceKind.CONFIG)
    assert {p: {n: file.get(s, n) for n in flat[s]} for p, s in file.effective.items()} == {
        p: flat[s] for p, s in file.effective.items()
    }
    assert set(file.effective) == set(profiles)


@settings(max_examples=3 * settings.default.max_examples)
@given(st.text(alphabet="profile a\t\"'\\#é\xa0\f", max_size=14).map("profile".__add__) | st.text(max_size=8))
def test_botocore_names_the_same_profiles(section: str) -> None:
    """A section of the config file is the profile that botocore's build_profile_map makes of it, or none."""
    profiles = list(build_profile_map({section: {}})["profiles"])
    assert profiles == ([] if config_profile(section) is None else [config_profile(section)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xef\xbb\xbf[default]\n", "byte order mark"),
        ("[default]\n".encode("utf-16"), "UTF-16"),
        ("[default]\n".encode("utf-16-le"), "UTF-16"),
        (b"[default]\n\nname = caf\xe9\n", "line 3 is not UTF-8"),
        ("# ß\n[default]\n".encode("utf-16-be"), "UTF-16"),
        (b"\xef\xbb\xbf[default]\n# caf\xe9\n", "line 2 has a character that cannot be kept"),
        ("\ufeff[default]\n# \ud83d\n".encode("utf-16-le", "surrogatepass"), "line 2 has a character that cannot be"),
        ("[default]\n".encode("utf-16") + b"#", "line 2 has a character that cannot be kept"),
        ("[a]\nb = 1\n[a]\n".encode("utf-16"), "line 3: [a] appears twice (lines 1 and 3)"),
        (bytes(4096), "line 1 stands before the first section"),
        (b"name = value\n", "line 1 stands before the first section"),
        (b"[a]\nb = 1\n[a]\n", "line 3: [a] appears twice (lines 1 and 3)"),
        (b"[a]\nb = 1\nB = 2\n", "line 3: b is set twice (lines 2 and 3)"),
        (b"[a]\nword\n", "line 2 is neither a section nor NAME = VALUE"),
        (b"[a]\n= value\n", "line 2 has a value without a name"),
        (b"[a]\ns3 =\n  word\n", "belongs to a block, begun in line 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unreadable_file_is_named_with_line_and_remedy(data: bytes, reason: str) -> None:
    """What botocore cannot read is a Problem that names the file, the line, the reason and a remedy."""
    with pytest.raises(Problem) as problem:
        Ini(data, "/home/alice/.aws/credentials")
    assert problem.value.message.startswith("/home/alice/.aws/credentials")
    assert reason in problem.value.message
    assert problem.value.hint


def test_a_secret_that_slipped_into_a_names_place_is_not_shown() -> None:
    """Two lines that are a bare secret ending in '=' are a name twice; the message does not repeat it."""
    with pytest.raises(Problem) as problem:
        Ini(b"[a]\nwJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY=\nwJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY=\n", "f")
    assert "wjalr" not in problem.value.message.lower()
