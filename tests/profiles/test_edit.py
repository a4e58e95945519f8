"""The byte-exact edit of one profile file: what is changed, what is refused, what is warned about."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from botocore.configloader import load_config, raw_config_parse
from botocore.exceptions import ConfigParseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials, PlaceKind
from rotate_my_key.profiles.edit import Edit, replace_pair, sections_of
from rotate_my_key.profiles.file import ProfileFile

OLD = Credentials("AKIAOLDOLDOLDOLDOLD1", "oldSecret/K7MDENG+bPxRfiCYEXAMPLEKEY==xy")
NEW = Credentials("AKIANEWNEWNEWNEWNEW2", "/nEw+sec/K7MDENG+bPxRfiCYEXAMPLEKEYxyz=0")
PAIR = f"aws_access_key_id = {OLD.key_id}\naws_secret_access_key = {OLD.secret}\n"
CREDENTIALS, CONFIG = PlaceKind.CREDENTIALS, PlaceKind.CONFIG


def edit(file: ProfileFile, profiles: Collection[str], new: Credentials = NEW) -> Edit:
    """The new pair in place of the old one."""
    return replace_pair(file, sections_of(file, profiles, OLD), OLD, new)


def edited(
    text: str, *profiles: str, kind: PlaceKind = CREDENTIALS, new: Credentials = NEW
) -> tuple[str, tuple[str, ...]]:
    """The text after the edit, and the warnings."""
    done = edit(ProfileFile(text.encode(), "FILE", kind), profiles, new)
    return done.data.decode(), done.warnings


def replaced(text: str) -> str:
    """The text with the new values wherever the old ones are."""
    return text.replace(OLD.key_id, NEW.key_id).replace(OLD.secret, NEW.secret)


def refusal(text: str, *profiles: str, kind: PlaceKind = CREDENTIALS) -> Problem:
    """The refusal of this edit; it shows no secret and has a hint."""
    with pytest.raises(Problem) as problem:
        edited(text, *profiles, kind=kind)
    assert OLD.secret not in str(problem.value) + problem.value.hint
    assert problem.value.hint
    return problem.value


KEPT = {
    "CRLF": "[a]\r\n" + PAIR.replace("\n", "\r\n"),
    "mixed line ends": f"[a]\r\naws_access_key_id = {OLD.key_id}\naws_secret_access_key = {OLD.secret}\r\n",
    "no line end at the end": "[a]\n" + PAIR.rstrip(),
    "the secret first": f"[a]\naws_secret_access_key={OLD.secret}\nregion = x\naws_access_key_id={OLD.key_id}\n",
    "a line separator in a comment": "[a]\n# one\u2028aws_access_key_id = nothing\n" + PAIR,
    "a form feed between": "[a]\n" + PAIR.replace("\n", "\n\f\n", 1),
    "other scripts before and between": "# \u00e9\U0001f602\n[b\u00fc]\nx=\u00e9\n[a]\n"
    + PAIR.replace("\n", "\n# \u00e9\n", 1),
    "tabs and blanks around": f"[a]\naws_access_key_id\t=\t{OLD.key_id} \t\naws_secret_access_key=   {OLD.secret}  \n",
    "no-break space around": "[a]\n" + PAIR.replace(" ", "\u00a0"),
    "nested blocks": "[a]\ns3 =\n  max_concurrent_requests = 2\n\n  # c\n  x = y\n" + PAIR + "api =\n  a = b\n",
    "comments of both kinds": "; one\n[a] # two\n;three\n# four\n" + PAIR + "  # five\n",
    "the key id in a comment too": f"[a]\n# was aws_access_key_id = {OLD.key_id}\n{PAIR}",
}


class Askew(ProfileFile):
    """A reader that errs: it takes each value to begin one byte early."""

    def offset(self, number: int, column: int = 0) -> int:
        """See Ini."""
        return super().offset(number, column) - bool(column)


def test_what_would_be_read_otherwise_is_not_written() -> None:
    """The edit is read again: were the reader wrong about a single byte, nothing would be changed."""
    text = f"[a]\n{PAIR}".encode()
    assert edit(ProfileFile(text, "FILE"), ["a"]).changes
    with pytest.raises(Problem, match="FILE cannot be edited safely"):
        edit(Askew(text, "FILE"), ["a"])


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_all_but_the_values_stays(text: str) -> None:
    """Whatever stands around the two values is the same afterwards, byte for byte, without a warning."""
    comment = f"# was aws_access_key_id = {OLD.key_id}"
    expected = replaced(text).replace(f"# was aws_access_key_id = {NEW.key_id}", comment)
    assert edited(text, "a") == (expected, ())


def test_several_profiles_change_in_one_edit() -> None:
    """All given profiles that hold the pair change; one that holds it and is not given stays."""
    text = f"[a]\n{PAIR}[b]\n{PAIR}[c]\n{PAIR}"
    data, warnings = edited(text, "a", "c")
    assert data == f"[a]\n{replaced(PAIR)}[b]\n{PAIR}[c]\n{replaced(PAIR)}"
    assert warnings == ()


def test_a_new_pair_may_be_longer_or_shorter() -> None:
    """Values of other lengths shift what follows, and nothing else."""
    longer = Credentials(NEW.key_id * 3, "s")
    text = f"[a]\n{PAIR}[b]\n{PAIR}x = y"
    data, _ = edited(text, "b", "a", new=longer)
    assert data == text.replace(OLD.key_id, longer.key_id).replace(OLD.secret, longer.secret)


@pytest.mark.parametrize(
    ("header", "other", "kind"),
    [
        ("[profile default]", "[default]", CONFIG),
        ("[default]", "[profile default]", CONFIG),
        ("[profile a]", '[profile "a"]', CONFIG),
        ("[a]", "[profile a]", CONFIG),
        ("[profile a]", "[a]", CREDENTIALS),
        ("[ a ]", "[a]", CREDENTIALS),
    ],
    ids=str,
)
def test_other_spellings_of_a_profile_change_with_it(header: str, other: str, kind: PlaceKind) -> None:
    """Some SDKs read the other section for the same profile: if it holds the same pair, it gets the new one too."""
    text = f"{header}\n{PAIR}{other}\n{PAIR}"
    profile = "default" if "default" in header else "a"
    assert edited(text, profile, kind=kind)[0] == replaced(text)


WARNED = {
    "a colon": (f"[a]\naws_access_key_id: {OLD.key_id}\naws_secret_access_key = {OLD.secret}\n", "line 2 has ':'"),
    "upper case": (
        f"[a]\nAWS_ACCESS_KEY_ID={OLD.key_id}\naws_secret_access_key={OLD.secret}\n",
        "line 2 has aws_access",
    ),
    "an indented name": (
        f"[a]\n  aws_access_key_id={OLD.key_id}\naws_secret_access_key={OLD.secret}\n",
        "line 2 is indented",
    ),
    "an indented section": (f"  [a]\n{PAIR}", "line 1 is indented"),
}


@pytest.mark.parametrize(("text", "warning"), WARNED.values(), ids=WARNED)
def test_where_sdks_differ_there_is_a_warning(text: str, warning: str) -> None:
    """The edit is done, as botocore reads it, and says what other SDKs may make of the file."""
    data, warnings = edited(text, "a")
    assert data == replaced(text)
    assert len(warnings) == 1
    assert warning in warnings[0]


# fmt: off
REFUSALS = {
    "a comment behind the id": ("[a]\n" + PAIR.replace("\n", " # mine\n", 1),
        "line 2 has a comment behind aws_access_key_id"),
    "a comment behind the secret": ("[a]\n" + PAIR[:-1] + " ; mine\n",
        "line 3 has a comment behind aws_secret_access_key"),
    "quotes": ("[a]\n" + PAIR.replace(OLD.secret, f'"{OLD.secret}"'), "line 3 has quotes around aws_secret_access_key"),
    "the value on the next line": (f"[a]\naws_access_key_id = {OLD.key_id}\naws_secret_access_key =\n  {OLD.secret}\n",
        "line 3 has the value of aws_secret_access_key on the next line"),
    "an indented line below": (f"[a]\n{PAIR}\n\n  region = x\n", "line 6 is indented"),
    "old Mac line ends": ("[a]\r" + PAIR.replace("\n", "\r"), "CR without LF"),
    "one CR in a comment": ("[a]\n# x\ry\n" + PAIR, "line 3 is neither"),
    "blanks inside brackets": (f"[ a ]\n{PAIR}", "line 1 has blanks inside its brackets"),
    "a session token": (f"[a]\n{PAIR}aws_session_token = x\n", "gives profile a a session token"),
    "keys from DEFAULT": (f"[DEFAULT]\n{PAIR}[a]\nregion = x\n", "line 2 sets aws_access_key_id for all profiles"),
    "the id from DEFAULT": (f"[DEFAULT]\naws_access_key_id = {OLD.key_id}\n[a]\naws_secret_access_key = {OLD.secret}\n",
        "line 2 sets aws_access_key_id for all profiles"),
    "no secret": (f"[a]\naws_access_key_id = {OLD.key_id}\n", "has no aws_secret_access_key"),
    "another secret": ("[a]\n" + PAIR.replace(OLD.secret, "other"), "line 3 holds another aws_secret_access_key"),
    "no such profile": (f"[b]\n{PAIR}", "has no profile"),
    "a section twice": (f"[a]\n{PAIR}[a]\n", "[a] appears twice (lines 1 and 4)"),
    "a key twice": (f"[a]\n{PAIR}{PAIR}", "aws_access_key_id is set twice (lines 2 and 4)"),
    "an upper-case key twice": (f"[a]\n{PAIR}{PAIR.upper()}", "aws_access_key_id is set twice (lines 2 and 4)"),
}
# fmt: on


@pytest.mark.parametrize("between", ["", "[b]\n"], ids=["in the section", "elsewhere"])
def test_a_mention_stays_and_is_warned_about(between: str) -> None:
    """A setting that names the key without being a pair is left as it is; it will point at a dead key."""
    line = 5 if between else 4
    assert edited(f"[a]\n{PAIR}{between}login = {OLD.key_id} is mine\n", "a") == (
        f"[a]\n{replaced(PAIR)}{between}login = {OLD.key_id} is mine\n",
        (f"FILE, line {line} names key ...OLD1 too and is left as it is",),
    )


@pytest.mark.parametrize(("text", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_changed_exactly_is_refused(text: str, reason: str) -> None:
    """A Problem with file, line, reason and remedy."""
    assert reason in refusal(text, " a " if "[ a ]" in text else "a").message


@pytest.mark.parametrize("secret", ["with blank", "line\nend", "#comment", 'quo"te', "", "é", "[x]", "a;b"])
def test_a_new_value_that_sdks_would_misread_is_refused(secret: str) -> None:
    """AWS makes no such secret; were it to, it would not be written."""
    with pytest.raises(Problem, match="cannot be written to a profile file"):
        edited(f"[a]\n{PAIR}", "a", new=Credentials(NEW.key_id, secret))


def test_a_temporary_pair_is_never_written() -> None:
    """A session's pair needs a third line."""
    with pytest.raises(Problem, match="cannot be written to a profile file"):
        edited(f"[a]\n{PAIR}", "a", new=Credentials(NEW.key_id, NEW.secret, "token"))


# Fuzzing, with botocore as the judge

blank = st.sampled_from([""] * 16 + [" ", "\t", "\u00a0", "\f"])
end = st.sampled_from(["\n"] * 12 + ["\r\n"] * 6 + ["\r"])
headers = st.sampled_from(
    ["a", "profile a", 'profile "a"', "b", "profile b", "default", "profile default", " b ", "DEFAULT"]
)
value = st.sampled_from([f"{OLD.key_id} # c", f'"{OLD.secret}"', "é", "", "x=\u2028", "other"])
key_id = st.sampled_from(["aws_access_key_id"] * 4 + ["AWS_Access_Key_ID"])
secret = st.sampled_from(["aws_secret_access_key"] * 4 + ["AWS_SECRET_ACCESS_KEY"])
noise = st.sampled_from(  # `@` becomes the number of the line, so that no name comes twice
    ["", "", "# c", "; é", "  # aws_access_key_id = x", "s3@ =\n  a = b\n\n  c = d", "name@ : é\u2028", "  x@ = y"]
)


def set_to(name: st.SearchStrategy[str], usual: str) -> st.SearchStrategy[str]:
    """A line that sets a name, mostly to the usual value, with blanks of all kinds around."""
    mostly = st.sampled_from([usual] * 12) | st.sampled_from([usual] * 12) | value
    return st.builds("{}{}{}{}{}".format, name, blank, st.sampled_from("===:"), blank, mostly, blank)


pair_lines = st.tuples(set_to(key_id, OLD.key_id), noise, set_to(secret, OLD.secret)).map(list)
body = st.builds(
    lambda before, pair, turned, after: [before, *(pair[::-1] if turned else pair), after],
    noise,
    pair_lines | pair_lines | st.just(["region = x"]),
    st.booleans(),
    noise,
)
section = st.builds(lambda indent, name, lines: [f"{indent}[{name}]", *lines], blank, headers, body)
broken = st.sampled_from([""] * 19 + ["word"])


@st.composite
def files(draw: st.DrawFn) -> str:
    """A profile file, now and then one that botocore cannot read."""
    sections = draw(st.lists(section, min_size=1, max_size=4, unique_by=lambda lines: lines[0].strip()))
    lines = [draw(st.sampled_from(["", "# é\u2028"])), *(line for lines in sections for line in lines), draw(broken)]
    return draw(end).join(line.replace("@", str(number)) for number, line in enumerate(lines))


def read(path: Path, kind: PlaceKind) -> dict[str, dict[str, Any]] | None:
    """What botocore itself reads for all profiles; None if it cannot."""
    try:
        return raw_config_parse(str(path)) if kind is CREDENTIALS else load_config(str(path))["profiles"]
    except ConfigParseError:
        return None


@settings(max_examples=5 * settings.default.max_examples, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files(), st.sampled_from([CREDENTIALS, CONFIG]))
def test_botocore_reads_the_new_pair_and_everything_else_as_before(tmp_path: Path, text: str, kind: PlaceKind) -> None:
    """Where botocore reads the old pair, it reads the new one after the edit, and nothing else differs to it."""
    path = tmp_path / "file"
    path.write_bytes(text.encode())
    before = read(path, kind)
    if before is None:
        with pytest.raises(Problem):
            ProfileFile(text.encode(), "FILE", kind)
        return
    file = ProfileFile(text.encode(), "FILE", kind)
    holders = {
        profile: values
        for profile, values in before.items()
        if (values.get("aws_access_key_id"), values.get("aws_secret_access_key")) == (OLD.key_id, OLD.secret)
    }
    assert holders.keys() == {profile for profile, pair in file.pairs() if pair == OLD}
    try:
        done = edit(file, holders)
    except Problem:
        # Only what is refused although botocore reads it: these line ends, what [DEFAULT] lends, blanks in brackets.
        assert "\r" in text.replace("\r\n", "") or "[DEFAULT]" in text or " b " in holders
        return
    path.write_bytes(done.data)
    changed = {"aws_access_key_id": NEW.key_id, "aws_secret_access_key": NEW.secret}
    after = read(path, kind)
    assert after is not None
    namesakes = {change.profile for change in done.changes} - holders.keys()
    assert not namesakes
    for profile, values in before.items():
        assert after[profile] in ({**values, **changed}, values)
        assert (after[profile] != values) >= (profile in holders)
    assert done.data.decode().count("\n") == text.count("\n")
