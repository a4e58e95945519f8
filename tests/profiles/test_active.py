"""Which key is active: how the answer is told, odd files, and the listing of all profiles."""

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.core.errors import NeedsPerson, Problem
from rotate_my_key.core.model import Place, PlaceKind
from rotate_my_key.profiles.file import ProfilePaths, Profiles
from rotate_my_key.profiles.kinds import Kind, sections
from rotate_my_key.profiles.which import Active, find_active

ONE = "aws_access_key_id = AKIAONEAAAAAAAAAAAAA\naws_secret_access_key = one/not+a+secret\n"
TWO = ONE.replace("ONE", "TWO").replace("one/", "two/")
ROLE = "role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n"


@pytest.fixture
def files(tmp_path: Path) -> ProfilePaths:
    """A home of which the two files are not there yet."""
    return ProfilePaths(str(tmp_path / "credentials"), str(tmp_path / "config"), str(tmp_path))


def write(files: ProfilePaths, credentials: str = "", config: str = "") -> ProfilePaths:
    """Write what is not empty."""
    for path, text in ((files.credentials, credentials), (files.config, config)):
        if text:
            Path(path).write_text(text, encoding="utf-8")
    return files


def refusal(files: ProfilePaths, profile: str | None = None, **environ: str) -> Problem:
    """What find_active raises."""
    with pytest.raises(Problem) as caught:
        find_active(environ, profile, files)
    return caught.value


# What is told.


def test_the_answer_says_where_the_key_is_and_why(files: ProfilePaths) -> None:
    """Profile, holder, place and line are told, and each turn on the way."""
    write(files, "# mine\n[base]\n" + ONE, "[profile work]\nregion = eu-west-1\n" + ROLE)
    active = find_active({"AWS_PROFILE": "work"}, None, files)
    assert active == Active(
        profile="work",
        holder="base",
        pair=active.pair,
        place=Place(files.credentials, "base", PlaceKind.CREDENTIALS),
        trail=("AWS_PROFILE=work", "work assumes a role with the key of base", "in ~/credentials, line 3"),
        region="eu-west-1",
    )
    assert active.pair.key_id == "AKIAONEAAAAAAAAAAAAA"


@pytest.mark.parametrize(
    ("environ", "profile", "first"),
    [
        ({}, None, "no profile is named, so it is default"),
        ({}, "default", "-p default"),
        ({"AWS_PROFILE": "my own"}, None, "AWS_PROFILE='my own'"),
        ({"AWS_DEFAULT_PROFILE": "default"}, None, "AWS_DEFAULT_PROFILE=default"),
    ],
)
def test_the_trail_begins_with_what_named_the_profile(
    files: ProfilePaths, environ: dict[str, str], profile: str | None, first: str
) -> None:
    """A flag, a variable or nothing."""
    write(files, "[default]\n" + ONE + "[my own]\n" + TWO)
    assert find_active(environ, profile, files).trail[0] == first


def test_a_key_in_the_config_file_has_its_place_there(files: ProfilePaths) -> None:
    """The place names the profile, not the section as it is spelled."""
    write(files, config='[profile "my own"]\n' + ONE)
    active = find_active({}, "my own", files)
    assert active.place == Place(files.config, "my own")
    assert active.place.kind is PlaceKind.CONFIG


@pytest.mark.parametrize(
    ("environ", "config", "region"),
    [
        ({}, "", None),
        ({}, "[profile base]\nregion = b\n", "b"),
        ({}, "[profile base]\nregion = b\n[profile work]\nregion = w\n", "w"),
        ({"AWS_DEFAULT_REGION": "e"}, "[profile work]\nregion = w\n", "e"),
        ({"AWS_REGION": "e"}, "[profile work]\nregion = w\n", "w"),
    ],
    ids=[
        "none",
        "the holder's",
        "the profile's before it",
        "AWS_DEFAULT_REGION before all",
        "AWS_REGION is not botocore's",
    ],
)
def test_the_region_is_botocores(files: ProfilePaths, environ: dict[str, str], config: str, region: str | None) -> None:
    """It tells the partition, so a role's profile that has none borrows its source's."""
    write(files, "[base]\n" + ONE + "[work]\n" + ROLE, config)
    assert find_active(environ, "work", files).region == region


@pytest.mark.parametrize(
    ("credentials", "config", "environ", "warning"),
    [
        ("[work]\n" + ONE, "[profile work]\n" + TWO, {}, "~/config holds another key for work"),
        (
            "[work]\naws_secret_access_key = s\n",
            "[profile work]\n" + TWO,
            {},
            "~/credentials holds half a key for work",
        ),
        ("[work]\n" + ONE, "[profile work]\naws_session_token = t\n", {}, "~/config holds a session token for work"),
        ("[work]\n" + ONE, "[work]\n" + TWO, {}, "[work] in ~/config is not read"),
        ("[work]\n" + ONE + "[profile work]\n" + TWO, "", {}, "[profile work] in ~/credentials is not read"),
        ("[work]\n" + ONE, "", {"AWS_ACCESS_KEY_ID": "AKIA"}, "AWS_ACCESS_KEY_ID is set: programs here use that key"),
        ("[work]\n" + ONE, "", {"AWS_CONFIG_FILE": "x"}, "~/config (AWS_CONFIG_FILE) does not exist"),
    ],
)
def test_where_another_program_may_use_another_key_there_is_a_warning(
    files: ProfilePaths, credentials: str, config: str, environ: dict[str, str], warning: str
) -> None:
    """The answer stands, and one sentence names what to look at."""
    active = find_active(environ, "work", write(files, credentials, config))
    assert [said for said in active.warnings if said.startswith(warning)] == list(active.warnings)
    assert len(active.warnings) == 1


def test_the_same_key_in_both_files_is_no_reason_to_warn(files: ProfilePaths) -> None:
    """Both places change in one rotation."""
    assert find_active({}, "work", write(files, "[work]\n" + ONE, "[profile work]\n" + ONE)).warnings == ()


# Refusals.


@pytest.mark.parametrize(
    ("profile", "hint"),
    [
        ("wrok", "rotate-my-key status -p work"),
        ("my ow", "rotate-my-key status -p 'my own'"),
        ("quite different", "rotate-my-key status"),
    ],
    ids=["a slip", "a slip in a name to be quoted", "no slip: all of them"],
)
def test_an_unknown_profile_hints_at_the_nearest(files: ProfilePaths, profile: str, hint: str) -> None:
    """The next command is one that works."""
    write(files, "[work]\n" + ONE + "[my own]\n" + TWO, "[profile sso]\nsso_session = s\n")
    problem = refusal(files, profile)
    assert problem.hint == hint
    assert "known here: work, 'my own', sso" in problem.message


def test_many_profiles_are_not_all_listed(files: ProfilePaths) -> None:
    """One line stays one line."""
    write(files, "".join(f"[p{number}]\n" + ONE for number in range(100)))
    assert refusal(files).message.endswith("p6, p7 and 92 more")


def test_without_any_profile_the_hint_makes_one(files: ProfilePaths) -> None:
    """The two files are named."""
    problem = refusal(files)
    assert "~/credentials does not exist and ~/config does not exist" in problem.message
    assert problem.hint == "rotate-my-key adopt"
    assert refusal(files, "my own").hint == "rotate-my-key adopt -p 'my own'"


def test_keys_in_the_environment_hint_at_both_ways_out(files: ProfilePaths) -> None:
    """Unset it, or name the profile that AWS_PROFILE would have named."""
    problem = refusal(write(files, "[work]\n" + ONE), AWS_ACCESS_KEY_ID="AKIA", AWS_PROFILE="work")
    assert problem.hint == "unset AWS_ACCESS_KEY_ID, or name the profile: -p work"


@pytest.mark.parametrize(
    ("profile", "default", "empty"),
    [
        ("work", "other", "AWS_DEFAULT_PROFILE"),
        ("work", "", "AWS_DEFAULT_PROFILE"),
        ("", "work", "AWS_PROFILE"),
    ],
)
def test_of_two_names_the_hint_leaves_one_that_means_something(
    files: ProfilePaths, profile: str, default: str, empty: str
) -> None:
    """The empty one is unset, and without it the other one counts."""
    both = {"AWS_PROFILE": profile, "AWS_DEFAULT_PROFILE": default}
    problem = refusal(write(files, "[work]\n" + ONE), **both)
    assert problem.hint == f"unset {empty}"


def test_a_mixed_profile_needs_a_person(files: ProfilePaths) -> None:
    """Exit 4, naming the flag."""
    problem = refusal(write(files, "[default]\n" + ONE, "[default]\ncredential_process = x\nsso_session = s\n"))
    assert isinstance(problem, NeedsPerson)
    assert problem.message.startswith("profile default holds a static key beside sso and process settings")
    assert problem.hint.endswith("rotate-my-key rotate -p default --mixed")


def test_a_profile_without_a_key_hints_at_no_other_key(files: ProfilePaths) -> None:
    """But at its own way in, or at the list."""
    write(files, "[work]\n" + ONE, "[default]\nsso_session = s\n[profile plain]\nregion = eu-west-1\n")
    assert refusal(files).hint == "aws sso login --profile default"
    assert refusal(files, "plain").hint == "rotate-my-key status"


# Files that are none, and files that cannot be read.


def make_directory(path: str) -> None:
    """Where the file should be."""
    os.mkdir(path)


def make_pipe(path: str) -> None:
    """Opening it would block for ever."""
    os.mkfifo(path)


def make_socket(path: str) -> None:
    """A program's own door."""
    with socket.socket(socket.AF_UNIX) as door:
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        door.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # a path as long as a test's is too long
        os.close(folder)


def make_dangling(path: str) -> None:
    """To nowhere."""
    os.symlink("nowhere", path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes, and links that need a privilege")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (make_directory, "is not a regular file but a folder"),
        (make_pipe, "is not a regular file but a pipe"),
        (make_socket, "is not a regular file but a socket"),
        (make_dangling, "is not a regular file: the link leads nowhere"),
        (lambda path: os.symlink("/dev/zero", path), "is not a regular file but a device"),
    ],
)
def test_what_is_no_file_is_refused_at_once(files: ProfilePaths, make: Callable[[str], None], said: str) -> None:
    """botocore waits for it, or takes it for an empty file; it may hold the key, even where the other file has one."""
    make(files.credentials)
    assert refusal(files).message == f"~/credentials {said}"
    assert refusal(write(files, config="[default]\n" + ONE)).hint == "unset AWS_SHARED_CREDENTIALS_FILE"
    usual = ProfilePaths(f"{files.home}/.aws/credentials", "", files.home)
    os.mkdir(f"{files.home}/.aws")
    os.rename(files.credentials, usual.credentials)
    assert refusal(usual).hint == f"ls -ld {usual.credentials}"


def test_a_folder_on_a_drive_that_is_away_is_named(files: ProfilePaths) -> None:
    """`~/.aws` itself may be the link."""
    os.symlink("nowhere", f"{files.home}/.aws")
    problem = refusal(ProfilePaths(f"{files.home}/.aws/credentials", "", files.home))
    assert problem.message == "~/.aws/credentials is not a regular file: the link leads nowhere"
    assert problem.hint == f"ls -ld {files.home}/.aws"


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no such device here")
def test_the_null_device_is_an_empty_file(files: ProfilePaths) -> None:
    """As to every SDK: people name it to say "none"; where there is a key to be found, it is told for what it is."""
    null = replace(files, credentials="/dev/null")
    problem = refusal(null)
    assert "/dev/null is not a regular file, and holds nothing" in problem.message
    assert problem.hint == "unset AWS_SHARED_CREDENTIALS_FILE"
    assert find_active({}, None, write(null, config="[default]\n" + ONE)).pair


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file that opens and cannot be read: Linux")
def test_a_file_that_gives_an_error_is_not_an_empty_one(files: ProfilePaths) -> None:
    """It may hold the key, even where the other file has one too; botocore would go on as if it were empty."""
    os.symlink("/proc/self/mem", files.credentials)
    problem = refusal(write(files, config="[default]\n" + ONE))
    assert problem.message == "~/credentials cannot be read: input/output error"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(files: ProfilePaths) -> None:
    """With the command that shows why."""
    os.chmod(write(files, "[default]\n" + ONE).credentials, 0)
    problem = refusal(files)
    assert problem.message == "~/credentials cannot be read: permission denied"
    assert problem.hint == f"ls -l {files.credentials}"


@pytest.mark.parametrize(
    "text",
    [
        "[default]\none/not+a+secret\n",
        "one/not+a+secret = 1\n",
        "[default]\naws_access_key_id = AKIA\naws_secret_access_key =\n  one/not+a+secret\n",
        '[default]\naws_access_key_id = AKIA\naws_secret_access_key = "one/not+a+secret"\n',
        "[default]\naws_access_key_id = one/not+a+secret\naws_secret_access_key = AKIA\n",
    ],
    ids=["a line alone", "before the first section", "below its name", "in quotes", "changed over with the id"],
)
def test_no_refusal_shows_a_secret(files: ProfilePaths, text: str) -> None:
    """Neither in the message nor anywhere in the traceback with all its causes."""
    problem = refusal(write(files, text))
    assert "not+a+secret" not in problem.hint + "".join(traceback.format_exception(problem))
    assert "not+a+secret" not in repr(problem.__context__)


def test_what_is_read_does_not_show_secrets(files: ProfilePaths) -> None:
    """Not even when a debugger prints it."""
    write(files, "[default]\n" + ONE, "[default]\n" + TWO)
    shown = repr((find_active({}, None, files), sections(files), Profiles(files)))
    assert "not+a+secret" not in shown


# The listing.


def test_every_profile_is_listed_with_its_kind(files: ProfilePaths) -> None:
    """The credentials file's first; a key in both files is two facts, the winner first; what is no use has a note."""
    write(
        files,
        f"[default]\n{ONE}[session]\n{ONE}aws_session_token = t\n[half]\naws_access_key_id = x\n[mixed]\n{ONE}",
        f"[default]\n{TWO}[profile role]\n{ROLE}[profile env]\nrole_arn = r\ncredential_source = Environment\n"
        "[profile sso]\nsso_session = s\n[profile web]\nrole_arn = r\nweb_identity_token_file = t\n"
        "[profile login]\nlogin_session = l\n[profile program]\ncredential_process = p\n[profile empty]\nregion = r\n"
        f"[profile mixed]\nsso_session = s\n[profile own]\n{TWO}{ROLE.replace('base', 'own')}[sso-session s]\nx = y\n",
    )
    session = "holds temporary credentials (a session), which expire on their own"
    listed = [
        (fact.profile, fact.kind, fact.place and os.path.basename(fact.place.path), fact.source, fact.also, fact.note)
        for fact in sections(files)
    ]
    assert listed == [
        ("default", Kind.STATIC, "credentials", None, (), ""),
        ("default", Kind.STATIC, "config", None, (), ""),
        ("session", Kind.SESSION, "credentials", None, (), session),
        ("half", Kind.NONE, None, None, (), "has an aws_access_key_id and no aws_secret_access_key"),
        ("mixed", Kind.STATIC, "credentials", None, (Kind.SSO,), ""),
        ("role", Kind.ROLE, None, "base", (), ""),
        ("env", Kind.ROLE, None, None, (), "credential_source=Environment"),
        ("sso", Kind.SSO, None, None, (), ""),
        ("web", Kind.WEB_IDENTITY, None, None, (), ""),
        ("login", Kind.LOGIN, None, None, (), ""),
        ("program", Kind.PROCESS, None, None, (), ""),
        ("empty", Kind.NONE, None, None, (), ""),
        ("own", Kind.STATIC, "config", "own", (), ""),
    ]


def test_an_empty_computer_has_an_empty_list(files: ProfilePaths) -> None:
    """Missing files are no failure here."""
    assert sections(files) == ()


def test_a_file_that_cannot_be_parsed_has_no_list(files: ProfilePaths) -> None:
    """It is named, with the line."""
    with pytest.raises(Problem, match=r"^~/config, line 2 "):
        sections(write(files, config="[default]\nwhat\n"))


LINES = st.sampled_from([
    "[a]", "[profile a]", "[profile 'b c']", "[default]", "[DEFAULT]", " [a]", "profile", "[services a]", "[]", "a",
    "= 5", "x = 1", "  y: 2", "X=3 ; c", "# c", "; c", "", "  ", "s3 =", "    z = 4", "\tq=5", "    plain", "r = [a]",
    "\u2028", "aws_access_key_id = AKIA", "  # deep",
])  # fmt: skip


@given(credentials=st.lists(LINES, max_size=12), config=st.lists(LINES, max_size=12))
def test_any_two_files_are_merged_as_by_botocore(
    tmp_path_factory: pytest.TempPathFactory, credentials: list[str], config: list[str]
) -> None:
    """Values and profiles are those of a session's full_config, and what it cannot parse is a Problem."""
    from botocore.exceptions import ConfigParseError
    from botocore.session import Session

    home = tmp_path_factory.mktemp("any")
    files = write(ProfilePaths(str(home / "c"), str(home / "g")), "\n".join(credentials), "\n".join(config))
    session = Session()
    session.set_config_variable("credentials_file", files.credentials)
    session.set_config_variable("config_file", files.config)
    try:
        expected = session.full_config["profiles"]
    except ConfigParseError:
        with pytest.raises(Problem):
            Profiles(files)
        return
    merged = Profiles(files).merged
    flat = {name: {key: value for key, value in values.items() if value[:1] != "\n"} for name, values in merged.items()}
    plain = {
        name: {key: value for key, value in values.items() if isinstance(value, str)}
        for name, values in expected.items()
    }
    assert flat == plain
    assert {name: set(values) for name, values in merged.items()} == {
        name: set(values) for name, values in expected.items()
    }


def test_importing_this_loads_no_botocore() -> None:
    """Commands that read no profile file do not pay for it; and no command here pays for a botocore session."""
    code = "import sys, rotate_my_key.profiles.which; print([name for name in sys.modules if 'botocore' in name])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
