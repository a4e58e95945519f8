"""What Windows does to a profile file, and what stands beside a rotation there."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
import pytest

from tests.windows.conftest import HERE, PYTHON, WindowsLaptop

pytestmark = pytest.mark.slow
OWN = ("core", *(rf"profiles\test_{name}.py" for name in ("ini", "edit", "active_contract")), r"fleet\test_judge.py")
ID = r"HKCU\Environment /v AWS_ACCESS_KEY_ID"
TASK = r"""
import re
from rotate_my_key.schedule import job, windows
task = windows.task(job.make(r"C:\rotate-my-key.exe", {}, {}), "me")
print('"%s" %s' % tuple(re.search(f"<{part}>(.*)</{part}>", task)[1] for part in ("Command", "Arguments")))
"""
HOLD = """
import ctypes
from ctypes import wintypes
kernel = ctypes.WinDLL("kernel32")
kernel.CreateFileW.restype = wintypes.HANDLE
numbers = [wintypes.DWORD] * 2
kernel.CreateFileW.argtypes = [wintypes.LPCWSTR, *numbers, wintypes.LPVOID, *numbers, wintypes.HANDLE]
kernel.CloseHandle.argtypes = [wintypes.HANDLE]
held = kernel.CreateFileW({path!r}, 0x80000000, {share}, None, 3, 0, None)
result = held not in (None, 2**64 - 1)
"""


@contextmanager
def held(laptop: WindowsLaptop, share: int) -> Iterator[None]:
    """Another program has the credentials file open."""
    assert laptop.windows.do(HOLD.format(path=laptop.windows.path(laptop.file), share=share))
    try:
        yield
    finally:
        laptop.windows.do("kernel.CloseHandle(held)")


def test_every_module_can_be_loaded(laptop: WindowsLaptop) -> None:
    """None needs what Windows has not, but for those of IT that need the extra `fleet`."""
    done = laptop.shell([PYTHON, r"C:\inside.py", "load"])
    assert (done.code, done.err) == (0, ""), done.text
    assert int(done.out) > 100


def test_what_needs_no_linux_passes_there_too(laptop: WindowsLaptop) -> None:
    """The tests of the pure core, of the judge, and of profile files as bytes and as botocore reads them in UTF-8."""
    repo = "Z:" + str(HERE.parents[1]).replace("/", "\\")  # wine's name for all of Linux
    tests = [rf"{repo}\tests\{name}" for name in OWN]
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *tests]
    done = laptop.shell(command, {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"})
    assert done.code == 0, done.text


@pytest.mark.parametrize("share", [3, 7], ids=["read and write", "all"])
def test_a_file_that_another_program_reads(laptop: WindowsLaptop, share: int) -> None:
    """It is replaced, or written in place."""
    with held(laptop, share):
        done = laptop.run()
        assert done.code == 0, done.text
    laptop.settled()


def test_a_file_that_has_lost_its_name(laptop: WindowsLaptop) -> None:
    """A computer that stops within ReplaceFileW leaves it under the backup's: the next run renames it. One beside the
    file is swept, but not where the file lacks one of its profiles."""
    backup = laptop.file.rename(f"{laptop.file}.rotate-my-key-old")
    laptop.settled()
    for text, kept in (("[work]\n", False), ("[gone]\n", True)):
        backup.write_text(text)
        assert laptop.run("rotate", "--yes", "--force").code == 0
        assert [path.read_text() for path in laptop.file.parent.glob("*-old*")] == [text] * kept


@pytest.mark.parametrize("share", [0, 1], ids=["nothing", "read"])
def test_a_file_that_another_program_keeps_to_itself(laptop: WindowsLaptop, share: int) -> None:
    """Nothing is changed, at AWS neither; when it is closed, the same command works."""
    with held(laptop, share):
        done = laptop.run()
        assert done.code == (75 if share else 1), done.text
        assert "another program has" in done.err or not share, done.text
        assert "CreateAccessKey" not in {call.action for call in laptop.aws.calls}
        assert [key.key_id for key in laptop.aws.keys("alice")] == [laptop.old.key_id]
    assert laptop.file.read_bytes() == laptop.original
    laptop.settled()


def test_a_file_that_is_read_only(laptop: WindowsLaptop) -> None:
    """It is replaced, and is read-only again."""
    assert laptop.cmd(r"attrib +r .aws\credentials && rotate-my-key --yes").code == 0
    assert "R" in laptop.cmd(r"attrib .aws\credentials").out[:12]
    laptop.cmd(r"attrib -r .aws\credentials")
    laptop.settled(rotated=None)


@pytest.mark.parametrize("form", [r"\\?\C:{path}", r"%USERPROFILE%\.aws\credentials", r"~\.aws/credentials"])
def test_a_file_that_a_variable_names(laptop: WindowsLaptop, form: str) -> None:
    """In Windows' own ways of writing a path."""
    named = form.format(path=laptop.windows.path(laptop.file).removeprefix("C:"))
    done = laptop.run(env={"AWS_SHARED_CREDENTIALS_FILE": named})
    assert done.code == 0, done.text
    laptop.settled()


def test_one_file_in_two_spellings(laptop: WindowsLaptop) -> None:
    """A file system that takes no notice of case has one file, and one edit of it."""
    done = laptop.run(env={"AWS_CONFIG_FILE": r"~\.AWS\Credentials"})
    assert done.code == 0, done.text
    laptop.settled()


def test_in_the_code_page(laptop: WindowsLaptop) -> None:
    """botocore reads profile files in it, and so are they edited: each byte but the key's stays."""
    text = "# für Groß\r\n" + laptop.original.decode().replace("[work]", "[größe]")
    laptop.file.write_bytes(text.encode())  # in UTF-8 these are other letters there
    assert laptop.run("rotate", "-p", "default", "--dry-run").code == 0
    laptop.file.write_bytes(text.encode("cp1252"))
    done = laptop.run("rotate", "-p", "größe", "--yes")
    assert done.code == 0, done.text
    now = laptop.file.read_bytes().decode("cp1252")
    assert now.splitlines()[0] == "# für Groß" and now.count("[größe]") == 1
    assert laptop.old.key_id not in now
    laptop.file.write_bytes("# Ő\r\n".encode() + laptop.original)
    done = laptop.run()
    assert done.code == 1 and "code page cp1252" in done.err, done.text


def test_the_credential_manager(laptop: WindowsLaptop) -> None:
    """A key goes there, is rotated there, is given to SDKs from there, and comes back."""
    laptop.shell(["reg", "delete", r"HKCU\Software\Wine\Credential Manager", "/f"])
    for words in (["keyring", "store"], ["rotate"]):
        done = laptop.run(*words, "-p", "work", "--yes")
        assert done.code == 0, done.text
    assert laptop.old.secret.encode() not in laptop.file.read_bytes()
    given = laptop.run("credentials", "--profile", "work")
    assert json.loads(given.out)["AccessKeyId"] != laptop.old.key_id, given.text
    done = laptop.run("keyring", "restore", "-p", "work", "--yes")
    assert done.code == 0 and json.loads(given.out)["SecretAccessKey"].encode() in laptop.file.read_bytes(), done.text


def test_task_scheduler_takes_the_job(laptop: WindowsLaptop) -> None:
    """schtasks takes the XML, of which wine keeps no action; what it starts has no console; `uninstall` takes it
    out, and says how to go on as cmd understands it."""
    done = laptop.run("schedule", "install", "--yes")
    assert done.code == 0, done.text
    (file,) = (laptop.windows.drive / "windows/system32/tasks").iterdir()
    assert b"made by `rotate-my-key schedule install`" in file.read_bytes()
    line = laptop.shell([PYTHON, "-c", TASK]).out.strip()
    assert "pythonw.exe" in line and "--keep-old 7d" in line
    laptop.shell(line)
    assert laptop.works() != laptop.old
    assert laptop.run("undo", "--yes").code == 0  # as no old key may be kept
    assert "PowerShell 7 reads it" in laptop.run("reminder", "install").err
    done = laptop.run("uninstall", "--yes")
    assert done.code == 0 and not file.exists(), done.text
    last = done.out.strip().removeprefix("To remove rotate-my-key: ")
    assert "Name: rotate-my-key" in laptop.cmd(last.replace("uninstall", "show")).out, last
    assert list(laptop.home.rglob("profile.ps1")) == []


def test_copies_in_files_and_in_the_registry(laptop: WindowsLaptop) -> None:
    """`scan` finds them; a rotation changes the files; `scan` and `doctor` say how to remove what `setx` has set."""
    line = f"AWS_ACCESS_KEY_ID={laptop.old.key_id}\r\nAWS_SECRET_ACCESS_KEY={laptop.old.secret}\r\n"
    copies = [laptop.home / name for name in ("work/.env", "AppData/Roaming/Code/User/settings.json")]
    for path in copies:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line)
    laptop.cmd(f"reg add {ID} /d {laptop.old.key_id} /f")
    try:
        said = laptop.run("scan").out
        mend = laptop.run("doctor", env={"AWS_ACCESS_KEY_ID": laptop.old.key_id}).out
        laptop.cmd(re.search(r"reg delete [^\r]*|$", said)[0])  # type: ignore[index]
        assert laptop.cmd(f"reg query {ID}").code == 1, said
    finally:
        laptop.cmd(f"reg delete {ID} /f")
    assert r"~\work\.env" in said and r"~\AppData\Roaming\Code\User\settings.json" in said, said
    assert r"Remove-ItemProperty HKCU:\Environment AWS_ACCESS_KEY_ID" in mend, mend
    assert laptop.run("rotate", "--yes", "--update-copies").code == 0
    new = laptop.works()
    for path in copies:
        assert new.key_id in path.read_text() and new.secret in path.read_text()
        shutil.rmtree(path.parent)


def test_the_sites_settings(laptop: WindowsLaptop) -> None:
    """Windows is asked who may write them: wine's drive is the user's own, so they do not count, and that is said.
    `doctor` has Windows' own remedies."""
    file = laptop.windows.drive / "ProgramData/rotate-my-key/config.ini"
    file.parent.mkdir()
    file.write_text("max_age = 20d\n")
    try:
        done = laptop.run("config", "get", "max_age")
        assert done.out.strip() == "90d" and "not to Administrators" in done.err, done.text
        program = PYTHON.replace("python.exe", r"Scripts\rotate-my-key.exe")
        done = laptop.shell([program, "doctor"], {"PATH": r"C:\windows\system32"})
        assert "/setowner *S-1-5-32-544" in done.out and '$env:PATH = "C:' in done.out, done.text
    finally:
        shutil.rmtree(file.parent)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_as_notepad_and_powershell_write_it(laptop: WindowsLaptop, encoding: str) -> None:
    """Refused where nobody can be asked, and where the code page lacks a character; after a yes in a console the file
    is in the code page, and the key is rotated after another one."""
    text = "# für Groß\r\n" + laptop.original.decode()
    for comment in ("# Ő\r\n", ""):
        laptop.file.write_bytes((text + comment).encode(encoding))
        done = laptop.run()
        assert done.code == 1, done.text
        assert ("code page cp1252" if comment else "hint: rotate-my-key status") in done.err, done.text
        assert laptop.file.read_bytes() == (text + comment).encode(encoding)
    console = laptop.console("rotate")
    for question in ("Rewrite it", "Rotate it?"):
        console.expect_exact(question)
        console.send("\r")
    console.expect(pexpect.EOF)
    laptop.original = text.encode("cp1252")
    assert laptop.pair() != laptop.old
    laptop.unchanged_but_for_the_pair()


@pytest.mark.parametrize("page", [437, 850, 1252, 65001])
def test_code_pages(laptop: WindowsLaptop, page: int) -> None:
    """Nothing that is shown stops a command, whatever the console can show."""
    done = laptop.cmd(f"chcp {page} >nul & rotate-my-key --dry-run")
    assert done.code == 0, done.text
    assert r"update work in ~\.aws\credentials" in done.text
