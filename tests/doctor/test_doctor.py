"""What the doctor says of a healthy laptop, and how; that it changes nothing; that AWS away is no illness."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rotate_my_key.cli.doctor import summary
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials
from rotate_my_key.doctor import Level, local
from rotate_my_key.doctor.local import upgrade
from rotate_my_key.profiles.which import find_active
from tests import warm

from .conftest import ROOT, Laptop
from .test_broken_laptops import GOOD, TABLE, codes

READ_ONLY = {
    *("GetCallerIdentity", "GetUser", "ListAccessKeys", "GetAccessKeyLastUsed"),
    *("ListAttachedUserPolicies", "SimulatePrincipalPolicy"),
}


def run(laptop: Laptop, *words: str) -> subprocess.CompletedProcess[str]:
    """The program as a process of its own."""
    return warm.run(["doctor", *words], {**laptop.env, "AWS_ENDPOINT_URL": laptop.aws.url})


def linked(laptop: Laptop) -> None:
    """The credentials are a link into a folder of dotfiles."""
    dotfiles = laptop.home / "dotfiles"
    dotfiles.mkdir(mode=0o755)
    laptop.credentials.rename(dotfiles / "credentials")
    laptop.credentials.symlink_to(dotfiles / "credentials")


def as_role(laptop: Laptop) -> None:
    """A role is assumed with the key."""
    laptop.write(laptop.config, "[profile admin]\nrole_arn = x\nsource_profile = default\nregion = eu-west-1\n", 0o644)
    laptop.env["AWS_PROFILE"] = "admin"


def rotated(laptop: Laptop) -> None:
    """An earlier run has left its lock and its history."""
    laptop.state.mkdir(parents=True)
    laptop.state.chmod(0o700)
    laptop.write(laptop.state / "lock", "1\n")
    laptop.write(laptop.state / "history.jsonl", "")


HEALTHY: dict[str, Callable[[Laptop], object]] = {
    "a plain one": lambda laptop: None,
    "AWS_PROFILE names the profile": lambda laptop: laptop.env.update(AWS_PROFILE="default"),
    "both profile variables say the same": lambda laptop: laptop.env.update(
        AWS_PROFILE="default", AWS_DEFAULT_PROFILE="default"),
    "both files hold the same key": lambda laptop: laptop.write(laptop.config, GOOD),
    "two profiles share the key": lambda laptop: laptop.write(
        laptop.credentials, GOOD + GOOD.replace("default", "work")),
    "no config file": lambda laptop: laptop.config.unlink(),
    "~/.aws can be listed by others": lambda laptop: (laptop.home / ".aws").chmod(0o755),
    "the credentials are a link": linked,
    "a role with the key of another profile": as_role,
    "a proxy and its lower-case twin": lambda laptop: laptop.env.update(HTTPS_PROXY="http://u:p@proxy:1", https_proxy="http://u:p@proxy:1"),
    "rotated before": rotated,
    "settings of the person and of the site": lambda laptop: (
        laptop.write(laptop.settings, "max_age = 60d\n"), laptop.write(laptop.site, "minimum_version = 0.1\n", 0o644)),
    "a region that this botocore does not know, of a place that it knows": lambda laptop: laptop.write(
        laptop.config, "[default]\nregion = eu-west-9\n", 0o644),
}  # fmt: skip


@pytest.mark.parametrize("make", HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_laptop_has_no_findings(laptop: Laptop, make: Callable[[Laptop], object]) -> None:
    """Nothing broken, nothing to warn of, nothing unchecked; and who it is."""
    make(laptop)
    report = laptop.examine()
    assert (report.findings, report.unchecked) == ((), ())
    assert report.active and report.active.pair == laptop.old
    assert report.identity and report.identity.user == "alice"


def test_the_key_and_why_it_is_that_one(laptop: Laptop) -> None:
    """File and line, and what led there: a variable, a role's source. AWS's advice against such keys is no finding, and
    it is not said where there is no long-term key."""
    as_role(laptop)
    report = laptop.examine(online=False)
    assert report.active is not None
    why = ("AWS_PROFILE=admin", "admin assumes a role with the key of default", "in ~/.aws/credentials, line 3")
    assert report.active.trail == why
    assert "avoiding long-term keys" in report.advice
    laptop.credentials.unlink()
    assert laptop.examine(online=False).advice == ""


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (lambda laptop: setattr(laptop, "endpoint", "http://127.0.0.1:1"), "cannot reach 127.0.0.1"),
        (lambda laptop: laptop.aws.fault("*", "html", times=None, status=200), "captive portal"),
        (lambda laptop: laptop.aws.fault("*", "throttle", times=None), "throttling"),
        (lambda laptop: laptop.aws.fault("*", "503", times=None), "trouble"),
    ],
    ids=["no network", "a captive portal", "throttled", "AWS has trouble"],
)
def test_a_network_that_is_away_is_not_broken(laptop: Laptop, breaks: Callable[[Laptop], object], says: str) -> None:
    """What could not be asked is said to be unchecked; all else is looked at."""
    breaks(laptop)
    laptop.credentials.chmod(0o644)
    report = laptop.examine()
    assert codes(report) == {"file-mode"}
    assert len(report.unchecked) == 1
    assert says in report.unchecked[0]


def test_rights_that_aws_does_not_tell_are_unchecked(laptop: Laptop) -> None:
    """Most users may not ask the policy simulator; nothing is tried out instead."""
    laptop.aws.deny("SimulatePrincipalPolicy")
    report = laptop.examine()
    (unchecked,) = report.unchecked
    assert (report.findings, "SimulatePrincipalPolicy" in unchecked) == ((), True)


def test_a_denial_is_told_apart_from_a_want_of_mfa(laptop: Laptop) -> None:
    """Changes that are denied until MFA are worth knowing; those that are denied for good are broken."""
    looking = ("ListAccessKeys", "GetUser", "SimulatePrincipalPolicy", "ListAttachedUserPolicies")
    laptop.aws.demand_mfa(but=(*looking, "GetAccessKeyLastUsed"))
    report = laptop.examine()
    assert [(f.code, f.level) for f in report.findings] == [("mfa", Level.ADVICE)]
    laptop.aws.deny("DeleteAccessKey")
    levels = {f.message.split()[-1]: f.level for f in laptop.examine().findings}
    assert Level.BROKEN in levels.values()
    assert Level.ADVICE in levels.values()


def test_with_a_device_set_a_denied_list_is_for_want_of_mfa(laptop: Laptop) -> None:
    """As a rotation would: the profile's mfa_serial says that a code is expected."""
    laptop.aws.deny("ListAccessKeys")
    laptop.write(laptop.config, "[default]\nregion=eu-west-1\nmfa_serial = arn:aws:iam::1:mfa/alice\n", 0o644)
    report = laptop.examine()
    assert codes(report) == {"mfa"}
    assert report.identity is not None
    assert not report.broken


def test_a_variable_is_found_where_the_shell_sets_it(laptop: Laptop) -> None:
    """The start-up file and the line, not a comment or a use of it. What hides the profile is a warning if that is
    named: with -p botocore passes over the environment's key; other programs do not."""
    laptop.write(
        laptop.home / ".bashrc", "# AWS_ACCESS_KEY_ID=x\necho $AWS_ACCESS_KEY_ID\nexport AWS_ACCESS_KEY_ID=AKIA\n"
    )
    laptop.env["AWS_ACCESS_KEY_ID"] = "AKIA"
    report = laptop.examine(online=False)
    (finding,) = report.findings
    assert finding.where == (str(laptop.home / ".bashrc"), 3, "AWS_ACCESS_KEY_ID")
    assert report.broken
    laptop.profile = "default"
    assert not laptop.examine(online=False).broken


def test_a_kept_key_is_nothing_to_mend(laptop: Laptop) -> None:
    """The old key that a rotation keeps, switched off, is neither unfinished nor a second key."""
    laptop.aws.delete_key(laptop.old.key_id)
    laptop.old = laptop.aws.add_key("alice", timedelta(days=98))
    laptop.write(laptop.credentials, GOOD)
    laptop.env["AWS_ENDPOINT_URL"] = laptop.aws.url
    laptop.shell("ROTATE_MY_KEY_PROOF_INTERVAL=0 rotate-my-key rotate --yes --keep-old 7d")
    del laptop.env["AWS_ENDPOINT_URL"]
    assert laptop.examine().findings == ()


def test_an_unfinished_rotation_is_found(laptop: Laptop) -> None:
    """A run that AWS cut short left its note: the next run finishes it."""
    laptop.env |= {"AWS_ENDPOINT_URL": laptop.aws.url, "ROTATE_MY_KEY_PROPAGATION_TIMEOUT": "1s"}
    laptop.aws.settings.propagation = 3600
    laptop.shell("rotate-my-key rotate --yes --force; test $? = 75")
    laptop.aws.settings.propagation = 0
    del laptop.env["AWS_ENDPOINT_URL"]
    report = laptop.examine()
    assert codes(report) == {"unfinished"}
    assert report.findings[0].remedy == "rotate-my-key"


@pytest.mark.parametrize("words", [(), ("--json",), ("-p", "default", "-vv")], ids=["plain", "json", "named"])
def test_it_changes_nothing(laptop: Laptop, words: tuple[str, ...]) -> None:
    """Not a byte, a mode or a time in the home, and only reading calls; also of a laptop with many faults."""
    laptop.credentials.chmod(0o644)
    laptop.aws.add_key("alice")
    laptop.write(laptop.settings, "max_age = soon\n")
    (laptop.state / "rotations").mkdir(parents=True)
    laptop.write(laptop.state / "rotations" / f"{laptop.old.key_id}.note", "{")
    laptop.write(laptop.state / "rotations" / "credentials.tmp", "left over")
    before = laptop.seen()
    done = run(laptop, *words)
    assert laptop.seen() == before
    assert done.returncode == 1
    assert {call.action for call in laptop.aws.calls} <= READ_ONLY
    assert laptop.old.secret not in done.stdout + done.stderr


def test_what_a_person_sees(laptop: Laptop) -> None:
    """How many findings there are; the key and why; each finding with the command below it, worst first."""
    laptop.credentials.chmod(0o644)
    done = run(laptop)
    account = laptop.aws.account
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "1 problem, 1 warning",
        f"The key in use is ...{laptop.old.key_id[-4:]}, alice in {account}:",
        "  no profile is named, so it is default",
        "  in ~/.aws/credentials, line 3",
        "problem  ~/.aws/credentials holds secrets and can be read by others on this computer",
        "         chmod 600 ~/.aws/credentials",
        f"warning  requests go to {laptop.aws.url}, which is not AWS (AWS_ENDPOINT_URL)",
        "         unset AWS_ENDPOINT_URL",
    ]
    assert done.stderr == ""


def test_json(laptop: Laptop) -> None:
    """One object with a version: the key, the findings with all that is known of each, what was not checked."""
    done = run(laptop, "--json")
    value = json.loads(done.stdout)
    assert done.returncode == 0
    assert value["version"] == 1
    assert value["key"] == {
        "key_id": laptop.old.key_id,
        "profile": "default",
        "holder": "default",
        "place": {"path": str(laptop.credentials), "profile": "default", "kind": "credentials"},
        "trail": ["no profile is named, so it is default", "in ~/.aws/credentials, line 3"],
        "account": laptop.aws.account,
        "user": "alice",
    }
    (finding,) = value["findings"]
    assert finding == {
        "level": "warning",
        "code": "foreign-endpoint",
        "message": f"requests go to {laptop.aws.url}, which is not AWS",
        "remedy": "unset AWS_ENDPOINT_URL",
        "file": None,
        "line": None,
        "variable": "AWS_ENDPOINT_URL",
    }
    assert value["unchecked"] == []
    assert value["advice"].startswith("AWS recommends")


def test_all_is_well_is_said_only_if_aws_was_asked(laptop: Laptop) -> None:
    """Offline nothing is wrong, as far as that can be known; what never changes is not said each time."""
    assert summary(laptop.examine()) == "No problems found."
    laptop.endpoint = "http://127.0.0.1:1"
    assert summary(laptop.examine()) == "No problems found; AWS could not be asked"
    laptop.credentials.chmod(0o644)
    assert summary(laptop.examine()) == "1 problem; AWS could not be asked"
    (unchecked,) = laptop.examine().unchecked
    assert "not checked in AWS: cannot reach" in unchecked and "long-term" not in run(laptop).stdout


def test_a_mixed_profile_has_one_remedy_that_works(laptop: Laptop) -> None:
    """Its key is overdue, too: the command to rotate it says --mixed."""
    laptop.write(laptop.config, "[default]\nregion = eu-west-1\nsso_start_url = https://example.com/start\n", 0o644)
    laptop.write(laptop.settings, "max_age = 2d\nremind_before = 1d\n")
    remedies = {found.code: found.remedy for found in laptop.examine().findings}
    assert remedies["overdue"] == "rotate-my-key rotate --mixed"


@pytest.mark.parametrize(
    ("shell", "platform", "remedy"),
    [
        ("/bin/bash", "linux", "unset AWS_ACCESS_KEY_ID"),
        ("/usr/bin/fish", "linux", "set -e AWS_ACCESS_KEY_ID"),
        ("", "win32", "Remove-Item Env:AWS_ACCESS_KEY_ID"),
    ],
)
def test_remedies_are_in_the_words_of_the_shell(laptop: Laptop, shell: str, platform: str, remedy: str) -> None:
    """fish and PowerShell know no unset; what `setx` has set is in the registry, too."""
    laptop.env |= {"AWS_ACCESS_KEY_ID": "AKIA", "SHELL": shell}
    computer = replace(laptop.computer(), platform=platform)
    (finding,) = local.check_environment(computer)
    assert finding.remedy == remedy
    (finding,) = local.check_environment(replace(computer, kept=lambda: {"AWS_ACCESS_KEY_ID": "AKIA"}))
    kept = r"; Remove-ItemProperty HKCU:\Environment AWS_ACCESS_KEY_ID" if platform == "win32" else ""
    assert finding.remedy == remedy + kept


@pytest.mark.parametrize("end", ["", "-0a1b2c3d"])
def test_an_old_file_that_windows_left_is_named(laptop: Laptop, end: str) -> None:
    """No run removes it while it may be the only one to have a profile: the person looks. One without a secret, or of
    another system, is none of ours."""
    left = laptop.home / f".aws/credentials.rotate-my-key-old{end}"
    laptop.write(left, GOOD.replace("default", "gone"))
    computer = laptop.computer()
    (finding,) = local.check_files(replace(computer, platform="win32"))
    assert (finding.code, finding.level, finding.remedy) == ("old-file", Level.WARNING, f'notepad "{left}"')
    assert "older version of ~/.aws/credentials" in finding.message
    assert list(local.check_files(computer)) == []
    laptop.write(left, "[gone]\nregion = eu-west-1\n")
    assert list(local.check_files(replace(computer, platform="win32"))) == []


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/a/.local/share/pipx/venvs/rotate-my-key", "pipx upgrade rotate-my-key"),
        ("/home/a/.local/share/uv/tools/rotate-my-key", "uv tool upgrade rotate-my-key"),
        (r"C:\Users\a\AppData\Roaming\uv\tools\rotate-my-key", "uv tool upgrade rotate-my-key"),
        ("/home/a/.local/share/rotate-my-key/venv", "./install.sh"),
        ("/opt/homebrew/Cellar/rotate-my-key/0.1.0/libexec", "brew upgrade rotate-my-key"),
        (r"C:\Users\a\scoop\apps\rotate-my-key\current\_internal", "scoop update rotate-my-key"),
    ],
)
def test_a_newer_version_comes_from_where_this_one_came(prefix: str, command: str) -> None:
    """pipx, uv or the installer."""
    assert upgrade(prefix) == command


@pytest.mark.parametrize(
    ("program", "own"),
    [("", "~/.local/bin"), ("-c", "~/.local/bin"), ("./rotate-my-key", "~/downloads")],
    ids=["unknown", "python -c", "called by a path from here"],
)
def test_a_program_in_the_working_directory_is_not_taken_for_this_one(
    laptop: Laptop, program: str, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be anyone's; PATH is to have this one's folder, or the installer's."""
    laptop.write(laptop.home / "downloads/rotate-my-key", "#!/bin/sh\n", 0o755)
    laptop.env["PATH"] = "/usr/bin:/bin"
    monkeypatch.chdir(laptop.home / "downloads")
    (finding,) = local.check_program(replace(laptop.computer(), program=program))
    assert (finding.code, finding.remedy) == ("not-on-path", f'export PATH={own}:"$PATH"')


def test_the_reminder_is_looked_after(laptop: Laptop) -> None:
    """Installed and then taken out by hand, or its program gone: a warning each."""
    laptop.env["SHELL"] = "/bin/bash"
    laptop.shell("rotate-my-key reminder install --shell bash")
    assert "reminder" not in {f["code"] for f in json.loads(run(laptop, "--json").stdout)["findings"]}
    (laptop.home / ".bashrc").write_text("")
    value = json.loads(run(laptop, "--json").stdout)
    (finding,) = [f for f in value["findings"] if f["code"] == "reminder"]
    assert finding["remedy"] == "rotate-my-key reminder install --shell bash"
    assert finding["file"] == str(laptop.home / ".bashrc")


def test_a_key_in_the_keyring(laptop: Laptop) -> None:
    """A keyring that is not there or locked is broken, with what to do; a pair from it is examined like any other."""
    config = "[default]\ncredential_process = rotate-my-key credentials --profile default\nregion = eu-west-1\n"
    laptop.write(laptop.config, config, 0o644)
    laptop.credentials.unlink()
    pair = Credentials(laptop.old.key_id, laptop.old.secret)
    active, findings = local.find(replace(laptop.computer(), keyring=lambda profile: pair))
    assert (active and active.pair, findings) == (pair, [])
    done = run(laptop, "--json")
    assert "keyring" in {f["code"] for f in json.loads(done.stdout)["findings"]}
    assert done.returncode == 1
    laptop.write(laptop.config, config.replace("= rotate-my-key", "= /gone/bin/rotate-my-key"), 0o644)
    (finding,) = [f for f in json.loads(run(laptop, "--json").stdout)["findings"] if f["code"] == "program-gone"]
    assert finding["message"].endswith("but /gone/bin/rotate-my-key, which reads it there, no longer exists")
    assert finding["remedy"] == "rotate-my-key keyring restore -p default"


def test_every_code_is_documented() -> None:
    """docs/doctor.md names all codes of the table, and those that the other tests plant."""
    rows = [line for line in (ROOT / "docs/doctor.md").read_text().splitlines() if line.startswith("| `")]
    documented = {code for line in rows for code in re.findall(r"`([a-z-]+)`", line.split("|")[1])}
    elsewhere = {"unfinished", "keyring", "program-gone", "reminder", "schedule"}
    elsewhere |= {"not-listed", "not-a-user", "connection", "aws-settings", "old-file"}
    assert documented == {code for row in TABLE for code in row.codes} | elsewhere


def test_rotate_says_that_the_site_asks_for_a_newer_version(laptop: Laptop) -> None:
    """One line, with the command; it rotates all the same."""
    laptop.write(laptop.settings, "minimum_version = 99.1\n")
    done = warm.run(["rotate", "--dry-run"], {**laptop.env, "AWS_ENDPOINT_URL": laptop.aws.url})
    assert done.returncode == 0
    (note,) = [line for line in done.stderr.splitlines() if line.startswith("note: this is version")]
    assert "at least 99.1 is required" in note


def test_the_schedule_is_looked_after(laptop: Laptop) -> None:
    """A crontab that runs a program which is gone: a warning, with what to do."""
    cron = laptop.home / "fake/crontab"
    table = laptop.home / "table"
    laptop.write(cron, f'#!/bin/sh\nif [ "$1" = -l ]; then cat {table}; else cat "$1" >{table}; fi\n', 0o755)
    table.write_text("")
    laptop.env["PATH"] = f"{cron.parent}:{laptop.env['PATH']}"
    for name in ("systemctl", "launchctl", "schtasks"):
        laptop.write(cron.parent / name, "#!/bin/sh\nexit 1\n", 0o755)
    laptop.env["AWS_ENDPOINT_URL"] = laptop.aws.url
    laptop.shell("rotate-my-key schedule install --yes")
    assert "schedule" not in {f["code"] for f in json.loads(run(laptop, "--json").stdout)["findings"]}
    table.write_text(re.sub(r"/[^ ]*/rotate-my-key\b", "/gone/rotate-my-key", table.read_text()))
    findings = json.loads(run(laptop, "--json").stdout)["findings"]
    assert [f["remedy"] for f in findings if f["code"] == "schedule"] == ["rotate-my-key schedule install"]


def test_with_a_code_it_sees_what_mfa_hides(laptop: Laptop) -> None:
    """Without one it says how; with one it looks at everything, in one session."""
    laptop.aws.demand_mfa()
    device = laptop.aws.add_mfa("alice")
    value = json.loads(run(laptop, "--json").stdout)
    (finding,) = [f for f in value["findings"] if f["code"] == "mfa"]
    assert (finding["level"], finding["remedy"]) == ("advice", "rotate-my-key doctor --mfa-code CODE")
    assert len(value["unchecked"]) == 1
    laptop.aws.add_key("alice")
    value = json.loads(run(laptop, "--json", "--mfa-code", device.code).stdout)
    assert {f["code"] for f in value["findings"]} == {"foreign-endpoint", "second-key", "mfa"}


@pytest.mark.parametrize(("secret", "length"), [("x" * 39, 39), ("x" * 80, 80)], ids=["cut off", "pasted twice"])
def test_a_secret_of_another_length_is_told(laptop: Laptop, secret: str, length: int) -> None:
    """AWS only says that it is wrong; nothing of it is shown."""
    laptop.write(laptop.credentials, f"[default]\naws_access_key_id = {{id}}\naws_secret_access_key = {secret}\n")
    (finding,) = laptop.examine().findings
    assert finding.message.endswith(f"aws_secret_access_key has {length} characters here, and AWS's have 40")


def test_an_exported_key_that_is_the_profiles_own(laptop: Laptop) -> None:
    """It dies with the rotation: said before."""
    laptop.env.update(AWS_ACCESS_KEY_ID=laptop.old.key_id, AWS_SECRET_ACCESS_KEY=laptop.old.secret)
    active = find_active(laptop.env, "default", laptop.computer().files)
    assert active.warnings == (
        "AWS_ACCESS_KEY_ID is this very key: once it is replaced, programs started here fail until: unset "
        "AWS_ACCESS_KEY_ID",
    )


def test_a_key_in_the_environment_and_no_profile(laptop: Laptop) -> None:
    """There is no profile to name: `adopt` makes one."""
    laptop.credentials.unlink()
    laptop.config.unlink()
    with pytest.raises(Problem, match="there is none here") as caught:
        find_active({"AWS_ACCESS_KEY_ID": "AKIA"}, None, laptop.computer().files)
    assert caught.value.hint == "rotate-my-key adopt"
