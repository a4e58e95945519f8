"""`fleet.ini`: what it says counts, and what is wrong in it is named with its line and what is allowed.

A settings, mapping or template file that is no file, or far too large, is one clear line and never waited for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem, WrongUsage
from rotate_my_key.core.policy import Policy
from rotate_my_key.fleet.judge import addresses
from rotate_my_key.fleet.messages import check_folder
from rotate_my_key.settings import trust
from rotate_my_key.settings.fleet import AGES, WHO, ChannelSettings, FleetSettings, Owners
from rotate_my_key.settings.fleet_ini import PRESETS, parse, with_preset

DAY = timedelta(days=1)
PAGE = Path(__file__).parents[2] / "docs/it/fleet-settings.md"
SECTIONS = ("accounts", "owners", "exempt", "remind", "enforce", "reissue", "audit")

GOOD = """
max_age = 60d  # tighter than the built-in
contact = "it@example.com, #cloud-help"
exact = yes
[accounts]
role = rotate-my-key-fleet
only = 123456789012,
[owners]
by = tag, name
[exempt]
tags = bot=yes,
names = svc-*, ci-?
[remind]
owners = mail,
admins = mail, chat
repeat = 2d
escalate_after = 0
[enforce]
deactivate_at = 100d
delete_after = never
weekdays = Mon, tuesday
hours = 8-18
timezone = Europe/Vienna
[channels]
[[mail]]
kind = ses
sender = it@example.com
to = a@example.com, b@example.com
[[chat]]
kind = apprise
urls = secretsmanager:rotate-my-key/telegram
"""


def read(text: str, base: FleetSettings | None = None) -> FleetSettings:
    """The settings of a text."""
    return parse(text, "fleet.ini", base or FleetSettings())


def test_what_the_file_says_counts() -> None:
    """Of every kind of value one: durations, lists, numbers, yes and no, texts, channels."""
    settings = read(GOOD)
    assert settings.policy == Policy(60 * DAY, 15 * DAY)
    assert settings.contact == "it@example.com, #cloud-help"
    assert settings.exact is True
    assert settings.accounts.only == ("123456789012",)
    assert settings.owners.by == ("tag", "name")
    assert settings.exempt.tags == ("rotate-my-key=exempt", "bot=yes")  # the laptop's tag always counts
    assert settings.remind.admins == ("mail", "chat")
    assert (settings.remind.repeat, settings.remind.escalate_after) == (2 * DAY, 0)
    assert (settings.enforce.deactivate_at, settings.enforce.delete_after) == (100 * DAY, None)
    assert (settings.enforce.weekdays, settings.enforce.hours) == (("mon", "tue"), "8-18")
    assert settings.channels["mail"].to == ("a@example.com", "b@example.com")
    assert settings.channels["chat"] == ChannelSettings("chat", "apprise", urls="secretsmanager:rotate-my-key/telegram")


def test_what_the_file_does_not_say_is_the_laptops() -> None:
    """An empty file changes nothing but where the settings come from. Limits that make every key due are noted, as the
    laptop does."""
    base = FleetSettings(policy=Policy(30 * DAY, 5 * DAY), contact="the desk")
    assert read("", base) == replace(base, where="fleet.ini")
    assert read("remind_before = 3d", base).policy == Policy(30 * DAY, 3 * DAY)
    assert read("max_age = 30d").notes == ()
    (note,) = read("max_age = 30d\nremind_before = 30d").notes
    assert note == "fleet.ini: remind_before (30d) is not below max_age (30d), so every key is due at once"
    (note,) = parse("remind_before = 20d\n[remind]\nbefore = 30, 20, 7", "fleet.ini", FleetSettings()).notes
    assert note == (
        "fleet.ini: before = 30 in [remind] is more than remind_before (20d), so nobody is notified that early"
    )


def test_the_policys_version_changes_with_the_text_and_the_limits() -> None:
    """The audit can tell by which settings something was done."""
    first = read("max_age = 60d")
    assert re.fullmatch(r"[0-9a-f]{12}", first.fingerprint)
    assert len({first.fingerprint, read("max_age = 61d").fingerprint, read("max_age = 60d  # why").fingerprint}) == 3
    assert first.fingerprint == read("max_age = 60d").fingerprint


def test_the_file_goes_before_the_preset_that_it_names() -> None:
    """A preset is a beginning: what stands beside it counts more; its name is in the settings. It does nothing to
    anybody by itself, for it names no account; one that there is not is named with those that there are."""
    enforce = read("[enforce]\npreset = staged-90\ndeactivate_at = 85d\naccounts = 123456789012\n").enforce
    assert (enforce.preset, enforce.deactivate_at, enforce.reissue_at) == ("staged-90", 85 * DAY, 60 * DAY)
    with pytest.raises(WrongUsage, match=r"fleet\.ini line 3: there is no preset lax"):
        read("[enforce]\nmost = 7\npreset = lax\n")
    for name in PRESETS:
        assert with_preset(name, FleetSettings()).enforce.accounts == ()
    with pytest.raises(WrongUsage) as caught:
        with_preset("staged-9", FleetSettings())
    assert "staged-90" in caught.value.hint


TOPIC = "kind = sns\ntopic = arn:aws:sns:eu-west-1:123456789012:keys"
HASHES = [
    *("contact = #aws-help", "contact = ask #aws-help", "contact = help# x", "[remind]\nlink = #wiki"),
    *("[remind]\nlink = https://a.example/#b", "[exempt]\nnames = x, y#z", '[exempt]\nnames = "a#b", y#z'),
]


@pytest.mark.parametrize("text", HASHES)
def test_a_value_that_would_be_a_comment_is_refused(text: str) -> None:
    """Silently it would be empty, or cut; a comment after a value, and a # in quotes, are as they were."""
    kept = parse('contact = "#aws-help"  # ours\n[enforce]\nmost = 5 # few, it is #1', "fleet.ini", FleetSettings())
    assert (kept.contact, kept.enforce.most) == ("#aws-help", 5)
    with pytest.raises(WrongUsage, match=r"text after # is a comment") as caught:
        parse(text, "fleet.ini", FleetSettings())
    assert "double quotes" in caught.value.hint


WRONG = [
    ("max_agee = 3d", "line 1: there is no setting max_agee; did you mean max_age?"),
    ("contact = x\n[remindx]\na = 1", "line 2: there is no section remindx; did you mean remind?"),
    ("[limits]\nmax_age = 3d", "line 2: max_age is not a limit: each limit is a section [[max_age]]"),
    ("[limits]\n[[bots]]\nmax_age = 3d", "line 2: [[bots]] does not say for whom: set one of tags, paths"),
    ("[limits]\n[[bots]]\nnames = x,", "line 2: [[bots]] sets no limit: set one of max_age"),
    ("[exempt]\n[[jane]]\nby = jane", "line 2: [[jane]] does not say for whom"),
    ("[exempt]\n[[jane]]\nnames = x,\nuntil = March", "line 4: until: 'March' is not a day; write it like 2027-03-31"),
    ("[exempt]\naccounts = all,", "line 2: accounts: 'all' is not an account number"),
    ("[include]\nuser = x", "line 2: there is no setting user"),
    ("[remind]\nrepeat = x", "line 2: repeat: 'x' is not a duration; write it like"),
    ("[remind]\nescalate_after = many", "line 2: escalate_after: 'many' is not a number"),
    ("[remind]\ntag = AWS:x", "line 2: tag: 'AWS:x' cannot store what was sent"),
    ("[remind]\ntag = ''", "line 2: tag: '' cannot store"),
    ('[remind]\ntag = "a,b"', "line 2: tag: 'a,b' cannot store"),
    ("[owners]\ntag = Boss\n[remind]\ntag = boss", "line 4: tag: 'boss' cannot store"),
    ("[remind]\ntag = rotate-my-key", "line 2: tag: 'rotate-my-key' cannot store"),
    ("[reissue]\nkms_key = alias/aws/secretsmanager", "line 2: kms_key: 'alias/aws/secretsmanager' is not a KMS key"),
    ('[reissue]\nkms_key = "my key"', "line 2: kms_key: 'my key' is not a KMS key of yours"),
    ("[remind]\nowners = post,", "line 2: there is no channel post; each is a section"),
    (f"[remind]\nowners = m,\n[channels]\n[[n]]\n{TOPIC}", "line 2: there is no channel m; there is n"),
    (f"[remind]\nowners = mial,\n[channels]\n[[mail]]\n{TOPIC}", "there is no channel mial; did you mean mail?"),
    ("[channels]\n[[a]]\nkind = ses\nsender = it", "line 4: sender: 'it' is not a mail address; write it like it@exa"),
    ("[channels]\n[[a]]\nkind = ses\nsender = IT <it@>", "line 4: sender: 'IT <it@>' is not a mail address"),
    ("[channels]\n[[a]]\nkind = ses\nsender = a@b.c\nto = d@e.f, desk", "line 5: to: 'desk' is not a mail address"),
    ("[channels]\n[[a]]\nkind = ses\nsender = a@b.c\nregion = Frankfurt", "region: 'Frankfurt' is not a region; write"),
    ("[audit]\nregion = eu-west", "line 2: region: 'eu-west' is not a region; write it like eu-west-1"),
    ("[channels]\n[[a]]\nkind = sns\ntopic = x", "line 4: topic: that is not the ARN of an SNS topic; write it like"),
    ("[channels]\n[[a]]\nkind = fax", "line 3: kind is fax; allowed: ses, sns, apprise"),
    ("[channels]\n[[a]]\nsender = x@y.z", "line 2: kind is not set; allowed"),
    ("[channels]\n[[a]]\nkind = ses", "line 3: a channel of kind ses needs sender"),
    ("[channels]\nfoo = 1", "line 2: foo is not a channel"),
    ("[enforce]\nhours = 9", "line 2: hours: '9' is not a span of hours; write it like 9-17"),
    ("[enforce]\nhours = 9-9", "line 2: hours: '9-9' is not a span of hours"),
    ("[enforce]\nhours = 24-6", "line 2: hours: '24-6' is not a span of hours"),
    ("[enforce]\nhours = nine to five", "line 2: hours: 'nine to five' is not a span of hours"),
    ("[enforce]\nhours = 9-25", "line 2: hours: '9-25' is not a span of hours"),
    ("[enforce]\nweekdays = mon, noday", "line 2: weekdays: 'noday' is not a weekday; allowed: mon"),
    ("[enforce]\nweekdays = mon-fri", "line 2: weekdays: 'mon-fri' is not a weekday; allowed: mon"),
    ("[enforce]\ntimezone = Mars/Base", "line 2: timezone: 'Mars/Base' is not a time zone"),
    ("[enforce]\ntimezone = ../../etc/passwd", "line 2: timezone: '../../etc/passwd' is not a time zone"),
    ("[enforce]\nmost = -1", "line 2: most: '-1' is not a number"),
    ("[enforce]\ndeactivate_at = 0", "line 2: deactivate_at: 0 is too short"),
    ("[accounts]\nonly = 12,", "line 2: only: '12' is not an account number; write the twelve digits"),
    ("[channels]\n[[a]]\nkind = apprise\nurls = ssm:x\nmention = @here", "line 5: mention: '@here' is not a mention"),
    ("[accounts]\nonly = all,", "line 2: only: 'all' is not an account number; write the twelve digits"),
    ("[enforce]\naccounts = ou-1,", "line 2: accounts: 'ou-1' is not an account number; write the twelve digits, all,"),
    ("[enforce]\naccounts = tag:env,", "line 2: accounts: 'tag:env' is not an account number"),
    ("[owners]\nby = guess,", "line 2: by: 'guess' is not a way to find owners; allowed: tag, name, mapping"),
    ("[reissue]\nthrough = mail", "line 2: through: 'mail' is not a handover method; allowed: secretsmanager, s3"),
    ("[remind]\n[[owners]]\n", "owners is a setting, not a section"),
    ("[enforce]\nnotices = 1001", "line 2: notices: 1001 is too high; write a whole number up to 1000"),
    ("[enforce]\nmost = 999999", "line 2: most: 999999 is too high; write a whole number up to 1000"),
    ("[remind]\nescalate_after = 1001", "line 2: escalate_after: 1001 is too high; write a whole number up to 1000"),
    ("[enforce]\ngrace = 36501d", "line 2: grace: 36501d is too long; the longest is 36500d"),
    ("[enforce]\ndeactivate_at = 999999w", "line 2: deactivate_at: 999999w is too long; the longest is 36500d"),
    ("[remind]\nrepeat = 999999w", "line 2: repeat: 999999w is too long; the longest is 36500d"),
    ("what is this", "line 1: the line is not NAME = VALUE"),
    ("contact = a\ncontact = b", "line 2: duplicate setting `contact`"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    """The place, the line, and what is allowed; the hint is about the file in use, not about the laptop's."""
    with pytest.raises(WrongUsage) as caught:
        read(text)
    assert caught.value.message.startswith("fleet.ini")
    assert said in caught.value.message
    assert caught.value.hint == "edit fleet.ini; docs/it/fleet-settings.md has all settings"


MAIL, SNS = "[channels]\n[[a]]\nkind = ses\n", "[channels]\n[[a]]\nkind = sns\n"
TAKEN = [
    (f"{MAIL}sender = it@example.com", "it@example.com"),
    (f'{MAIL}sender = "Keys, IT <keys@mail.example.com>"', "Keys, IT <keys@mail.example.com>"),
    (f"{MAIL}sender = it@example.com\nregion = us-gov-west-1", "us-gov-west-1"),
    (f"{MAIL}sender = it@example.com\nregion = ''", ""),
    (f"{SNS}topic = arn:aws-cn:sns:cn-north-1:123456789012:a_b-C", "arn:aws-cn:sns:cn-north-1:123456789012:a_b-C"),
    (f"{SNS}topic = arn:aws:sns:eu-west-1:123456789012:a.fifo", "arn:aws:sns:eu-west-1:123456789012:a.fifo"),
    *((f"[enforce]\nhours = {hours}", hours) for hours in ("0-24", "22-6", "09-17")),
    ("[enforce]\nmost = 1000", 1000),
]


@pytest.mark.parametrize(("text", "value"), TAKEN)
def test_what_is_taken(text: str, value: object) -> None:
    """An address with or without a name, any partition's region or none, any partition's topic, a FIFO topic, hours
    over midnight, and a thousand for whoever wants no limit."""
    name, settings = text.splitlines()[-1].partition(" ")[0], read(text)
    assert getattr(settings.channels["a"] if "channels" in text else settings.enforce, name) == value


@pytest.mark.parametrize(
    "line", ["kind = sns\ntopic = https://x.example/ABCDEF", "kind = apprise\nurls = t://1:ABCDEF/4"]
)
def test_what_may_be_a_token_is_refused_and_not_repeated(line: str) -> None:
    """A chat's URL is one: it stands in a vault, and no error shows what was written here."""
    with pytest.raises(WrongUsage) as caught:
        read(f"[channels]\n[[a]]\n{line}\n")
    assert "ABCDEF" not in caught.value.message + caught.value.hint
    assert "sns" in line or "write secretsmanager:NAME or ssm:NAME" in caught.value.message


def _documented() -> dict[str, list[str]]:
    """The names in each table of the page, by heading."""
    parts = re.split(r"^## .*?`?\[?(\w+)\]?`?$", PAGE.read_text(), flags=re.MULTILINE)
    return {
        title: re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_page_has_every_setting() -> None:
    """docs/it/fleet-settings.md names what the program reads, and nothing else."""
    shown = _documented()
    base = FleetSettings()
    assert shown["top"] == ["max_age", "remind_before", "unused_after", "contact", "exact"]
    for section in SECTIONS:
        assert shown[section] == [each.name for each in fields(getattr(base, section)) if each.name != "rules"]
    assert shown["include"] == [*WHO]
    assert shown["limits"] == [*WHO, "until", "by", "max_age", "remind_before", *AGES]
    assert shown["channels"] == [each.name for each in fields(ChannelSettings) if each.name != "name"]


def test_the_pages_example_is_read() -> None:
    """What IT copies from the page works."""
    examples = re.findall(r"```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert {read(example).where for example in examples} == {"fleet.ini"}


HELD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe, into which nobody may ever write": (lambda file: os.mkfifo(file), "no regular file"),
    "a device, which never ends": (lambda file: file.symlink_to("/dev/zero"), "no regular file"),
    "a folder": (lambda file: file.mkdir(), "a folder, not a file"),
    "a larger file than anybody writes": (lambda file: file.write_bytes(b" " * (trust.LARGEST + 1)), "than 1 MB"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name and devices are not known here")
@pytest.mark.parametrize("sentence", HELD)
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path, sentence: str) -> None:
    """Settings, the file of owners, and templates, before anything is rendered."""
    make, said = HELD[sentence]
    make(tmp_path / "owner.txt.j2")
    for read_it in (
        lambda: trust.read(str(tmp_path / "owner.txt.j2")),
        lambda: addresses(Owners(mapping=str(tmp_path / "owner.txt.j2"))),
        lambda: check_folder(str(tmp_path)),
    ):
        with pytest.raises(Problem, match=re.escape(said)):
            read_it()


def test_the_largest_file_is_read(tmp_path: Path) -> None:
    """Of a megabyte."""
    (tmp_path / "fleet.ini").write_bytes(b" " * trust.LARGEST)
    assert len(trust.read(str(tmp_path / "fleet.ini")) or b"") == trust.LARGEST
