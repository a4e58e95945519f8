"""`adopt`: a key that was handed over goes into a profile and is replaced at once, whatever happens in between."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rotate_my_key.cli.adopt import check_id, keys_in
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials, PlaceKind
from rotate_my_key.profiles.edit import insert_pair
from rotate_my_key.profiles.file import ProfileFile
from tests.cli.terminal import Terminal
from tests.laptop import Laptop
from tests.standin import StandIn

PAIR = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
HEAD = "Access key ID,Secret access key"


class NewLaptop(Laptop):
    """A fresh home without any AWS file; `old` is the key that alice was handed."""

    def csv(self, text: str = "", name: str = "accessKeys.csv") -> str:
        """The console's file, or another."""
        path = self.home / name
        path.write_text(text or f"{HEAD}\r\n{self.old.key_id},{self.old.secret}\r\n", encoding="utf-8")
        return str(path)

    def piped(self, text: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """The command with something at standard input."""
        return subprocess.run(
            self.command(words), env=self.environment(), input=text, capture_output=True, text=True, check=False
        )

    def put(self, text: str) -> None:
        """The credentials file is there."""
        self.file.parent.mkdir()
        self.file.write_text(text)

    def held(self, profile: str = "default") -> Credentials | None:
        """What an SDK reads from the profile."""
        return ProfileFile(self.file.read_bytes(), "", PlaceKind.CREDENTIALS).pair(profile)

    def is_settled(self, profile: str = "default") -> bool:
        """One key, active, the one in the file, and not the one that was handed over."""
        (key,) = self.aws.keys("alice")
        held = self.held(profile)
        return bool(held and key.active and held == self.aws.pair(key.key_id) and held != self.old)


@pytest.fixture
def laptop(tmp_path: Path, running: StandIn) -> Iterator[NewLaptop]:
    """Each test has its own."""
    running.reset()
    running.add_user("alice")
    yield NewLaptop(tmp_path, running, running.add_key("alice"), b"")
    running.all_well()


def test_a_first_key_makes_folder_and_profile(laptop: NewLaptop) -> None:
    """The folder is private, the file too, and the key that was handed over is dead."""
    done = laptop.run("adopt", laptop.csv(), "--yes")
    assert done.code == 0, done.err
    assert laptop.is_settled()
    assert laptop.file.parent.stat().st_mode & 0o777 == 0o700
    assert laptop.file.stat().st_mode & 0o777 == 0o600
    assert laptop.old.secret not in done.out + done.err


def test_it_comes_by_standard_input(laptop: NewLaptop) -> None:
    """`-` reads the file's text from a pipe. Of anything else that comes in it says what would have been right."""
    done = laptop.piped("hello\n", "adopt", "-", "--yes")
    assert done.returncode == 1
    assert "standard input holds no access key that can be read; accepted are accessKeys.csv" in done.stderr
    assert "or a link from IT" in done.stderr
    done = laptop.piped(f"{HEAD}\n{laptop.old.key_id},{laptop.old.secret}\n", "adopt", "-", "--yes")
    assert done.returncode == 0, done.stderr
    assert laptop.is_settled()


def test_a_dead_key_gives_way(laptop: NewLaptop) -> None:
    """What AWS refuses is replaced in its place, byte for byte."""
    dead = laptop.aws.add_key("alice", age=timedelta(days=98))
    laptop.aws.delete_key(dead.key_id)
    before = f"# mine\n[default]\naws_access_key_id = {dead.key_id}\naws_secret_access_key = {dead.secret}\n# end\n"
    laptop.put(before)
    done = laptop.run("adopt", laptop.csv(), "--yes")
    assert done.code == 0, done.err
    assert laptop.is_settled()
    held = laptop.held()
    assert held is not None
    after = before.replace(dead.key_id, held.key_id).replace(dead.secret, held.secret)
    assert laptop.file.read_text() == after


def test_a_key_that_works_is_not_thrown_away(laptop: NewLaptop) -> None:
    """The profile is in use: the file stays, and the hint is a command."""
    working = laptop.aws.add_key("alice")
    before = f"[default]\naws_access_key_id = {working.key_id}\naws_secret_access_key = {working.secret}\n"
    laptop.put(before)
    done = laptop.run("adopt", laptop.csv(), "--yes")
    assert done.code == 1
    assert "holds a working key" in done.err
    assert f"hint: rotate-my-key adopt {laptop.csv()} --yes -p alice" in done.err
    assert laptop.file.read_text() == before


def test_a_key_of_another_account_gets_a_profile_of_its_own(laptop: NewLaptop) -> None:
    """What is typed next names the same file and a profile that is free; and it works."""
    laptop.aws.add_user("ben")
    other = laptop.aws.add_key("ben")
    laptop.put(f"[default]\naws_access_key_id={other.key_id}\naws_secret_access_key={other.secret}\n")
    path = laptop.csv(name="my keys.csv")
    done = laptop.run("adopt", path, "--yes")
    assert done.code == 1
    account = laptop.aws.account
    assert f"profile default holds a key of ben in {account}, and it works" in done.err
    hint = shlex.split(done.err.rpartition("hint: ")[2])
    assert hint == ["rotate-my-key", "adopt", path, "--yes", "-p", "alice"]
    assert laptop.run(*hint[1:]).code == 0
    assert laptop.is_settled("alice")
    assert laptop.held() == other


@pytest.mark.parametrize(
    "answers", [["{0}", "{1}"], ["AWS_ACCESS_KEY_ID={0}", "AWS_SECRET_ACCESS_KEY={1}"], ["{0},{1}"]]
)
def test_what_is_pasted_at_the_hidden_prompt(laptop: NewLaptop, answers: list[str]) -> None:
    """The values alone, with their names, or both in one line; neither is shown."""
    run = Terminal(["adopt", "--yes"], laptop.environment(), laptop.home)
    for answer in answers:
        run.answer("(hidden)", answer.format(laptop.old.key_id, laptop.old.secret) + "\r")
    done = run.end()
    assert done.code == 0, done.text
    assert laptop.is_settled()
    assert laptop.old.secret not in done.stream


def test_taken_twice_it_says_that_the_key_was_replaced(laptop: NewLaptop) -> None:
    """The second time nothing changes, at AWS or here; --json says so in an object. It is no success for a profile
    without a key (exit 1, and where the new one is), nor once AWS refuses what the profile holds: exit 5."""
    words = ("adopt", laptop.csv(), "--yes")
    assert laptop.run(*words).code == 0
    before, held = laptop.file.read_bytes(), laptop.held()
    again = laptop.run(*words)
    assert (again.code, laptop.file.read_bytes()) == (0, before), again.err
    assert "was already adopted here and replaced" in again.out
    assert held is not None and held.key_id[-4:] in again.out
    assert json.loads(laptop.run(*words, "--json").out) == {"version": 1, "keys": [], "after_rotate": []}
    assert laptop.is_settled()
    again = laptop.run(*words, "-p", "work")
    assert again.code == 1
    assert "was already adopted here and replaced; profile work holds no key" in again.err
    assert "hint: rotate-my-key status" in again.err
    laptop.aws.delete_key(held.key_id)
    again = laptop.run(*words)
    assert again.code == 5, again.out + again.err
    assert "hint: " in again.err


ID, S = PAIR.key_id, PAIR.secret
CREATED = {"AccessKey": {"UserName": "alice", "AccessKeyId": ID, "Status": "Active", "SecretAccessKey": S}}
SENT = {
    "the console's file": f"{HEAD}\r\n{ID},{S}\r\n",
    "the console's file, with a BOM": f"\ufeff{HEAD}\r\n{ID},{S}",
    "the console's file of before": f'User Name,Access Key Id,Secret Access Key\n"alice",{ID},{S}\n',
    "of a new user": f"User name,Password,{HEAD},Console login link\nbob,aVeryLongPassword/1,{ID},{S},https://x/console",
    "Excel in Europe": f"sep=;\r\nAccess key ID;Secret access key\r\n{ID};{S}\r\n",
    "Excel, a text with tabs": f"Access key ID\tSecret access key\n{ID}\t{S}\n",
    "Excel, every cell quoted": f'"User name";"Access key ID";"Secret access key"\n"Ann; M";"{ID}";"{S}"\n',
    "aws iam create-access-key": json.dumps(CREATED, indent=4),
    "the same in one line": json.dumps(CREATED),
    "the same, with escaped slashes": json.dumps(CREATED).replace("/", "\\/"),
    "the same, --output yaml": f"AccessKey:\n  AccessKeyId: {ID}\n  SecretAccessKey: {S}\n  UserName: alice\n",
    "the same, --output table": f"|  AccessKeyId     |  {ID}  |\n|  SecretAccessKey |  {S}  |\n",
    "a section": f"[default]\naws_access_key_id = {ID}\naws_secret_access_key = {S}\nregion = eu-west-1\n",
    "a section, the old key a comment": f"[a]\n# aws_access_key_id = {ID[::-1]}\n"
    f"AWS_ACCESS_KEY_ID={ID}\nAWS_SECRET_ACCESS_KEY={S}",
    "two sections, one key": f"[a]\naws_access_key_id={ID}\naws_secret_access_key={S}\n" * 2,
    "export": f"export AWS_ACCESS_KEY_ID={ID}\nexport AWS_SECRET_ACCESS_KEY='{S}'\n",
    "export in one line": f"export AWS_ACCESS_KEY_ID={ID}; export AWS_SECRET_ACCESS_KEY={S};",
    "set": f"set AWS_ACCESS_KEY_ID={ID}\r\nset AWS_SECRET_ACCESS_KEY={S}\r\n",
    "fish": f"set -gx AWS_ACCESS_KEY_ID {ID}\nset -gx AWS_SECRET_ACCESS_KEY {S}\n",
    "PowerShell": f'$env:AWS_ACCESS_KEY_ID="{ID}"\n$Env:AWS_SECRET_ACCESS_KEY = "{S}"\n',
    "a mail": f"Hello Alice,\nAccess key ID: {ID}\nSecret access key: {S}\n\nBye",
    "the two alone": f"{ID}\n{S}\n",
    "the console's file, with empty rows of Excel": f"{HEAD}\n{ID},{S}\n,\n,\n",
    "heads in another language": f"Zugriffsschlüssel-ID,Geheimer Zugriffsschlüssel\n{ID},{S}\n",
    "the names of rootkey.csv": f"AWSAccessKeyId={ID}\nAWSSecretKey={S}\n",
    "aws iam create-access-key --output text": f"ACCESSKEY\t{ID}\t2026-01-01T00:00:00+00:00\t{S}\tActive\talice\n",
    "a chat": f"*Access Key*: `{ID}`\n*Secret Key*: `{S}`\n",
    "a chat, in a sentence": f"Your access key id is {ID} and the secret access key is {S}.\n",
    "terraform output -json": json.dumps({"id": {"value": ID}, "secret": {"sensitive": True, "value": S}}),
    "s3fs": f"{ID}:{S}\n",
    "a rich text": f"{{\\rtf1\\ansi Access key ID: {ID}\\par Secret access key: {S}\\par}}",
    "a password manager": f"Title,Username,Password,Notes\nAWS,{ID},{S},\n",
}


@pytest.mark.parametrize("text", SENT.values(), ids=SENT)
def test_what_it_and_aws_send_is_read(text: str) -> None:
    """Each form gives the key, whichever system's line ends it has."""
    assert {keys_in(text), keys_in(text.replace("\n", "\r\n"))} == {((ID, S),)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_of_any_editor_is_taken(laptop: NewLaptop, encoding: str) -> None:
    """As Excel and PowerShell save it; what stands beside the key need not be readable."""
    path = Path(laptop.csv())
    path.write_bytes(f"User name,{HEAD}\nJürgen,{laptop.old.key_id},{laptop.old.secret}\n".encode(encoding))
    done = laptop.run("adopt", str(path), "--yes")
    assert done.code == 0, done.err
    assert laptop.is_settled()


NO_KEY, SEVERAL = "holds no access key that can be read; accepted are", "keys, and one is taken at a time"
BAD = [
    pytest.param("", NO_KEY, id="an empty file"),
    pytest.param("a,b\n1,2\n", NO_KEY, id="other heads"),
    pytest.param(f"{HEAD}\n", NO_KEY, id="no key"),
    pytest.param(f"{HEAD}\n{PAIR.key_id}\n", NO_KEY, id="half a row"),
    pytest.param(f"aws_access_key_id = {PAIR.key_id}\n", NO_KEY, id="no secret"),
    pytest.param('"' + PAIR.secret * 900, NO_KEY, id="a quote without an end"),
    pytest.param("\0\x1b[2J\udcff" * 99, NO_KEY, id="control characters"),
    pytest.param(f"{HEAD}\nAKIAIOSFODNN7EXAMPL1,{PAIR.secret}\nAKIAIOSFODNN7EXAMPL2,x\n", f"2 {SEVERAL}", id="two"),
    pytest.param(f"{ID} {S}\n{ID} {S[::-1]}\n", NO_KEY, id="two that may be the secret"),
    pytest.param(f"{HEAD}\nASIAIOSFODNN7EXAMPLE,{PAIR.secret}\n", "temporary key", id="a session's key"),
    pytest.param(f"{HEAD}\nAKIAIOSFODNN7EXAMPLE,short\n", "not a secret access key", id="half a secret"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_bad_files_are_refused(laptop: NewLaptop, text: str, words: str) -> None:
    """One line, a hint, nothing of the file on the screen, and nothing is made."""
    path = laptop.csv("-")
    Path(path).write_bytes(text.encode("utf-8", "surrogateescape"))
    done = laptop.run("adopt", path, "--yes")
    assert done.code == 1
    assert words in done.err
    assert re.fullmatch(r"error: [^\n]+\nhint: [^\n]+\n", done.err)
    assert PAIR.secret not in done.err
    assert not laptop.file.exists()


def test_a_wrong_paste_is_told_what_would_be_right() -> None:
    """Both that may be pasted are named, and nothing of what was."""
    with pytest.raises(Problem) as caught:
        check_id("hello-secret")
    assert caught.value.message == "that is neither an access key ID of an IAM user (AKIA...) nor a link"


def test_without_a_terminal_nothing_is_asked(laptop: NewLaptop) -> None:
    """Neither for the key nor for consent."""
    assert laptop.run("adopt").code == 4
    assert laptop.run("adopt", laptop.csv()).code == 4
    assert not laptop.file.exists()


ADDED = [
    pytest.param(b"", b"[work]\n{}", id="an empty file"),
    pytest.param(b"# c\n[a]\nx = 1\n", b"# c\n[a]\nx = 1\n\n[work]\n{}", id="at the end"),
    pytest.param(b"[a]\nx = 1", b"[a]\nx = 1\n\n[work]\n{}", id="a last line without an end"),
    pytest.param(b"[a]\r\nx = 1\r\n", b"[a]\r\nx = 1\r\n\r\n[work]\r\n{}", id="the file's own line ends"),
    pytest.param(b"[work]\nregion = x\n[b]\n", b"[work]\n{}region = x\n[b]\n", id="a profile without a key"),
    pytest.param(b"[b]\n[work]", b"[b]\n[work]\n{}", id="a header as the last line"),
]


@pytest.mark.parametrize(("before", "after"), ADDED)
def test_a_pair_is_added_where_there_is_none(before: bytes, after: bytes) -> None:
    """Every other byte stays."""
    end = b"\r\n" if b"\r\n" in before else b"\n"
    lines = f"aws_access_key_id = {PAIR.key_id}", f"aws_secret_access_key = {PAIR.secret}"
    written = b"".join(line.encode() + end for line in lines)
    assert insert_pair(ProfileFile(before, "f", PlaceKind.CREDENTIALS), "work", PAIR) == after.replace(b"{}", written)


NO_NAME = "is no name for a profile"  # it would change what other lines mean


@pytest.mark.parametrize(
    ("name", "before", "said"),
    [
        *((name, "", NO_NAME) for name in ("", " ", "a\nb", "end ")),
        ("work", "aws_secret_access_key = another", "holds a key already"),  # somebody began to write it
        # It would make a temporary pair of the key that is put beside it.
        ("work", "aws_session_token = t", "FILE, line 2 gives profile work a session token"),
    ],
)
def test_what_takes_no_pair(name: str, before: str, said: str) -> None:
    """It is left alone, and named."""
    with pytest.raises(Problem, match=said):
        insert_pair(ProfileFile(f"[work]\n{before}\n".encode(), "FILE", PlaceKind.CREDENTIALS), name, PAIR)


@pytest.mark.parametrize("token", ["aws_session_token =\n", "aws_security_token=\nregion = eu-west-1\n"])
def test_an_empty_session_token_is_no_obstacle(token: str) -> None:
    """A section without a key takes the pair; the empty line stays, and the pair is a long-term one."""
    before = f"[default]\n{token}".encode()
    after = insert_pair(ProfileFile(before, "FILE", PlaceKind.CREDENTIALS), "default", PAIR)
    assert ProfileFile(after, "FILE", PlaceKind.CREDENTIALS).pair("default") == PAIR
    assert after.endswith(token.encode())


@pytest.mark.parametrize("command", ["adopt", "rotate"])
def test_two_variables_that_name_different_profiles_are_refused(laptop: NewLaptop, command: str) -> None:
    """SDKs differ which of them counts; every command says so, with the same words."""
    file = [laptop.csv()] if command == "adopt" else []
    done = laptop.run(command, *file, "--yes", env={"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"})
    assert done.code == 1
    assert "AWS_PROFILE=a and AWS_DEFAULT_PROFILE=b are both set" in done.err


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="a terminal of its own")
def test_a_key_is_typed(laptop: NewLaptop) -> None:
    """Its id is shown, so that a typing error can be seen; its secret is not."""
    terminal = Terminal(["adopt"], laptop.environment(), laptop.home)
    terminal.answer("Access key ID, or the link from IT (hidden): ", f"{laptop.old.key_id}\r")
    terminal.answer("Secret access key (hidden): ", f"{laptop.old.secret}\r")
    terminal.answer("Use this key? [Y/n]", "y\r")
    screen = terminal.end()
    assert screen.code == 0, screen.text
    assert laptop.old.key_id in screen.stream and laptop.old.secret not in screen.stream
