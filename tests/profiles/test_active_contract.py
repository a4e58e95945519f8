"""A table of homes, each put to a real botocore session: it finds the pair that we find, or we refuse as listed."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.profiles.file import ProfilePaths
from rotate_my_key.profiles.which import Active, find_active

KEYS = {
    name: (f"AKIA{name.upper():A<16}", f"{name}/not+a+secret+at+all") for name in ("one", "two", "three", "environ")
}
ROLE = "role_arn = arn:aws:iam::123456789012:role/r\n"
SSO = "sso_account_id = 1\nsso_role_name = r\nsso_start_url = https://x\nsso_region = eu-west-1\n"
PROCESS = """credential_process = echo '{"Version": 1, "AccessKeyId": "P", "SecretAccessKey": "P"}'\n"""
ENVIRON = {"AWS_ACCESS_KEY_ID": KEYS["environ"][0], "AWS_SECRET_ACCESS_KEY": KEYS["environ"][1]}


def key(name: str) -> str:
    """The two lines of a pair."""
    return f"aws_access_key_id = {KEYS[name][0]}\naws_secret_access_key = {KEYS[name][1]}\n"


def half(name: str) -> str:
    """Its first line."""
    return key(name).split("\n")[0] + "\n"


def secret(name: str) -> str:
    """Its second line."""
    return key(name).split("\n")[1] + "\n"


@dataclass(frozen=True)
class Home:
    """A home and what is found in it.

    `ours` names the pair that we answer with, or is a part of our refusal. `sdk` is botocore's provider, its error, or
    "nothing".
    """

    says: str
    ours: str
    sdk: str
    credentials: str | None = None
    config: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    profile: str | None = None


FILE, CONFIG, ASSUME, ERROR = "shared-credentials-file", "config-file", "assume-role", "InvalidConfigError"
LOST, TORN, HALF = "ProfileNotFound", "ConfigParseError", "PartialCredentialsError"
D, W = "[default]\n", "[work]\n"
PW, PB = "[profile work]\n", "[profile base]\n"

# fmt: off
HOMES = [
    # which profile
    Home("default is in force if nothing is named", "one", FILE, D + key("one") + W + key("two")),
    Home("AWS_PROFILE names another", "two", FILE, D + key("one") + W + key("two"), env={"AWS_PROFILE": "work"}),
    Home("AWS_DEFAULT_PROFILE does too", "two", FILE, W + key("two"), env={"AWS_DEFAULT_PROFILE": "work"}),
    Home("both, and the same", "two", FILE, W + key("two"), env={"AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "work"}),
    Home("both, and different", "AWS_PROFILE=work and AWS_DEFAULT_PROFILE=default are both set", FILE,
         D + key("one") + W + key("two"), env={"AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": "default"}),
    Home("-p goes before both", "one", FILE, D + key("one"), env={"AWS_PROFILE": "x", "AWS_DEFAULT_PROFILE": "y"},
         profile="default"),
    Home("an empty AWS_PROFILE", "AWS_PROFILE is set but empty", LOST, D + key("one"), env={"AWS_PROFILE": ""}),
    Home("an empty AWS_DEFAULT_PROFILE", "AWS_DEFAULT_PROFILE is set but empty", LOST, D + key("one"),
         env={"AWS_DEFAULT_PROFILE": ""}),
    Home("an empty one hides a name", "AWS_PROFILE=work and AWS_DEFAULT_PROFILE='' are both set", LOST, W + key("one"),
         env={"AWS_PROFILE": "work", "AWS_DEFAULT_PROFILE": ""}),
    Home("AWS_PROFILE names none", "there is no profile wrok (AWS_PROFILE=wrok); known here: work", LOST,
         W + key("one"), env={"AWS_PROFILE": "wrok"}),
    Home("-p names none", "there is no profile nix (-p nix); known here: default", LOST, D + key("one"), profile="nix"),
    Home("-p '' names none", "there is no profile ''", LOST, D + key("one"), profile=""),
    Home("there is no default", "no profile is named, and there is none called default", "nothing", W + key("one")),
    Home("no files", "~/.aws/credentials does not exist and ~/.aws/config does not exist", "nothing"),
    Home("-p without files", "there is no profile work", LOST, profile="work"),
    Home("both files are empty", "~/.aws/credentials holds no profile", "nothing", "", ""),
    Home("the file's variable leads nowhere", "(AWS_SHARED_CREDENTIALS_FILE) does not exist", "nothing",
         D + key("one"), env={"AWS_SHARED_CREDENTIALS_FILE": "/nowhere/credentials"}),
    Home("the file's variable is empty", "the empty path (AWS_SHARED_CREDENTIALS_FILE) does not exist", "nothing",
         D + key("one"), env={"AWS_SHARED_CREDENTIALS_FILE": ""}),
    # environment keys
    Home("a key in the environment", "AWS_ACCESS_KEY_ID is set in the environment", "env", D + key("one"), env=ENVIRON),
    Home("it goes before AWS_PROFILE", "AWS_ACCESS_KEY_ID is set", "env", W + key("one"),
         env=ENVIRON | {"AWS_PROFILE": "work"}),
    Home("-p switches it off", "one", FILE, W + key("one"), env=ENVIRON, profile="work"),
    Home("an empty one does not count", "one", FILE, D + key("one"), env={"AWS_ACCESS_KEY_ID": ""}),
    Home("half a key in the environment", "AWS_ACCESS_KEY_ID is set", HALF, D + key("one"),
         env={"AWS_ACCESS_KEY_ID": "AKIA"}),
    Home("a secret alone does not count", "one", FILE, D + key("one"), env={"AWS_SECRET_ACCESS_KEY": "x"}),
    Home("a web identity in the environment", "AWS_WEB_IDENTITY_TOKEN_FILE is set", "assume-role-with-web-identity",
         D + key("one"), env={"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": "arn"}),
    Home("-p switches that off too", "one", FILE, D + key("one"), env={"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"},
         profile="default"),
    # which file
    Home("the config file alone", "one", CONFIG, None, D + key("one")),
    Home("a profile in the config file alone", "one", CONFIG, None, PW + key("one"), profile="work"),
    Home("both files: the credentials file wins", "one", FILE, W + key("one"), PW + key("two"), profile="work"),
    Home("settings in one, the key in the other", "one", FILE, W + key("one"), PW + "region = eu-west-1\n",
         profile="work"),
    Home("a secret alone in one, the pair in the other", "two", CONFIG, W + secret("one"), PW + key("two"),
         profile="work"),
    Home("an id alone in one, the pair in the other", "has an aws_access_key_id and no", HALF, W + half("one"),
         PW + key("two"), profile="work"),
    Home("an id in one, the secret in the other", "has an aws_access_key_id and no", HALF, W + half("one"),
         PW + secret("one"), profile="work"),
    Home("in config a section without the word profile", "[work] in ~/.aws/config is not read", LOST, None,
         W + key("one"), profile="work"),
    Home("in credentials a section with it", "[profile work] in ~/.aws/credentials is not read", LOST, PW + key("one"),
         profile="work"),
    Home("by its full name that one is a profile", "one", FILE, PW + key("one"), profile="profile work"),
    Home("[profile default] is default", "one", CONFIG, None, "[profile default]\n" + key("one")),
    Home("[default] below [profile default]", "hold two keys for one profile", CONFIG, None,
         "[profile default]\n" + key("one") + D + key("two")),
    Home("[profile default] below [default]", "hold two keys for one profile", CONFIG, None,
         D + key("one") + "[profile default]\n" + key("two")),
    Home("the same key in both", "one", CONFIG, None, D + key("one") + "[profile default]\n" + key("one")),
    Home("[default] and [profile default] count less than credentials", "three", FILE, D + key("three"),
         D + key("one") + "[profile default]\n" + key("two")),
    # names
    Home("a name with a space", "one", FILE, "[my work]\n" + key("one"), profile="my work"),
    Home("a quoted name in config", "one", CONFIG, None, '[profile "my work"]\n' + key("one"), profile="my work"),
    Home("a name with a space, not quoted, in config", "[profile my work] in ~/.aws/config is not read", LOST, None,
         "[profile my work]\n" + key("one"), profile="my work"),
    Home("such a name alone", "stands in [profile my work], which botocore does not read", "nothing", None,
         "[profile my work]\n" + key("one")),
    Home("a name with a quote alone", "stands in [profile Single'Quote], which botocore does not read", "nothing", None,
         "[profile Single'Quote]\n" + key("one")),
    Home("a name with a quote", "[profile Single'Quote] in ~/.aws/config is not read", LOST, None,
         "[profile Single'Quote]\n" + key("one"), profile="Single'Quote"),
    Home("a quoted name in credentials keeps its quotes", "one", FILE, '["work"]\n' + key("one"), profile='"work"'),
    Home("a name in other letters", "one", FILE, "[büro-日本]\n" + key("one"), profile="büro-日本"),
    Home("names have capitals", "there is no profile Work", LOST, W + key("one"), profile="Work"),
    # roles
    Home("a role with another profile's key", "one", ASSUME, "[base]\n" + key("one"),
         PW + ROLE + "source_profile = base\n", profile="work"),
    Home("a role with default's key, by AWS_PROFILE", "one", ASSUME, D + key("one"),
         PW + ROLE + "source_profile=default\n", env={"AWS_PROFILE": "work"}),
    Home("a chain of roles", "one", ASSUME, "[base]\n" + key("one"),
         PW + ROLE + "source_profile = mid\n[profile mid]\n" + ROLE + "source_profile = base\n", profile="work"),
    Home("a role in the credentials file", "one", ASSUME,
         "[base]\n" + key("one") + W + ROLE + "source_profile = base\n", profile="work"),
    Home("a role with its own key", "one", ASSUME, W + key("one"), PW + ROLE + "source_profile = work\n",
         profile="work"),
    Home("a role's source is a role with its own key", "one", ASSUME, "[base]\n" + key("one"),
         PB + ROLE + "source_profile = base\n" + PW + ROLE + "source_profile = base\n", profile="work"),
    Home("a role without a source", "has a role_arn, but neither", HALF, None, PW + ROLE, profile="work"),
    Home("a role with a source that is not there", "takes its key from profile nix", ERROR, None,
         PW + ROLE + "source_profile = nix\n", profile="work"),
    Home("a role that is its own source, without a key", "in a circle, without a key: source_profile goes work, work",
         "InfiniteLoopConfigError", None, PW + ROLE + "source_profile = work\n", profile="work"),
    Home("roles in a circle", "source_profile goes work, base, work", "InfiniteLoopConfigError", None,
         PW + ROLE + "source_profile = base\n" + PB + ROLE + "source_profile = work\n", profile="work"),
    Home("a role's source without a key", "profile base (source_profile of work) holds no key", ERROR, None,
         PW + ROLE + "source_profile = base\n" + PB + "region = x\n", profile="work"),
    Home("a role's source with SSO", "profile base (source_profile of work) signs in with SSO", ASSUME, None,
         PW + ROLE + "source_profile = base\n" + PB + SSO, profile="work"),
    Home("a role's source with half a key", "profile base in ~/.aws/config has an aws_access_key_id and no", HALF,
         None, PW + ROLE + "source_profile = base\n" + PB + half("one"), profile="work"),
    Home("a role's source with a secret alone", "profile base has an aws_secret_access_key and no aws_access_key_id",
         ERROR, None, PW + ROLE + "source_profile = base\n" + PB + secret("one"), profile="work"),
    Home("a role with a credential_source", "credentials from Environment (credential_source)", ASSUME, None,
         PW + ROLE + "credential_source = Environment\n", env=ENVIRON, profile="work"),
    Home("a role with both sources", "both source_profile and credential_source", ERROR, "[base]\n" + key("one"),
         PW + ROLE + "source_profile = base\ncredential_source = Environment\n", profile="work"),
    Home("a source without a role means nothing", "one", FILE, W + key("one"), PW + "source_profile = base\n",
         profile="work"),
    # other ways in
    Home("SSO", "signs in with SSO", "sso", None, D + SSO),
    Home("SSO by a session", "signs in with SSO", "sso", None,
         D + "sso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
         + "[sso-session s]\nsso_region = x\nsso_start_url = https://x\n"),
    Home("SSO, half set up", "signs in with SSO", ERROR, None, D + "sso_account_id = 1\n"),
    Home("a token by web identity", "web identity token", "assume-role-with-web-identity", None,
         D + ROLE + "web_identity_token_file = /t\n"),
    Home("a program", "from a program (credential_process)", "custom-process", None, D + PROCESS),
    Home("aws login", "signs in with `aws login`", "login", None,
         D + "login_session = arn:aws:iam::123456789012:user/a\n"),
    Home("no key at all", "profile default holds no key", "nothing", None, D + "region = eu-west-1\n"),
    # a key beside them
    Home("a key beside SSO", "a static key beside sso settings", "sso", D + key("one"), D + SSO),
    Home("a key beside a role", "a static key beside role settings", ASSUME, W + key("one") + "[base]\n" + key("two"),
         PW + ROLE + "source_profile = base\n", profile="work"),
    Home("a key beside a web identity", "beside web identity settings", "assume-role-with-web-identity",
         D + key("one"), D + ROLE + "web_identity_token_file = /t\n"),
    Home("a key beside a program", "a static key beside process settings", FILE, D + key("one"), D + PROCESS),
    Home("a key in config beside a program", "a static key beside process settings", "custom-process", None,
         D + key("one") + PROCESS),
    Home("a key beside aws login", "a static key beside login settings", FILE, D + key("one"),
         D + "login_session = x\n"),
    Home("a role's source with a key beside SSO", "profile base holds a static key beside sso", ASSUME,
         "[base]\n" + key("one"), PW + ROLE + "source_profile = base\n" + PB + SSO, profile="work"),
    # keys that are none
    Home("a session", "holds temporary credentials", FILE, D + key("one") + "aws_session_token = t\n"),
    Home("a session by its old name", "holds temporary credentials", FILE, D + key("one") + "aws_security_token = t\n"),
    Home("a session's id without a token", "holds temporary credentials", FILE, D + key("one").replace("AKIA", "ASIA")),
    Home("an empty token is none", "one", FILE, D + key("one") + "aws_session_token =\n"),
    Home("a token in the other file is none", "one", FILE, D + key("one"), D + "aws_session_token = t\n"),
    Home("an id that is no user's", "not an AWS user's", FILE, D + key("one").replace("AKIA", "AROA")),
    Home("an id without a secret", "has an aws_access_key_id and no aws_secret_access_key", HALF, D + half("one")),
    Home("a secret without an id", "has an aws_secret_access_key and no aws_access_key_id", "nothing",
         D + secret("one")),
    Home("an empty id", "has an empty aws_access_key_id", FILE, D + "aws_access_key_id =\n" + secret("one")),
    Home("an empty secret", "has an empty aws_secret_access_key", FILE, D + half("one") + "aws_secret_access_key =\n"),
    Home("quotes", "quotes, blanks or a comment", FILE,
         D + 'aws_access_key_id = "' + KEYS["one"][0] + '"\n' + secret("one")),
    Home("a comment behind the secret", "within the value of aws_secret_access_key", FILE,
         D + key("one").rstrip() + " # mine\n"),
    Home("a secret below its name", "on a line of its own", FILE, D + half("one") + "aws_secret_access_key =\n  a=b\n"),
    Home("keys from [DEFAULT]", "takes its key from [DEFAULT]", FILE, "[DEFAULT]\n" + key("one") + W + "x = y\n",
         profile="work"),
    Home("keys in [DEFAULT] and in the section", "two", FILE, "[DEFAULT]\n" + key("one") + W + key("two"),
         profile="work"),
    Home("[DEFAULT] alone is no default", "none called default", "nothing", "[DEFAULT]\n" + key("one")),
    Home("upper case, a colon, indentation", "one", FILE,
         D + "  AWS_ACCESS_KEY_ID : {}\n  AWS_SECRET_ACCESS_KEY: {}\n".format(*KEYS["one"])),
    Home("keys inside a block are none", "holds no key", "nothing", None,
         D + "s3 =\n  " + key("one").replace("\n", "\n  ")),
    Home("line ends of Windows", "one", FILE, (D + key("one")).replace("\n", "\r\n")),
    # files that cannot be parsed
    Home("text before the first section", "~/.aws/credentials, line 1", TORN, key("one") + D),
    Home("a section twice", "~/.aws/credentials, line 4", TORN, D + key("one") + D),
    Home("a name twice", "~/.aws/credentials, line 4", TORN, D + key("one") + half("one")),
    Home("a line that is nothing", "~/.aws/credentials, line 4", TORN, D + key("one") + "what\n"),
    Home("a torn config beside good credentials", "~/.aws/config, line 1", TORN, D + key("one"), "what\n"),
    Home("an id below its name", "~/.aws/credentials, line 3", TORN, D + "aws_access_key_id =\n  AKIA\n"),
    Home("a byte order mark", "byte order mark", TORN, "\ufeff" + D + key("one")),
]
# fmt: on

ASK_BOTOCORE = """
import json, os, sys
homes = json.load(sys.stdin)
os.environ["HOME"] = os.environ["USERPROFILE"] = homes[0]["env"]["HOME"]
import botocore.session
for home in homes:
    os.environ.clear()
    os.environ.update(home["env"])
    try:
        found = botocore.session.Session(profile=home["profile"]).get_credentials()
        sdk = found.method if found else "nothing"
        while found and found.method == "assume-role":  # a call would be next: the key that would sign it is wanted
            found = found._refresh_using.__self__._source_credentials
        pair = [found.access_key, found.secret_key] if found and found.method.endswith("-file") else None
    except Exception as error:
        sdk, pair = type(error).__name__, None
        if sdk in ("MissingDependencyException", "LoginTokenLoadError"):
            sdk = "login"  # chosen, but without awscrt or a cached token it goes no further
    print(json.dumps([sdk, pair]))
"""


def environment(home: Home, place: Path) -> dict[str, str]:
    """What a process in that home sees; neither a metadata service nor an old boto file is in reach."""
    quiet = {"AWS_EC2_METADATA_DISABLED": "true", "BOTO_CONFIG": str(place / "none"), "PATH": os.environ["PATH"]}
    return {"HOME": str(place), "USERPROFILE": str(place), **quiet, **home.env}


def find(home: Home, place: Path, *, mixed: bool = False) -> Active:
    """Ours, with the paths that a caller works out from the environment."""
    credentials, config = str(place / ".aws/credentials"), str(place / ".aws/config")
    credentials = home.env.get("AWS_SHARED_CREDENTIALS_FILE", credentials)
    files = ProfilePaths(credentials, config, str(place))
    return find_active(environment(home, place), home.profile, files, mixed=mixed)


Asked = dict[str, tuple[Path, str, list[str] | None]]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """Every home on disk, and what one real botocore process says of each."""
    root = tmp_path_factory.mktemp("homes")
    places = [root / str(number) for number in range(len(HOMES))]
    for home, place in zip(HOMES, places, strict=True):
        (place / ".aws").mkdir(parents=True)
        for name, text in (("credentials", home.credentials), ("config", home.config)):
            if text is not None:
                (place / ".aws" / name).write_bytes(text.encode())
    pairs = zip(HOMES, places, strict=True)
    homes = [{"env": environment(home, place), "profile": home.profile} for home, place in pairs]
    run = subprocess.run([sys.executable, "-c", ASK_BOTOCORE], input=json.dumps(homes), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    return {home.says: (place, *answer) for home, place, answer in zip(HOMES, places, answers, strict=True)}


@pytest.mark.parametrize("home", HOMES, ids=lambda home: home.says)
def test_the_answer_is_botocores_or_the_listed_refusal(home: Home, asked: Asked) -> None:
    """Where we answer, botocore in its own process answers with the same pair; where we refuse, the reason is said."""
    if "= echo" in (home.config or "") and not shutil.which("echo"):
        pytest.skip("there is no program `echo` here")
    place, sdk, pair = asked[home.says]
    assert sdk == home.sdk
    if home.ours in KEYS:
        assert pair == list(KEYS[home.ours])
        active = find(home, place)
        assert (active.pair.key_id, active.pair.secret, active.pair.token) == (*KEYS[home.ours], None)
    else:
        with pytest.raises(Problem) as refusal:
            find(home, place)
        assert home.ours in refusal.value.message.replace("\\", "/")
        assert refusal.value.hint
        assert "\n" not in refusal.value.message + refusal.value.hint
        assert "not+a+secret" not in refusal.value.message + refusal.value.hint


MIXED = [home for home in HOMES if "beside" in home.ours]


@pytest.mark.parametrize("home", MIXED, ids=lambda home: home.says)
def test_mixed_takes_the_static_key(home: Home, asked: Asked) -> None:
    """With `mixed` the static key is the answer, whatever botocore prefers, and a warning says so."""
    active = find(home, asked[home.says][0], mixed=True)
    assert active.pair.key_id == KEYS["one"][0]
    assert "SDKs disagree on which one wins" in active.warnings[0]
