"""IT's desk and alice's laptop, with AWS's stand-in between them, over HTTP. IT has `policy fleet-reissue`, alice
`policy self`, and no more."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key import policies
from rotate_my_key.core.model import Credentials, Identity, PlaceKind
from rotate_my_key.profiles.file import ProfileFile
from rotate_my_key.state.transit import Delivered, write_delivery
from tests import warm
from tests.cli.conftest import Desk, Done, lines
from tests.cli.terminal import ROOT
from tests.laptop import wait_for_end
from tests.standin import Call, StandIn

REGION = "eu-west-1"
OLD = timedelta(days=98)
WHEN = ("before", "after")
PLACE = re.compile(r"(?:secretsmanager:arn:|s3://)\S+")
FILE = """\
# do not lose these
[work]
aws_access_key_id = {id}
aws_secret_access_key={secret}
region = eu-west-1
; the end"""


@dataclass
class Office:
    """All of it. `through` is secretsmanager or s3; `original` is alice's credentials file at first."""

    aws: StandIn
    it: Desk
    alice: Desk
    through: str = "secretsmanager"
    settings: dict[str, str] = field(default_factory=dict)
    channels: str = ""

    def __post_init__(self) -> None:
        self.aws.settings.strict = True
        self.aws.add_user("it")
        self.aws.attach_policy("it", json.loads(policies.text("fleet-reissue")))
        self.it.profiles(default=self.aws.add_key("it"))
        self.aws.add_user("alice", tags={"owner": "alice@example.com"})
        self.aws.attach_policy("alice", json.loads(policies.text("self")))
        self.aws.add_bucket("handover")
        self.old = self.aws.add_key("alice", age=OLD)
        self.original = FILE.format(id=self.old.key_id, secret=self.old.secret)
        self.alice.add(self.original)

    # IT

    def write_settings(self, **changes: str) -> Path:
        """fleet.ini."""
        values = {"enabled": "yes", "through": self.through, "bucket": "handover", **self.settings, **changes}
        text = "[reissue]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()) + self.channels
        path = self.it.home / "fleet.ini"
        path.write_text(text)
        return path

    def fleet(self, *words: str, **changes: str) -> Done:
        """`fleet reissue`, under these settings."""
        path = self.write_settings(**changes)
        return self.it.run("fleet", "reissue", *words, "--settings", str(path), AWS_DEFAULT_REGION=REGION)

    def reissue(self, *words: str, user: str = "alice", yes: bool = True, **changes: str) -> Done:
        """`fleet reissue alice -y`."""
        return self.fleet(user, *words, *(["-y"] if yes else []), **changes)

    def sweep(self, *words: str, **changes: str) -> Done:
        """`fleet reissue --sweep -y`."""
        return self.fleet("--sweep", "-y", *words, **changes)

    def place(self, *words: str) -> str:
        """Make one; gives what the notice names."""
        done = self.reissue(*words)
        assert done.code == 0, done.text
        found = PLACE.search(done.out)
        assert found, done.text
        return found[0]

    def link(self) -> str:
        """Make one in S3; gives the link."""
        file = self.it.home / "link"
        done = self.reissue("--link-file", str(file))
        assert done.code == 0, done.text
        return file.read_text().strip()

    def age(self, by: timedelta) -> None:
        """What waits was put there so much earlier."""

        def earlier(text: str) -> str:
            return re.sub(r"at=(\S+)Z", lambda at: f"at={datetime.fromisoformat(at[1]) - by:%Y-%m-%dT%H:%M:%S}Z", text)

        for secret in self.aws.secrets.values():
            secret.tags = {name: earlier(value) for name, value in secret.tags.items()}
        for name, found in self.aws.objects("handover").items():
            if name.endswith("/slip"):
                found.body = earlier(found.body.decode()).encode()

    def age_all(self, hours: float) -> None:
        """What waits, and the keys, are so much older."""
        self.age(timedelta(hours=hours))
        for key in self.aws._front.world.keys_of(self.aws._front.world.user("alice")):
            if key.pair.key_id != self.old.key_id:
                key.moto.create_date -= timedelta(hours=hours)

    # Alice

    def adopt(self, place: str, *words: str, **env: str) -> Done:
        """`adopt PLACE -y`."""
        return self.alice.run("adopt", place, "-y", *words, **env)

    def paste(self, text: str, *words: str) -> Done:
        """`adopt - -y`, with the text on standard input."""
        process = self.pasting(*words)
        out, err = process.communicate(text, timeout=60)
        return Done(process.returncode, out, err)

    def pasting(self, *words: str) -> subprocess.Popen[str]:
        """`adopt - -y`, which waits for the text."""
        command, env = [*warm.COLD, "adopt", "-", "-y", *words], {"PYTHONPATH": str(ROOT), **self.alice.environment({})}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def killed(
        self, action: str, nth: int, when: str, *words: str, desk: Desk | None = None, text: str = "", **env: str
    ) -> bool:
        """Run it and kill it at the nth call of an action; whether it came that far. With a text: `adopt - -y`."""
        given = {**warm.BASE, "PYTHONPATH": str(ROOT), **(desk or self.alice).environment(env)}
        process = self.pasting(*words) if text else warm.start(words, given)
        seen = 0

        def kill(call: Call) -> None:
            nonlocal seen
            seen += 1
            if seen == nth:
                os.kill(process.pid, signal.SIGKILL)
                wait_for_end(process.pid)

        self.aws.on_call(kill, when, action)  # type: ignore[arg-type]
        process.communicate(*([text] if text else []), timeout=60)
        self.aws.settle()
        return process.returncode == -signal.SIGKILL

    def deliver(self, **changes: Any) -> str:
        """Put a delivery into Secrets Manager without `fleet reissue`, perhaps one that was tampered with; gives its
        place."""
        pair = self.aws.add_key("alice", age=timedelta(hours=1))
        who = Identity(self.aws.account, f"arn:aws:iam::{self.aws.account}:user/alice")
        value = json.loads(write_delivery(Delivered(pair, who, datetime.now(UTC), self.old.key_id)))
        arn = self.aws.add_secret("rotate-my-key/x/handover", json.dumps({**value, **changes}), region=REGION)
        allow = {"Effect": "Allow", "Action": ["secretsmanager:*"], "Resource": "*"}
        if self.aws.settings.strict:
            self.aws.attach_policy("alice", {"Version": "2012-10-17", "Statement": [allow]})
        return f"secretsmanager:{arn}"

    # Looking

    def held(self, profile: str = "work") -> Credentials:
        """What an SDK reads from alice's profile."""
        pair = ProfileFile(self.alice.credentials.read_bytes(), "", PlaceKind.CREDENTIALS).pair(profile)
        assert pair is not None
        return pair

    def works(self, profile: str = "work") -> None:
        """The profile names an active key, with its secret."""
        pair = self.held(profile)
        assert self.alice.ids().get(pair.key_id) == "Active"
        assert self.aws.pair(pair.key_id) == pair

    def settled(self, *handed: str, profile: str = "work") -> None:
        """Alice has one key, which nobody but she has seen; her file differs in the two values alone."""
        pair = self.held(profile)
        assert self.alice.ids() == {pair.key_id: "Active"}
        assert self.aws.pair(pair.key_id) == pair
        assert pair.key_id not in (self.old.key_id, *handed)
        text = self.alice.credentials.read_text()
        back = text.replace(pair.key_id, self.old.key_id).replace(pair.secret, self.old.secret)
        assert back == self.original
        rotations = self.alice.state / "rotations"
        assert not rotations.exists() or list(rotations.iterdir()) == []

    def new_id(self) -> str:
        """The key that waits."""
        (key_id,) = set(self.alice.ids()) - {self.old.key_id}
        return key_id

    def waiting(self) -> list[str]:
        """What waits anywhere."""
        secrets = [name for name, secret in self.aws.secrets.items() if not secret.deleted]
        return [*secrets, *self.aws.objects("handover")]

    def quiet(self, *texts: str) -> None:
        """No secret of alice's stands in these texts."""
        for key in self.aws.keys("alice"):
            assert not any(self.aws.pair(key.key_id).secret in text for text in texts)


def calls(office: Office, since: int = 0) -> dict[str, int]:
    """The calls of a run."""
    return dict(Counter(call.action for call in office.aws.calls[since:]))


def each_call(found: dict[str, int], usual: tuple[str, int, str]) -> list[Any]:
    """Each call, not carried out yet, and carried out if it changes something; one in the default run."""
    every = [(action, nth, when) for action, count in found.items() for nth in range(1, count + 1) for when in WHEN]
    return [
        pytest.param(*point, marks=[] if point == usual else pytest.mark.slow)
        for point in every
        if point[2] == "before" or not point[0].startswith(("Get", "List", "Describe"))
    ]


def new_office(
    folder: Path, aws: StandIn, capsys: pytest.CaptureFixture[str], through: str = "secretsmanager"
) -> Office:
    """A fresh account; `aws` is emptied."""
    aws.reset()
    homes = folder / "it", folder / "alice"
    for home in homes:
        home.mkdir(parents=True)
    return Office(aws, Desk(homes[0], aws, capsys), Desk(homes[1], aws, capsys), through)


__all__ = ["OLD", "REGION", "Office", "lines", "new_office"]
