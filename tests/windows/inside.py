"""Windows' side of the tests: starts programs there, and does what a test asks for with Windows' own calls.

A server of lines of JSON on loopback: a request and its answer a connection. Runs in Windows' Python.
"""

import importlib
import json
import os
import pkgutil
import socketserver
import subprocess
import sys
import threading
from typing import Any

_running: dict[str, subprocess.Popen[bytes]] = {}
_names: dict[str, Any] = {"os": os}
_SECONDS = 280


def run(name: str, command: list[str] | str, env: dict[str, str | None], given: str = "") -> tuple[int, str, str]:
    """Run a program to its end; what it said is bytes, a letter each. `env` is put over that of this process."""
    whole = {word: value for word, value in {**os.environ, **env}.items() if value is not None}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=whole, cwd=whole["USERPROFILE"], stdin=pipe, stdout=pipe, stderr=pipe)
    _running[name] = process
    timer = threading.Timer(_SECONDS, process.kill)
    timer.start()
    out, err = process.communicate(given.encode("latin-1"))
    timer.cancel()
    return process.returncode, out.decode("latin-1"), err.decode("latin-1")


def kill(name: str) -> None:
    """End it at once, as TerminateProcess does."""
    _running[name].kill()
    _running[name].wait()


def do(source: str) -> Any:
    """Run lines of Python; gives what they leave in `result`. Names stay for the next ones."""
    _names["result"] = None
    exec(source, _names)  # noqa: S102  the tests' own
    return _names["result"]


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        verb, *words = json.loads(self.rfile.readline())
        try:
            answer = [True, {"run": run, "kill": kill, "do": do}[verb](*words)]
        except Exception as error:  # noqa: BLE001  whoever asked is told
            answer = [False, f"{type(error).__name__}: {error}"]
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def killed_at(nth: int, args: list[str]) -> None:
    """Run the program and end it before the `nth` change of a file in the home; exit code 9 if that came."""
    home, seen = os.environ["USERPROFILE"].lower(), 0

    def look(event: str, words: tuple[Any, ...]) -> None:
        nonlocal seen
        changes = event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link")
        if event == "open":
            changes = isinstance(words[2], int) and bool(words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if changes and str(words[0]).lower().startswith(home):
            seen += 1
            if seen == nth:
                os.kill(os.getpid(), 9)  # TerminateProcess, with 9 as its exit code

    from rotate_my_key.cli.main import main

    sys.addaudithook(look)
    main(args)


def load() -> None:
    """Load every module, and print how many there are; what cannot be loaded goes to stderr."""
    import rotate_my_key

    names = [found.name for found in pkgutil.walk_packages(rotate_my_key.__path__, "rotate_my_key.")]
    for name in names:
        try:
            if not name.endswith("__main__"):
                importlib.import_module(name)
        except Exception as error:  # noqa: BLE001  all of them are told
            if getattr(error, "name", "") not in ("apprise", "jinja2", "pyrage"):
                print(name, repr(error), file=sys.stderr)
    print(len(names))


if __name__ == "__main__":
    if sys.argv[1] == "load":
        load()
        sys.exit()
    if sys.argv[1] == "killed-at":
        killed_at(int(sys.argv[2]), sys.argv[3:])
    with _Server(("127.0.0.1", int(sys.argv[1])), _Handler) as server:
        server.serve_forever()
