"""The zip for Lambda: its size, and how long a fresh process takes until the first run is done."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import botocore

from rotate_my_key.fleet.deploy import build
from tests.standin import StandIn
from tests.web import serve

from .measure import Command, in_turns, table

_SITE = os.path.dirname(os.path.dirname(botocore.__file__))
_RUNTIME = ("botocore", "dateutil", "jmespath", "six.py")  # what Lambda's Python has
_START = (
    "import sys; sys.path[:0] = sys.argv[1:3]\n"
    "from rotate_my_key.fleet.function import handler\n"
    "[handler({'command': sys.argv[3]}, None) for _ in range(int(sys.argv[4]))]"
)


@contextmanager
def _account() -> Iterator[Mapping[str, str]]:
    """An account with an old key, settings with a topic and a chat for admins, and the environment of the function."""
    with serve() as chat_server, StandIn() as aws:
        aws.add_user("alice")
        aws.add_key("alice", timedelta(days=98))
        aws.add_user("fleet")
        pair = aws.add_key("fleet")
        topic = aws.add_topic("rotate-my-key-admins", "eu-west-1")
        aws.add_secret("rotate-my-key/chat", f"json://127.0.0.1:{chat_server.port}/x")
        channels = f"[channels]\n[[topic]]\nkind = sns\ntopic = {topic}\n"
        chat = "[[chat]]\nkind = apprise\nurls = secretsmanager:rotate-my-key/chat\n"
        aws.add_parameter("/rotate-my-key/topic", f"{channels}[remind]\nadmins = topic,\n")
        aws.add_parameter("/rotate-my-key/chat", f"{channels}{chat}[remind]\nadmins = chat,\n")
        yield {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": pair.key_id,
            "AWS_SECRET_ACCESS_KEY": pair.secret,
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }


def _unpacked(folder: str, apprise: bool) -> str:
    package = build("0", apprise=apprise)
    path = os.path.join(folder, "function.zip")
    with open(path, "wb") as file:
        file.write(package.data)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(os.path.join(folder, "task"))
    return os.path.join(folder, "task")


def package(turns: int) -> None:
    """Sizes, then cold and warm starts. As in Lambda nothing of the zip is compiled beforehand, nor kept (`-B`)."""
    print("\nThe zip")
    for words in ([], ["apprise"], ["botocore"], ["apprise", "botocore"]):
        made = build("0", apprise="apprise" in words, botocore="botocore" in words)
        name = " with ".join(["usual", " and ".join(words)]) if words else "usual"
        print(f"  {name:38}{len(made.data) / 1e6:8.2f} MB{made.unpacked / 1e6:8.2f} MB unpacked")
    folder = tempfile.mkdtemp()
    try:
        runtime = os.path.join(folder, "runtime")
        os.mkdir(runtime)
        for name in _RUNTIME:
            os.symlink(os.path.join(_SITE, name), os.path.join(runtime, name))
        tasks = {}
        for apprise in (False, True):
            os.mkdir(os.path.join(folder, str(apprise)))
            tasks[apprise] = _unpacked(os.path.join(folder, str(apprise)), apprise)
        with _account() as env:

            def start(name: str, task: str, settings: str, runs: int = 1) -> Command:
                told = {**env, "ROTATE_MY_KEY_FLEET_SETTINGS": f"/rotate-my-key/{settings}"}
                words = [sys.executable, "-I", "-S", "-B", "-c", _START, task, runtime, "remind", str(runs)]
                return Command(name, words, lambda: told)

            commands = [
                start("with apprise, a chat is told", tasks[True], "chat"),
                start("with apprise, a topic is told", tasks[True], "topic"),
                start("usual, a topic is told", tasks[False], "topic"),
                start("usual, ten runs", tasks[False], "topic", 10),
                Command("bare Python", [sys.executable, "-I", "-S", "-c", ""], lambda: env),
            ]
            table("A fresh process and its first run of remind", in_turns(commands, turns), by="usual, a topic is told")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
