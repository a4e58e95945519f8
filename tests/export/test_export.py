"""`export` and `import`: a key goes to another computer, sealed; it is proven and stored there, never rotated."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime

import pyrage
import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials, Identity
from rotate_my_key.files import age
from rotate_my_key.state.transit import Exported, read_export, write_export
from tests.cli.terminal import Terminal
from tests.laptop import Laptop

from .conftest import carried, recipient, rotated, take

PASSPHRASE = "correct horse battery"
WHO = Identity("123456789012", "arn:aws:iam::123456789012:user/alice")
KEY = Exported(
    Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    WHO,
    "work",
    "eu-west-1",
    datetime(2026, 2, 4, tzinfo=UTC),
)


def in_terminal(laptop: Laptop, *words: str) -> Terminal:
    """The program in a terminal."""
    return Terminal(words, laptop.environment(), laptop.home)


@pytest.mark.slow
def test_with_a_passphrase(here: Laptop, there: Laptop) -> None:
    """It is asked for twice and hidden, a short one again; the file is 0600, and the other laptop asks once."""
    rotated(here)
    file = there.home / "key.age"
    terminal = in_terminal(here, "export", "-o", str(file))
    terminal.answer("Passphrase (hidden)", "short\r")
    terminal.until("at least 10 characters")
    terminal.answer("Passphrase (hidden)", f"{PASSPHRASE}\r")
    terminal.answer("Repeat passphrase", f"{PASSPHRASE}\r")
    made = terminal.end()
    assert made.code == 0, made.text
    assert PASSPHRASE not in made.stream
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said = made.stream
    for passphrase, code in (("wrong horse battery", 1), (PASSPHRASE, 0)):
        assert there.pair() == here.old
        terminal = in_terminal(there, "import", str(file))
        terminal.answer("Passphrase (hidden)", f"{passphrase}\r")
        done = terminal.end()
        assert done.code == code, done.text
        wrong = ["error: that is not the passphrase it was made with", f"hint: rotate-my-key import {file}"]
        assert code == 0 or done.lines[-2:] == wrong
        said += done.stream
    assert there.pair() == here.pair()
    for secret in (*here.secrets(), PASSPHRASE):
        assert secret not in said


def test_it_can_be_pasted(here: Laptop, there: Laptop) -> None:
    """Without a file a terminal takes what is pasted, up to its last line."""
    rotated(here)
    sealed = carried(here, there).read_text()
    terminal = in_terminal(there, "import", "-i", str(there.home / "key.txt"))
    terminal.answer("Paste the export", f"  > Hello,\r{sealed}".replace("\n", "\r"))
    done = terminal.end()
    assert done.code == 0, done.text
    assert there.pair() == here.pair()


def test_for_a_recipient(here: Laptop, there: Laptop) -> None:
    """Nothing is asked; the older key of the same user gives way in every profile, byte for byte; none is rotated."""
    rotated(here)
    calls = len(here.aws.calls)
    done = take(there, carried(here, there))
    assert done.code == 0, done.text
    assert there.works("default", "work") == here.works("default", "work")
    there.unchanged_but_for_the_pair()
    assert {call.action for call in here.aws.calls[calls:]} <= {
        *("GetCallerIdentity", "ListAccessKeys", "GetUser", "GetAccessKeyLastUsed")
    }
    assert [(line["action"], line["old"]) for line in there.history()] == [("imported", here.old.key_id)]
    assert there.run().code == 0
    assert there.pair() == here.pair()
    assert take(there, there.home / "key.age").out == "Nothing to do: profile default already has it.\n"
    assert not [secret for secret in here.secrets() if secret in done.text]


def test_on_stdout_and_stdin(here: Laptop, there: Laptop) -> None:
    """What is printed is the sealed text and nothing else; it can be read from a pipe."""
    made = here.run("export", "-p", "work", "-r", recipient(there))
    assert made.out.startswith(age.BEGIN)
    assert made.out.endswith(age.END + "\n")
    assert not [secret for secret in here.secrets() if secret in made.text]
    opened = read_export(age.unseal(made.out.encode(), identities=(there.home / "key.txt").read_bytes()))
    assert (opened.pair, opened.profile, opened.identity.user) == (here.old, "work", "alice")


def test_a_dead_key_gives_way(here: Laptop, there: Laptop) -> None:
    """The other laptop was forgotten until the old key was gone. A new profile is made, in a file that is made if need
    be."""
    assert here.run("rotate", "--yes").code == 0
    file = carried(here, there)
    done = take(there, file)
    assert done.code == 0, done.text
    assert there.works() == here.pair()
    there.unchanged_but_for_the_pair()
    there.file.unlink()
    done = take(there, file, "-p", "shared", "--json")
    assert done.code == 0, done.text
    assert json.loads(done.out)["replaced"] is None
    assert there.pair("shared") == here.pair()
    assert stat.S_IMODE(there.file.stat().st_mode) == 0o600


@pytest.mark.slow
def test_what_an_earlier_run_began_is_finished_first(here: Laptop, there: Laptop) -> None:
    """A rotation that was killed there is finished, and then its key is the younger one: it stays."""
    file = carried(here, there)
    there.at("DeleteAccessKey", 1, lambda call: there.signal())
    assert there.end(there.start("rotate", "--yes")).code < 0
    there.calm()
    there.at("GetCallerIdentity", 3, lambda call: there.calm(60))
    done = take(there, file)
    assert "finished the earlier rotation" in done.err
    assert done.code in (1, 5)
    assert [line["action"] for line in there.history()] == ["rotated"]
    assert there.works() != here.old


REFUSED = {
    "a younger key of the same user": (1, "holds a newer key of alice"),
    "another user's key": (1, "holds a key of bob"),
    "an export whose key is dead": (5, "it has been replaced or deactivated"),
    "another user's export": (1, "but the export says"),
    "an SSO profile": (1, "signs in with sso"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(here: Laptop, there: Laptop, case: str) -> None:
    """One line, a hint, and every byte as it was."""
    file, words, aws = carried(here, there), [], here.aws
    if case.startswith("a younger"):
        rotated(there)
    elif case == "another user's key":
        aws.add_user("bob")
        bobs = aws.add_key("bob")
        text = there.file.read_text().replace(here.old.key_id, bobs.key_id).replace(here.old.secret, bobs.secret)
        there.file.write_text(text)
    elif case.startswith("an export"):
        assert here.run("rotate", "--yes").code == 0
        here.at("GetCallerIdentity", 2, lambda call: here.calm(60))
    elif case == "another user's export":
        other_user = Identity(here.aws.account, f"arn:aws:iam::{here.aws.account}:user/bob")
        file.write_text(
            age.seal(write_export(Exported(here.old, other_user, "x", None, KEY.made)), recipients=[recipient(there)])
        )
    else:
        (there.home / ".aws" / "config").write_text(
            "[profile sso]\nsso_start_url = https://x\nsso_region = eu-west-1\n"
        )
        words = ["-p", "sso"]
    before = there.file.read_bytes()
    done = take(there, file, *words)
    code, text = REFUSED[case]
    assert (done.code, text in done.err) == (code, True), done.text
    assert done.err.splitlines()[-1].startswith("hint: ")
    assert there.file.read_bytes() == before


def test_export_refuses(here: Laptop, there: Laptop) -> None:
    """Without a terminal there is no passphrase; a file that is there stays; a bad recipient is named."""
    file = carried(here, there)
    before, calls = file.read_bytes(), len(here.aws.calls)
    assert here.run("export").code == 4
    assert here.run("export", "-r", "age1nonsense").code == 1
    taken = here.run("export", "-r", recipient(there), "-o", str(file))
    assert (taken.code, "already exists" in taken.err) == (1, True)
    assert file.read_bytes() == before
    assert len(here.aws.calls) == calls
    assert there.run("import", str(there.home / "nothing")).code == 1


def test_a_key_that_is_about_to_go_is_not_exported(here: Laptop, there: Laptop) -> None:
    """An unfinished rotation comes first."""
    here.at("GetCallerIdentity", 2, lambda call: here.signal())
    assert here.end(here.start("rotate", "--yes")).code < 0
    here.calm()
    done = here.run("export", "-r", recipient(there))
    assert (done.code, done.out) == (1, "")
    assert "is unfinished" in done.err


# The sealed text


_MADE = pyrage.x25519.Identity.generate()
IDENTITY, STRANGER = str(_MADE).encode(), str(pyrage.x25519.Identity.generate()).encode()


def sealed() -> str:
    """An export for this identity."""
    return age.seal(write_export(KEY), recipients=[str(_MADE.to_public())])


def test_it_comes_out_as_it_went_in() -> None:
    """Through a mail that quotes it, with other line ends, with words around it; written by PowerShell's `>` or by
    Notepad; through a chat that makes one line of it."""
    text = sealed()
    assert read_export(age.unseal(text.encode(), identities=IDENTITY)) == KEY
    mail = "\r\n".join(["Hi,", *(f"> {line}" for line in text.splitlines()), "> bye"])
    assert read_export(age.unseal(mail.encode(), identities=b"# mine\n\n" + IDENTITY)) == KEY
    for sent in (
        text.encode("utf-16"),
        text.encode("utf-16-be"),
        text.encode("utf-8-sig"),
        " ".join(text.split("\n")).encode(),
    ):
        assert read_export(age.unseal(sent, identities=IDENTITY)) == KEY
    assert "secret" not in text
    assert KEY.pair.secret not in repr(KEY)


DAMAGED = {
    "nothing": lambda text: "",
    "its end is missing": lambda text: text[:200],
    "a letter less": lambda text: text[:120] + text[121:],
    "a line less": lambda text: "\n".join(text.splitlines()[:2] + text.splitlines()[3:]),
    "other letters": lambda text: text[:-60] + ("A" if text[-60] != "A" else "B") + text[-59:],
    "no letters": lambda text: text.replace("A", "!"),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_damaged(how: str) -> None:
    """It says so, in one line, and never what was in it."""
    with pytest.raises(Problem) as caught:
        read_export(age.unseal(DAMAGED[how](sealed()).encode(), identities=IDENTITY))
    assert "\n" not in caught.value.message
    assert caught.value.hint


def changed(**values: object) -> Callable[[], object]:
    """Reads an export in which something is another."""
    return lambda: read_export(json.dumps({**json.loads(write_export(KEY)), **values}).encode())


NOT_OURS: dict[str, tuple[Callable[[], object], str]] = {
    "another version": (changed(version=2), "version 2"),
    "another program's": (changed(kind="x"), "not made by"),
    "half of it": (changed(secret=None), "not made by"),
    "a list": (lambda: read_export(b"[]"), "not made by"),
    "for somebody else": (lambda: age.unseal(sealed().encode(), identities=STRANGER), "not made for this identity"),
    "a file that is no identity": (lambda: age.unseal(sealed().encode(), identities=b"hello"), "not an identity file"),
}


@pytest.mark.parametrize("case", NOT_OURS)
def test_what_is_not_ours(case: str) -> None:
    """It is left alone, with one line."""
    read, text = NOT_OURS[case]
    with pytest.raises(Problem, match=text):
        read()
