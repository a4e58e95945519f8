"""The table of broken laptops: what is wrong, what the doctor says, and that its remedy puts it right."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotate_my_key.cli.table import GROUPS
from rotate_my_key.core.model import RECALL_KEY, Recall
from rotate_my_key.core.policy import Past
from rotate_my_key.doctor import Finding, Report
from rotate_my_key.state.history import FileHistory, HandedKeys

from .conftest import Laptop

AS_ROOT = os.geteuid() == 0


@dataclass(frozen=True)
class Row:
    """One laptop. `codes`: what the doctor finds.

    `cure`: None if the remedies, typed into a shell, put it right; a text if the remedy is to edit the file, which
    then reads so; a pattern for a remedy that needs AWS, IT or the person, and is only read.
    """

    name: str
    breaks: Callable[[Laptop], object]
    codes: set[str]
    cure: str | re.Pattern[str] | None = None
    online: bool = False
    line: int | None = None
    needs: str = ""


GOOD = "[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"
RUN = None


def says(pattern: str) -> re.Pattern[str]:
    """A remedy that is only read."""
    return re.compile(pattern)


ASKED = says("^rotate-my-key status$")  # which asks, in a terminal


def env(**variables: str) -> Callable[[Laptop], object]:
    """Variables of the shell; {home} is the home."""
    return lambda laptop: laptop.env.update({n: v.replace("{home}", str(laptop.home)) for n, v in variables.items()})


def credentials(text: str) -> Callable[[Laptop], object]:
    """Another credentials file."""
    return lambda laptop: laptop.write(laptop.credentials, text)


def config(text: str, mode: int = 0o600) -> Callable[[Laptop], object]:
    """Another config file."""
    return lambda laptop: laptop.write(laptop.config, text, mode)


def raw(data: Callable[[bytes], bytes]) -> Callable[[Laptop], object]:
    """The credentials file in other bytes."""
    return lambda laptop: laptop.credentials.write_bytes(data(laptop.credentials.read_bytes()))


def both(*breaks: Callable[[Laptop], object]) -> Callable[[Laptop], object]:
    """One after the other."""
    return lambda laptop: [each(laptop) for each in breaks]


def named(profile: str) -> Callable[[Laptop], object]:
    """The doctor is called with -p."""
    return lambda laptop: setattr(laptop, "profile", profile)


def state(name: str, text: str) -> Callable[[Laptop], object]:
    """A file among the notes."""

    def make(laptop: Laptop) -> None:
        (laptop.state / "rotations").mkdir(parents=True)
        laptop.state.chmod(0o700)
        laptop.write(laptop.state / "rotations" / name.replace("ID", laptop.old.key_id), text)

    return make


GONE = "AKIAREPLACED00000000"


def replaced() -> Callable[[Laptop], object]:
    """An earlier run here has replaced a key and deleted it."""
    arn = "arn:aws:iam::123456789012:user/alice"

    def make(laptop: Laptop) -> None:
        laptop.state.mkdir(parents=True, mode=0o700)
        past = Past(datetime.now(UTC), "rotated", "123456789012", arn, GONE, laptop.old.key_id, (GONE,), ())
        FileHistory(str(laptop.state / "history.jsonl")).add(past)

    return make


def tracked(folder: str, git: str, *, remote: bool = True) -> Callable[[Laptop], object]:
    """git tracks the credentials in that folder of the home."""

    def make(laptop: Laptop) -> None:
        where = laptop.home / folder
        where.mkdir(exist_ok=True)
        if folder:
            laptop.credentials.rename(where / "credentials")
            laptop.credentials.symlink_to(where / "credentials")
        bare = "--bare .dotfiles" if "." in git else ""
        push = f"{git} remote add origin https://example.com/x" if remote else "true"
        name = "credentials" if folder else ".aws/credentials"
        script = f"git init -q {bare} && {git} add {name} && {push}"
        env = {"PATH": os.environ["PATH"], "HOME": str(laptop.home), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["sh", "-c", script], cwd=where, env=env, check=True)

    return make


def settings(text: str) -> Callable[[Laptop], object]:
    """The user's settings."""
    return lambda laptop: laptop.write(laptop.settings, text)


def site(text: str, mode: int = 0o644) -> Callable[[Laptop], object]:
    """The site's settings."""
    return lambda laptop: laptop.write(laptop.site, text, mode)


def recall(laptop: Laptop) -> None:
    """IT asks for every key that was made until now."""
    now = datetime.now(UTC)
    tag = Recall(now - timedelta(seconds=2), now + timedelta(days=1), "lost").value
    laptop.aws.set_tags("alice", {RECALL_KEY: tag})


def allowed(*actions: str, tags: str = "") -> Callable[[Laptop], object]:
    """A policy of the user's that allows these actions, and to tag with one key."""
    only = {"ForAllValues:StringEquals": {"aws:TagKeys": tags}}
    tagging = {"Effect": "Allow", "Action": ["iam:TagUser"], "Resource": "*", "Condition": only}
    statements = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}, *([tagging] if tags else [])]
    return lambda laptop: laptop.aws.attach_policy("alice", {"Version": "2012-10-17", "Statement": statements})


def key_of_age(days: int) -> Callable[[Laptop], object]:
    """The key in the file is that old."""

    def make(laptop: Laptop) -> None:
        laptop.aws.delete_key(laptop.old.key_id)
        laptop.old = laptop.aws.add_key("alice", timedelta(days=days))
        laptop.write(laptop.credentials, GOOD)

    return make


def root_key(laptop: Laptop) -> None:
    """The key in the file is root's."""
    laptop.old = laptop.aws.add_key(None)
    laptop.write(laptop.credentials, GOOD)


def exempt(laptop: Laptop) -> None:
    """The user is tagged."""
    laptop.aws.add_user("bob", tags={"rotate-my-key": "exempt"})
    laptop.old = laptop.aws.add_key("bob")
    laptop.write(laptop.credentials, GOOD)


def both_keys(laptop: Laptop) -> None:
    """Two profiles, two keys, one user."""
    other = laptop.aws.add_key("alice")
    text = GOOD + f"[work]\naws_access_key_id={other.key_id}\naws_secret_access_key={other.secret}\n"
    laptop.write(laptop.credentials, text)


def at_end_of_path(laptop: Laptop) -> None:
    """An older program that another installer left."""
    laptop.write(laptop.home / "bin/rotate-my-key", "#!/bin/sh\n", 0o755)
    laptop.env["PATH"] += f":{laptop.home}/bin"


def off_path(laptop: Laptop) -> None:
    """A shell that does not know ~/.local/bin."""
    laptop.env["PATH"] = "/usr/bin:/bin"


def chown(path: Callable[[Laptop], Path]) -> Callable[[Laptop], object]:
    """It belongs to somebody else."""
    return lambda laptop: os.chown(path(laptop), 12345, 12345)


def elsewhere(url: str = "") -> Callable[[Laptop], object]:
    """AWS is where the environment says, or at an address."""
    return lambda laptop: setattr(laptop, "endpoint", url or None)


def handed(laptop: Laptop) -> None:
    """`adopt` took the key, which came through other hands."""
    laptop.state.mkdir(parents=True, mode=0o700)
    HandedKeys(str(laptop.state / "handed")).mark(laptop.old.key_id)


def quarantine(laptop: Laptop) -> None:
    """AWS has attached its policy to the user; nothing was denied yet."""
    iam, deny = laptop.aws._front.world.iam, {"Effect": "Deny", "Action": "*", "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.attach_user_policy(iam.create_policy("", "/", text, "AWSCompromisedKeyQuarantineV3", []).arn, "alice")


EDIT = GOOD
NOTE = '{"version": 99}'

ENVIRONMENT = [
    Row("a key in the environment hides the profile",
        env(AWS_ACCESS_KEY_ID="AKIAX", AWS_SECRET_ACCESS_KEY="x", AWS_SESSION_TOKEN="t"), {"key-in-environment"}),
    Row("a key in the environment, and -p", both(env(AWS_ACCESS_KEY_ID="AKIAX"), named("default")),
        {"key-in-environment"}),
    Row("a web identity token in the environment", env(AWS_WEB_IDENTITY_TOKEN_FILE="/x", AWS_ROLE_ARN="r"),
        {"token-in-environment"}),
    Row("a session token is left over from an assumed role", env(AWS_SESSION_TOKEN="t"), {"half-a-key-in-environment"}),
    Row("AWS_PROFILE against AWS_DEFAULT_PROFILE", env(AWS_PROFILE="default", AWS_DEFAULT_PROFILE="work"),
        {"profile-variables"}),
    Row("AWS_PROFILE is empty", env(AWS_PROFILE=""), {"profile-variables"}),
    Row("AWS_PROFILE names no profile", env(AWS_PROFILE="defualt"), {"no-profile"}, says(r"status -p default$")),
    Row("AWS_CONFIG_FILE names a file that is gone", env(AWS_CONFIG_FILE="{home}/gone"), {"file-variable"}),
    Row("AWS_CONFIG_FILE is set to nothing", env(AWS_CONFIG_FILE=""), {"file-variable"}),
    Row("AWS_SHARED_CREDENTIALS_FILE has a ~ that no shell expanded",
        env(AWS_SHARED_CREDENTIALS_FILE="~/.aws/credentials"), {"file-variable"}),
    Row("AWS_CONFIG_FILE is relative",
        lambda laptop: laptop.env.update(AWS_CONFIG_FILE=os.path.relpath(laptop.config)), {"file-variable"}),
    Row("two regions in the environment", env(AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="us-east-1"),
        {"region-variables"}),
    Row("two proxies in the environment", env(HTTPS_PROXY="http://a:1", https_proxy="http://b:1"), {"proxy"}),
    Row("a proxy without a host", env(HTTPS_PROXY="http://:8080"), {"proxy"}),
    Row("a proxy of a kind that there is not", env(HTTPS_PROXY="ftp://proxy:21"), {"proxy"}),
    Row("AWS_CA_BUNDLE names a file that is gone", env(AWS_CA_BUNDLE="{home}/ca.pem"), {"ca-bundle"}),
    Row("AWS_CA_BUNDLE is empty", env(AWS_CA_BUNDLE=""), {"ca-bundle"}, says("^unset AWS_CA_BUNDLE$"), online=True),
    Row("AWS_CA_BUNDLE is a folder", env(AWS_CA_BUNDLE="{home}/.aws"), {"ca-bundle"}),
    Row("AWS_CA_BUNDLE is a pipe",
        lambda laptop: (os.mkfifo(laptop.home / "pipe"), laptop.env.update(AWS_CA_BUNDLE=str(laptop.home / "pipe"))),
        {"ca-bundle"}),
    Row("AWS_CA_BUNDLE leads through a variable that nobody expands", env(AWS_CA_BUNDLE="$HOME/ca.pem"), {"ca-bundle"}),
    Row("an empty AWS_CA_BUNDLE hides the profile's",
        both(env(AWS_CA_BUNDLE=""), config("[default]\nregion = eu-west-1\nca_bundle = /gone.pem\n")), {"ca-bundle"},
        says("^unset AWS_CA_BUNDLE$")),
    Row("REQUESTS_CA_BUNDLE is empty", env(REQUESTS_CA_BUNDLE=""), {"ca-bundle"}),
    Row("the profile's ca_bundle is empty", config("[default]\nregion = eu-west-1\nca_bundle =\n"), {"ca-bundle"},
        "[default]\nregion = eu-west-1\n", online=True, line=3),
    Row("AWS_CONFIG_FILE is a pipe",
        lambda laptop: (os.mkfifo(laptop.home / "pipe"), laptop.env.update(AWS_CONFIG_FILE=str(laptop.home / "pipe"))),
        {"unreadable-file"}),
    Row("the credentials file is a link to a drive that is away",
        lambda laptop: (laptop.credentials.unlink(), laptop.credentials.symlink_to("/away/credentials")),
        {"unreadable-file"}, says("^ls -ld ")),
    Row("the credentials file is a folder", lambda laptop: (laptop.credentials.unlink(), laptop.credentials.mkdir()),
        {"unreadable-file"}, says("^ls -ld ")),
    Row("REQUESTS_CA_BUNDLE names a file without certificates", env(REQUESTS_CA_BUNDLE="{home}/.aws/config"),
        {"ca-bundle"}),
    Row("the profile's ca_bundle is gone", config("[default]\nregion = eu-west-1\nca_bundle = /gone.pem\n"),
        {"ca-bundle"}, "[default]\nregion = eu-west-1\n", line=3),
    Row("SSLKEYLOGFILE is set", env(SSLKEYLOGFILE="{home}/keys"), {"key-log"}, says("^unset SSLKEYLOGFILE$")),
    Row("HOME is relative", env(HOME="alice"), {"home"}),
    Row("HOME is no folder", env(HOME=os.devnull), {"home", "no-profile"}, says("^export HOME|")),
    Row("HOME is not there", lambda laptop: shutil.rmtree(laptop.home), {"home", "no-profile"}, says("^export HOME|")),
]  # fmt: skip

FILES = [
    Row("no profile files", lambda laptop: shutil.rmtree(laptop.home / ".aws"), {"no-profile"}, says(r"aws|adopt")),
    Row("an empty credentials file", credentials(""), {"no-key"}, says("adopt -p default$")),
    Row("a section twice", credentials(GOOD + "[default]\nregion = x\n"), {"unreadable-file"}, EDIT, line=4),
    Row("a key twice", credentials(GOOD + "aws_access_key_id = x\n"), {"unreadable-file"}, EDIT, line=4),
    Row("a line before the first section", credentials("hello\n" + GOOD), {"unreadable-file"}, EDIT, line=1),
    Row("a BOM", raw(lambda data: b"\xef\xbb\xbf" + data), {"unreadable-file"}, ASKED),
    Row("UTF-16", raw(lambda data: data.decode().encode("utf-16")), {"unreadable-file"}, ASKED),
    Row("UTF-16 without a BOM", raw(lambda data: data.decode().encode("utf-16-le")), {"unreadable-file"}, ASKED),
    Row("Latin-1", raw(lambda data: b"# J\xfcrgen\n" + data), {"unreadable-file"}, EDIT, line=1),
    Row("a quoted secret", credentials(GOOD.replace("{secret}", '"{secret}"')), {"unusable-key"}, EDIT, line=3),
    *(
        Row(f"the secret holds {what}", credentials(GOOD.replace("{secret}", f"{odd}{{secret}}")), {"unusable-key"},
            EDIT, line=3)
        for what, odd in (("a blank of no width", "\u200b"), ("a soft hyphen", "\u00ad"), ("a curly quote", "\u201c"),
                          ("the mark of a paste", "\x1b[200~"))
    ),
    Row("the next header is glued to the secret", credentials(GOOD.replace("{secret}", "{secret}[work]")),
        {"unusable-key"}, EDIT, line=3),
    *(
        Row(f"the pair under {name}", credentials(f"[default]\n{name} = {{id}}\n{other} = {{secret}}\n"),
            {"misspelt-setting"}, EDIT, line=2)
        for name, other in (
            ("export AWS_ACCESS_KEY_ID", "export AWS_SECRET_ACCESS_KEY"),
            ("set AWS_ACCESS_KEY_ID", "set AWS_SECRET_ACCESS_KEY"),
            ("AWSAccessKeyId", "AWSSecretKey"),
            ("aws_access_key", "aws_secret_key"),
            ("accessKeyId", "secretAccessKey"),
            ("aws-access-key-id", "aws-secret-access-key"),
            ("aws_acces_key_id", "aws_secret_acces_key"),
            ("aws_access_key_di", "aws_secret_access_key"),
        )
    ),
    *(
        Row(f"{what} around the pair", credentials(GOOD.replace("{id}", before + "{id}" + behind)
            .replace("{secret}", before + "{secret}" + behind)), {"unusable-key"}, EDIT, line=2)
        for what, before, behind in (("commas", "", ","), ("angle brackets", "<", ">"), ("backslashes", "", "\\"),
                                     ("backticks", "`", "`"))
    ),
    Row("a comma behind the secret", credentials(GOOD.replace("{secret}", "{secret},")), {"unusable-key"}, EDIT,
        line=3),
    Row("the secret alone is misspelt", credentials(GOOD.replace("aws_secret_access_key", "aws_secret_key")),
        {"misspelt-setting"}, EDIT, line=3),
    Row("include_profile, which SDKs do not follow",
        both(named("a"), config("[profile a]\ninclude_profile = default\n")), {"no-key"},
        says("^rotate-my-key status -p default$")),
    Row("aws-vault holds the key",
        both(named("a"), credentials(""),
             config("[profile a]\ncredential_process = /usr/bin/aws-vault exec --json a\n")),
        {"nothing-to-rotate"}, says("^aws-vault rotate a$")),
    Row("another program holds the key",
        both(named("a"), credentials(""), config("[profile a]\ncredential_process = op run x\n")),
        {"nothing-to-rotate"}, says("^rotate-my-key adopt -p a-key$")),
    Row("an old file came back", both(replaced(), credentials(GOOD + GOOD.replace("default", "work").replace(
        "{id}", GONE))), {"dead-key"}, EDIT),
    Row("this shell still has the key that was replaced", both(replaced(), env(AWS_ACCESS_KEY_ID=GONE,
        AWS_SECRET_ACCESS_KEY="x"), named("default")), {"key-in-environment", "dead-key"}, says("^unset AWS_ACC")),
    Row("the key is in the environment only",
        both(env(AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="x"),
             lambda laptop: shutil.rmtree(laptop.home / ".aws")),
        {"key-in-environment", "no-profile"}, says("^unset|adopt$")),
    Row("a comment behind the id", credentials(GOOD.replace("{id}", "{id} # mine")), {"unusable-key"}, EDIT, line=2),
    Row("a value on the next line", credentials(GOOD.replace("= {id}", "=\n  {id}")), {"unreadable-file"}, EDIT,
        line=3),
    Row("the key in [DEFAULT]", credentials(GOOD.replace("default", "DEFAULT") + "[default]\n"), {"unusable-key"},
        EDIT),
    Row("an id without a secret", credentials(GOOD.rsplit("\n", 2)[0] + "\n"), {"unusable-key"},
        says("^aws configure")),
    Row("an empty secret", credentials(GOOD.replace("{secret}", "")), {"unusable-key"}, says("^aws configure")),
    Row("blanks within the brackets", credentials(GOOD.replace("default", " default ")), {"misspelt-section"}, EDIT),
    Row("[profile default] in the credentials file", both(credentials(GOOD.replace("default", "profile default")),
        config("")), {"no-profile"}, EDIT),
    Row("[work] in the config file", both(config(GOOD.replace("default", "work")), named("work")), {"no-profile"},
        "[profile work]\n" + GOOD.split("\n", 1)[1]),
    Row("another key in the config file", config(GOOD.replace("{id}", "AKIAOTHER0OTHER0OTHER")), {"other-key"},
        "[default]\n"),
    Row("half a key in the config file", config("[default]\naws_secret_access_key = x\n"), {"other-key"},
        "[default]\n"),
    Row("a session token in the config file", config("[default]\naws_session_token = x\n"), {"other-key"},
        "[default]\n"),
    Row("a key under [profile default] in the credentials file",
        credentials(GOOD + GOOD.replace("default", "profile default").replace("{id}", "AKIAOTHER0OTHER0OTHER")),
        {"other-key"}, EDIT),
    Row("a session instead of a key", credentials(GOOD + "aws_session_token = t\n"), {"session"}, says(".")),
    Row("SSO settings beside the key", config("[default]\nsso_session = x\n"), {"mixed-profile"}, says("--mixed$")),
    Row("an SSO profile is in force", both(env(AWS_PROFILE="sso"), config("[profile sso]\nsso_session = x\n")),
        {"nothing-to-rotate"}, says("^aws sso login --profile sso$")),
    Row("a role whose source is gone", both(env(AWS_PROFILE="r"),
        config("[profile r]\nrole_arn = x\nsource_profile = gone\n")), {"unusable-key"}, says(".")),
    Row("line ends of old Macs", raw(lambda data: data.replace(b"# mine\n", b"# mine\r")), {"uneditable"}, EDIT),
    Row("an indented id", credentials(GOOD.replace("aws_acc", "  aws_acc").replace("aws_sec", "  aws_sec")),
        {"sdks-differ"}, EDIT, line=2),
    Row("an id in upper case", credentials(GOOD.replace("aws_access_key_id", "AWS_ACCESS_KEY_ID")), {"sdks-differ"},
        EDIT, line=2),
    Row("a colon for an equals sign", credentials(GOOD.replace("id =", "id:")), {"sdks-differ"}, EDIT, line=2),
    Row("the id with another secret in another profile",
        credentials(GOOD + GOOD.replace("default", "work").replace("{secret}", "0ther")), {"other-secret"}, EDIT),
    Row("the key in a section that botocore skips", config(GOOD.replace("default", "profile my company")),
        {"uneditable"}, EDIT, line=1),
    Row("the key alone in such a section", both(credentials(""), config(GOOD.replace("default", "profile my company"))),
        {"no-profile"}, EDIT, line=2),
    Row("the key again, with comments behind the values",
        credentials(GOOD + "[work]\n" + GOOD.split("\n", 1)[1].replace("}", "} # work")), {"uneditable"}, EDIT, line=5),
    Row("an empty session token", credentials(GOOD + "aws_session_token =\n"), set()),
]  # fmt: skip

MODES = [
    Row("the credentials can be read by others", lambda laptop: laptop.credentials.chmod(0o644), {"file-mode"}),
    Row("~/.aws leads to a Windows drive, where every mode is 0777", lambda laptop: (setattr(laptop, "wsl", True),
        (laptop.home / ".aws").chmod(0o777), laptop.credentials.chmod(0o777)), {"windows-drive"}, says("^icacls.exe")),
    Row("the config file with a key can be written by others", config(GOOD, 0o666), {"file-mode"}),
    Row("~/.aws can be written by others", lambda laptop: (laptop.home / ".aws").chmod(0o777), {"folder-mode"}),
    Row("the credentials file has two names",
        lambda laptop: os.link(laptop.credentials, laptop.home / "again"), {"in-place"}),
    Row("the credentials are linked into a repository that is pushed", tracked("dotfiles", "git"), {"tracked"}),
    Row("a whole home is one", tracked("", "git --git-dir=.dotfiles --work-tree=."), {"tracked"}),
    Row("nobody pushes it", tracked("dotfiles", "git", remote=False), set()),
    Row("~/.aws is read-only", lambda laptop: (laptop.home / ".aws").chmod(0o500), {"in-place"},
        needs="user"),
    Row("neither the file nor its folder can be written",
        lambda laptop: (laptop.credentials.chmod(0o400), (laptop.home / ".aws").chmod(0o500)), {"unwritable"},
        needs="user"),
    Row("the credentials belong to another user", chown(lambda laptop: laptop.credentials), {"foreign-file"},
        says("^ls -ln"), needs="root"),
    Row("HOME belongs to another user", chown(lambda laptop: laptop.home), {"foreign-home"}, says("^sudo -H"),
        needs="root"),
    Row("the disk is full", lambda laptop: setattr(laptop, "room", 100), {"disk-full"}, says("^df -h")),
    Row("the state folder is a file", lambda laptop: laptop.write(laptop.state, ""), {"state-folder"}),
    Row("the state folder is open to others",
        lambda laptop: laptop.state.mkdir(parents=True, mode=0o755), {"state-mode"}),
    Row("the state folder is read-only", lambda laptop: laptop.state.mkdir(parents=True, mode=0o500), {"state-folder"},
        needs="user"),
    Row("sudo has left files in the state folder",
        both(state("ID.note", "{"), chown(lambda laptop: laptop.state / "rotations")), {"foreign-state"},
        says("^sudo chown -R"), needs="root"),
    Row("a note that cannot be read", state("ID.note", "{"), {"unreadable-note"}, says("^rotate-my-key$")),
    Row("a note of a newer version", state("ID.note", NOTE), {"strange-note"}, says(".")),
    Row("a folder in a note's place", lambda laptop: (laptop.state / "rotations/AKIA0.note").mkdir(0o700, parents=True)
        or laptop.state.chmod(0o700), {"strange-note"}, says("^ls -l .*AKIA0.note$")),
    Row("a key that adopt took is still to be replaced", handed, {"handed-key"}, says("^rotate-my-key$")),
]  # fmt: skip

PROGRAM = [
    Row("a wrong value in the settings", settings("max_age = 90d\nkeep_old = soon\n"), {"settings"}),
    Row("a wrong value in a variable", env(ROTATE_MY_KEY_MAX_AGE="soon"), {"settings"}),
    Row("a misspelt variable", env(ROTATE_MY_KEY_MAX_AGES="90d"), {"settings"}),
    Row("remind_before above max_age", settings("max_age = 5d\n"), {"settings"}, says("^rotate-my-key config")),
    Row("the site's settings can be written by others", site("max_age = 30d\n", 0o666), {"untrusted-site"},
        says("^sudo")),
    Row("the site's settings are wrong", site("max_age = soon\n"), {"site-settings"}, says(".")),
    Row("the program is older than the site asks for", site("minimum_version = 99.0\n"), {"old-version"},
        says("install.sh|upgrade")),
    Row("two programs on PATH", at_end_of_path, {"several-programs"}),
    Row("the program is not on PATH", off_path, {"not-on-path"}),
]  # fmt: skip

AT_AWS = [
    Row("the key is deleted", lambda laptop: laptop.aws.delete_key(laptop.old.key_id), {"key-refused"},
        says("adopt$")),
    Row("the key was switched off a moment ago",
        lambda laptop: (setattr(laptop.aws.settings, "revocation", 60),
                        laptop.aws.set_status(laptop.old.key_id, "Inactive")), {"switched-off"}, says("adopt$")),
    Row("the secret is another key's", credentials(GOOD.replace("{secret}", "0therSecret0therSecret")),
        {"wrong-secret"}, says("^aws configure --profile default$")),
    Row("a key of root", root_key, {"root-key"}, says("^aws iam delete-access-key")),
    Row("IAM is denied", lambda laptop: laptop.aws.deny("ListAccessKeys"), {"denied"}, says("policy self$")),
    Row("IAM is denied without MFA", lambda laptop: laptop.aws.deny("*", explicit=True), {"mfa"},
        says("--mfa-code")),
    Row("the user is in quarantine", lambda laptop: laptop.aws.deny("ListAccessKeys", quarantine=True), {"leaked"},
        says("--force")),
    Row("the user is in quarantine, and nothing was denied yet", quarantine, {"leaked"}, says("--force")),
    Row("keys may not be deleted", lambda laptop: laptop.aws.deny("DeleteAccessKey"), {"denied"},
        says("policy self$")),
    Row("the key is too old", key_of_age(98), {"overdue"}, says("^rotate-my-key rotate$")),
    Row("the key is due", key_of_age(80), {"due"}, says("^rotate-my-key rotate$")),
    Row("the user is exempt", exempt, {"exempt"}, says("--force$")),
    Row("IT has recalled the key",
        recall, {"recalled"}, says("^rotate-my-key rotate$")),
    Row("the user may do everything", allowed("*"), {"own-tags"}, says("policy self$")),
    Row("the user may tag themselves for another tool",
        allowed("iam:Get*", "iam:List*", "iam:Simulate*", tags="team"), set()),
    Row("a second key is in use", lambda laptop: laptop.aws.add_key("alice"), {"second-key"},
        says("delete-key AKIA")),
    Row("a second key is switched off", lambda laptop: laptop.aws.add_key("alice", status="Inactive"),
        {"inactive-second-key"}, says("delete-key AKIA")),
    Row("both of the user's keys are here", both_keys, {"both-keys-here"}, says("dry-run$")),
    Row("the clock is an hour off", lambda laptop: setattr(laptop.aws.settings, "clock_offset", 3600), {"clock"},
        says("timedatectl")),
    Row("the clock is five minutes off", lambda laptop: setattr(laptop.aws.settings, "clock_offset", -300),
        {"clock"}, says("timedatectl")),
    Row("an endpoint that is not encrypted", both(env(AWS_ENDPOINT_URL="http://aws.example"), elsewhere()),
        {"endpoint"}, says("^unset AWS_ENDPOINT_URL$")),
    Row("an endpoint that is not AWS's",
        lambda laptop: (laptop.env.update(AWS_ENDPOINT_URL=laptop.aws.url), setattr(laptop, "endpoint", None)),
        {"foreign-endpoint"}, says("^unset AWS_ENDPOINT_URL$")),
    Row("a region that there is not", config("[default]\nregion = eu-wset-1\n"), {"region"},
        says("region eu-west-1 --profile default$")),
    *(
        Row(f"the region is {region}", config(f"[default]\nregion = {region}\n"), {"region"},
            says(f"region {meant} --profile default$"))
        for region, meant in (("us-east-1,eu-west-1", "us-east-1"), ("Global", "us-east-1"), ("EU_WEST_1", "eu-west-1"),
                              ("eu-west-1a", "eu-west-1"))
    ),
    Row("the secret was cut off", credentials(GOOD.replace("{secret}", "x" * 39)), {"wrong-secret"},
        says("^aws configure --profile default$")),
    Row("a region that there is not, in the environment", env(AWS_DEFAULT_REGION="eu-sowth-1"), {"region"}),
    Row("a region of another partition than the key's", config("[default]\nregion = cn-north-1\n"), {"partition"},
        says("^aws configure set region us-east-1 --profile default$")),
    Row("an SSO profile leads to the same account", lambda laptop: laptop.write(laptop.config,
        f"[default]\nregion=eu-west-1\n[profile sso]\nsso_account_id = {laptop.aws.account}\n"), {"sso-beside-key"},
        says("sso login")),
    Row("the proxy cannot be reached", both(env(HTTPS_PROXY="http://127.0.0.1:1"), elsewhere()), {"proxy"},
        says("^unset HTTPS_PROXY$")),
]  # fmt: skip

TABLE = [*ENVIRONMENT, *FILES, *MODES, *PROGRAM, *(Row(**{**vars(row), "online": True}) for row in AT_AWS)]


def codes(report: Report) -> set[str]:
    """What was found."""
    return {finding.code for finding in report.findings}


def cure(laptop: Laptop, row: Row, findings: tuple[Finding, ...]) -> None:
    """Do what the remedies say."""
    log = laptop.home / "opened"
    laptop.write(laptop.home / "editor", f'#!/bin/sh\nprintf "%s\\n" "$@" >{log}\n', 0o755)
    laptop.env["EDITOR"] = str(laptop.home / "editor")
    for finding in findings:
        laptop.shell(finding.remedy)
        if isinstance(row.cure, str):
            *numbers, file = log.read_text().splitlines()
            assert file == finding.where.file
            assert numbers == ([f"+{finding.where.line}"] if finding.where.line else [])
            laptop.write(Path(file), row.cure)
    assert row.line in {None, *(finding.where.line for finding in findings)}
    (laptop.home / "editor").unlink()


@pytest.mark.parametrize("row", TABLE, ids=[row.name for row in TABLE])
def test_what_is_broken_is_found_and_its_remedy_helps(laptop: Laptop, row: Row) -> None:
    """Exactly the planted fault is found, each finding is one line with one command, and the command puts it right."""
    if row.needs == ("user" if AS_ROOT else "root"):
        pytest.skip(f"this laptop can only be broken as {row.needs}: run the tests as both")
    row.breaks(laptop)
    report = laptop.examine(online=row.online)
    assert codes(report) == row.codes, report.findings
    for finding in report.findings:
        assert "\n" not in finding.message + finding.remedy
        assert (
            finding.message[0] == finding.message[0].lower()
            or finding.message.split()[0].isupper()
            or "_" in (finding.message.split()[0])
        )
        assert not finding.message.endswith(".")
        assert laptop.old.secret not in finding.message + finding.remedy
        words = finding.remedy.split()
        if words[0] == "rotate-my-key" and len(words) > 1:
            assert words[1] in {"policy", *(name for group in GROUPS.values() for name in group)}
        if isinstance(row.cure, re.Pattern):
            assert row.cure.search(finding.remedy), finding.remedy
    if not isinstance(row.cure, re.Pattern):
        cure(laptop, row, report.findings)
        after = laptop.examine(online=row.online)
        assert not codes(after) & row.codes, after.findings
