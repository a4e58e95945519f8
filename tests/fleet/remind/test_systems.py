"""Two systems that people have built by hand, as this program does them: over HTTP, from end to end.

(a) A Lambda that tells an admin on weekdays, over SNS and Telegram, which active keys are over an age: settings apart
from the code, a role that only reads. (b) One that mails each owner over SES about all of his old keys every few days,
with a link and a contact, leaves bots out, and tells admins whose reminders go unanswered.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rotate_my_key import policies
from rotate_my_key.core.model import LastUse
from rotate_my_key.fleet.memory import decode, encode
from tests.cli.terminal import ROOT
from tests.fleet.fakes import flat
from tests.fleet.remind.conftest import READ, Company
from tests.fleet.remind.services import TOKEN
from tests.fleet.remind.telegram import telegram

# (a)

WATCH = """\
max_age = 60d
remind_before = 0

[remind]
admins = topic, telegram

[channels]
[[topic]]
kind = sns
topic = {topic}

[[telegram]]
kind = apprise
urls = secretsmanager:rotate-my-key/telegram
"""
READING = {"SeeUsersAndKeys", "SeeOneUser", "SeeExemptGroups", "ReadSettings", "Publish", "ReadChannelUrls"}


class Watched(NamedTuple):
    """What came of one run: what the function gave and logged, and what Telegram was sent."""

    result: Any
    logged: str
    requests: list[tuple[str, Any]]


@pytest.fixture
def watch(company: Company, tmp_path: Path) -> Callable[..., Watched]:
    """Invoke the handler as Lambda does: a fresh process, the role's session in the environment."""

    def run(answer: tuple[int, dict[str, Any]] | None = None) -> Watched:
        aws = company.aws
        topic = aws.add_topic("rotate-my-key-admins", "eu-west-1")
        aws.add_parameter("/rotate-my-key/settings", WATCH.format(topic=topic))
        aws.add_secret("rotate-my-key/telegram", f"tgram://{TOKEN}/987654321/")
        role = aws.add_role("watch")
        reading = [each for each in policies.statements("fleet-remind") if each["Sid"] in READING]
        aws.attach_policy(role, {"Version": "2012-10-17", "Statement": reading})
        session = aws.role_session(role)
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": session.key_id,
            "AWS_SECRET_ACCESS_KEY": session.secret,
            "AWS_SESSION_TOKEN": session.token or "",
            "AWS_ENDPOINT_URL": aws.url,
            "ROTATE_MY_KEY_FLEET_SETTINGS": "/rotate-my-key/settings",
        }
        code = "import json; from rotate_my_key.fleet.function import handler; "
        code += "print('=' + json.dumps(handler({'command': 'remind'}, None)))"
        with telegram(tmp_path) as chat:
            chat.answer = answer or chat.answer
            done = subprocess.run(
                [sys.executable, "-c", code],
                env={**env, **chat.environment},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 0, done.stderr
        result, logged = json.loads(done.stdout.rpartition("\n=")[2]), done.stdout + done.stderr
        assert "verysecrettoken" not in logged + json.dumps(result)
        return Watched(result, logged, chat.requests)

    return run


@pytest.mark.slow
def test_a_watch_over_sns_and_telegram(company: Company, watch: Callable[..., Watched]) -> None:
    """The admin hears over both of the keys that are active and older than 60 days, and of no other. The role reads,
    publishes and fetches the token; what is logged has no token in it."""
    company.person("dave", 59)
    company.aws.add_user("erin")
    company.aws.add_key("erin", timedelta(days=300), "Inactive")
    seen = watch()
    (published,), ((path, body),) = company.aws.published, seen.requests
    assert path == f"/bot{TOKEN}/sendMessage"
    assert published.subject == "AWS access keys: 2 overdue, 0 due"
    for text in map(flat, (published.message, body["text"])):
        assert "Old keys (2)" in text
        assert "alice in" in text and "98 days, overdue" in text
        assert "bob in" in text and "80 days, overdue" in text
        assert not any(name in text for name in ("carol", "dave", "erin"))
    changed = {"TagUser", "UntagUser", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "SendEmail"}
    assert not changed & {call.action for call in company.aws.calls}
    assert seen.result["incomplete"] is False


@pytest.mark.slow
def test_a_watch_says_that_all_is_well(company: Company, watch: Callable[..., Watched]) -> None:
    """On a day without old keys the message comes all the same."""
    for name in ("alice", "bob"):
        for key in company.aws.keys(name):
            company.aws.delete_key(key.key_id)
    assert len(watch().requests) == 1
    assert [each.subject for each in company.aws.published] == ["AWS access keys: none due"]


@pytest.mark.slow
def test_a_watch_whose_telegram_is_down(company: Company, watch: Callable[..., Watched]) -> None:
    """The topic is told, and the result names the channel: the alarm for incomplete runs goes off."""
    result = watch((401, {"ok": False, "error_code": 401, "description": "Unauthorized"})).result
    assert len(company.aws.published) == 1
    assert result["troubles"] == [
        "the digest via telegram: channel telegram: the service did not accept the message (Telegram: Unauthorized)"
    ]
    assert result["incomplete"] is True


# (b)

REMINDERS = """\
contact = "the platform team, #aws-help"

[accounts]
role = rotate-my-key-fleet

[owners]
tag = owner
domain = example.com

[exempt]
paths = /bots/,
names = svc-*,
groups = robots,
never_signed_in = yes

[remind]
owners = mail,
admins = desk,
escalate = desk,
repeat = 3d
escalate_after = 2
link = https://wiki.example.com/keys

[channels]
[[mail]]
kind = ses
sender = "AWS keys <keys@example.com>"

[[desk]]
kind = ses
sender = keys@example.com
to = desk@example.com,
"""


@pytest.fixture
def reminding(company: Company) -> Company:
    """Three accounts with people and bots; one owner has keys in two of them."""
    company.settings(REMINDERS)
    staging = company.account("staging")
    company.person("deploy", 120, at=staging, owner="alice@example.com")
    company.person("frank", 200, at=company.account("sandbox"))
    use = LastUse(datetime.now(UTC) - timedelta(hours=1), "ec2", "eu-west-1")
    for name, path, groups in (("cron", "/bots/", ()), ("svc-backup", "/", ()), ("robot", "/", ("robots",))):
        company.aws.add_user(name, path, password=True, signed_in=datetime.now(UTC), groups=groups)
        company.aws.add_key(name, timedelta(days=400), use=use)
    company.aws.add_user("nobody")  # no password: never signed in
    company.aws.add_key("nobody", timedelta(days=400), use=use)
    return company


def mails(company: Company) -> dict[str, list[Any]]:
    """What SES took, by address."""
    found: dict[str, list[Any]] = {}
    for mail in company.aws.mails:
        found.setdefault(", ".join(mail.to), []).append(mail)
    return found


def day_later(company: Company, days: int) -> None:
    """The same as if so many days had passed: what is remembered is so much older."""
    where = {"alice": company.aws.account, "bob": company.aws.account}
    where |= dict(zip(("deploy", "frank"), (each.account for each in company.members.values()), strict=True))
    for name, account in where.items():
        here = company.aws.in_account(account)
        tag = here.tags(name).get("rotate-my-key-fleet")
        if tag:
            here.set_tags(name, {"rotate-my-key-fleet": older(tag, days)})


def older(tag: str, days: int) -> str:
    """A memory that was written so many days earlier."""
    step = timedelta(days=days)
    memory = {
        name: replace(known, first=known.first and known.first - step, last=known.last and known.last - step)
        for name, known in decode(tag).items()
    }
    return encode(memory)


def test_b_every_owner_gets_one_mail_and_bots_none(reminding: Company) -> None:
    """All of his keys over all accounts, with link and contact; nobody who is exempt is told."""
    done = reminding.remind("--yes")
    assert done.code == 0, done.text
    found = mails(reminding)
    assert sorted(found) == ["alice@example.com", "bob@example.com", "desk@example.com", "frank@example.com"]
    (mail,) = found["alice@example.com"]
    assert mail.subject == "2 of your AWS access keys need to be replaced"
    assert "of deploy in staging (" in mail.text and "of alice in " in mail.text
    assert "  https://wiki.example.com/keys" in mail.text
    assert "the platform team, #aws-help" in " ".join(mail.text.split())
    assert "rotate-my-key rotate --all" in mail.text
    digest = found["desk@example.com"][0]
    assert "5 users exempt" in " ".join(digest.text.split())  # with whoever runs the fleet
    assert not any(name in digest.text for name in ("cron", "svc-backup", "robot ", "nobody"))


@pytest.mark.slow
def test_b_reminders_that_go_unanswered(reminding: Company) -> None:
    """Every third day; after two without an answer the desk is told of each, and the digest always lists them."""
    for _ in range(7):
        assert reminding.remind("--yes").code == 0
        day_later(reminding, 1)
    found = mails(reminding)
    assert [len(found[f"{name}@example.com"]) for name in ("alice", "bob", "frank")] == [3, 3, 3]
    assert found["alice@example.com"][2].subject == "Reminder 3: 2 of your AWS access keys need to be replaced"
    escalations = [mail.subject for mail in found["desk@example.com"] if "not acted" in mail.subject]
    assert sorted(escalations) == [
        f"AWS access keys: {name}@example.com has not acted on 2 reminders" for name in ("alice", "bob", "frank")
    ]
    digests = [mail for mail in found["desk@example.com"] if "not acted" not in mail.subject]
    assert len(digests) == 7
    assert "Reminders without effect (4)" in digests[1].text


def test_b_who_replaced_his_key_is_left_in_peace(reminding: Company) -> None:
    """And his tag forgets the key that is gone with the next notice."""
    reminding.remind("--yes")
    (key,) = reminding.aws.keys("alice")
    reminding.aws.delete_key(key.key_id)
    reminding.aws.add_key("alice")
    day_later(reminding, 3)
    reminding.remind("--yes")
    found = mails(reminding)
    assert "of alice in" not in found["alice@example.com"][1].text
    assert "of deploy in" in found["alice@example.com"][1].text


@pytest.mark.slow
def test_b_in_rough_weather(reminding: Company) -> None:
    """One account is closed to us, SES throttles, one tag is full and one account denies tagging: everybody who can be
    told is told once, and the digest says what is wrong."""
    staging, sandbox = (each.account for each in reminding.members.values())
    reminding.aws.break_account(sandbox, "denied")
    reminding.aws.fault("SendEmail", "throttle", times=3)
    reminding.aws.set_tags("bob", {f"tag{number}": "" for number in range(50)})
    reminding.aws.in_account(staging).attach_policy(
        f"arn:aws:iam::{staging}:role/rotate-my-key-fleet",
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": READ, "Resource": "*"}]},
    )
    done = reminding.remind("--yes")
    found = mails(reminding)
    assert {to: len(each) for to, each in found.items()} == {
        "alice@example.com": 1,
        "bob@example.com": 1,
        "desk@example.com": 1,
    }
    digest = " ".join(found["desk@example.com"][0].text.split())
    assert "Could not be checked (1) sandbox" in digest
    assert "Notified, but not recorded, so notified again by the next run (2)" in digest
    assert "deploy in staging" in digest and "iam:TagUser" in digest
    assert done.code == 5
    assert reminding.remembered("alice")
