"""What every command is handed: where things are, how to talk, how to ask. The one place that knows the terminal.

Results go to stdout, talk goes to stderr. Without a terminal nothing prompts, nothing spins and nothing is coloured.
Ctrl-C ends the program; while a rotation is at work the first ends it after the call that is out, the second at once.
So do the signals of a computer that goes down (SIGTERM) and of a terminal that is closed (SIGHUP)."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain, islice
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..core.errors import Interrupted, NeedsPerson, Problem
from ..core.hints import Call, Hint, on

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.status import Status

    from ..files.paths import Paths
    from ..settings import Raw, Settings

JSON_VERSION = 1
INTERRUPTED = "Interrupted. Run `rotate-my-key` again to finish; your profile works."
_SLICE = 0.1  # seconds
_PIECES = 1000  # of a long result that are written at once: 10 KB of JSON
_FILES = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def handled(ask: Callable[[int, FrameType | None], None] | None = None) -> Iterator[None]:
    """Within the block these signals call `ask`, or are what Ctrl-C is to Python; nohup's SIGHUP stays ignored. In any
    other thread than the main one nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}
    try:
        for number, action in before.items():
            if action is not signal.SIG_IGN or number == signal.SIGINT:
                signal.signal(number, ask or signal.default_int_handler)
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


class Stop:
    """Whether the person asked to stop."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._asked = threading.Event()
        self._say = say

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        """Within the block the first Ctrl-C only asks; the second is Python's own."""
        with handled(self._ask):
            yield

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
        again = "; press Ctrl-C again to stop at once" if number == signal.SIGINT else ""
        self._say(f"stopping after this step{again}")

    def check(self) -> None:
        """Raises Interrupted once the person asked to stop."""
        if self._asked.is_set():
            raise Interrupted(INTERRUPTED, Hint())

    def pause(self, seconds: float) -> None:
        """Sleep, in slices so that Ctrl-C is seen. Raises Interrupted."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(_SLICE, left))
        self.check()


class App:
    """The terminal, the environment and the paths of one run of the program."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env
        self.verbose = 0
        self.quiet = False
        self.log_file = 0  # open, for --log-file
        self.forced_color = any(env.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE"))
        plain = env.get("CLICOLOR") == "0" or env.get("TERM") == "dumb"
        self.no_color = bool(env.get("NO_COLOR")) or (plain and not self.forced_color)
        self.flags: dict[str, Raw | None] = {}
        self.profile: str | None = None  # the one that was typed, for hints; "" if several were
        self.context: click.Context | None = None  # of the call
        self.mfa_code: str | None = None  # of --mfa-code
        self.result_given = False  # the one object of --json
        self.problem: Problem | Interrupted | None = None  # that the run ended with
        self._spinner: Status | Progress | None = None
        self._screen = threading.RLock()  # for a line or a frame: a worker's question may come as the spinner starts
        self._asked = False  # a question waits for its answer: nothing spins
        self.wiring: Any = None  # see Wiring.of, which knows this class

    # Where things are

    def shell(self, command: str) -> str:
        """The shell that the person uses. Raises NeedsPerson, with the command that names it."""
        from ..reminder import shell

        found = shell.detect(self.env, os.getppid(), shell.process, terminal=_is_terminal(sys.stderr))
        if not found:
            raise NeedsPerson("cannot tell which shell you use", Hint(command, "install", "--shell", "bash"))
        return found

    @cached_property
    def paths(self) -> Paths:
        """The files and folders of this user; loaded when first needed."""
        from ..files.paths import find

        return find(self.env)

    @cached_property
    def settings(self) -> Settings:
        """The settings that count; their notices are said once."""
        from ..settings import load

        settings = load(self.paths, self.env, self.flags)
        for notice in settings.notices:
            self.say(notice)
        return settings

    def without(self, flag: str) -> None:
        """From now on the settings are as if this flag had not been given."""
        from ..settings import load

        if self.flags.pop(flag, None) is not None:
            self.settings = load(self.paths, self.env, self.flags)

    def show_path(self, path: str) -> str:
        """A path as a person writes it: `~/.aws/credentials`."""
        home = self.paths.home.rstrip(os.sep)
        return f"~{path[len(home) :]}" if home and path.startswith(home + os.sep) else path

    # Talking

    @property
    def terminal(self) -> bool:
        """Whether there is a person to ask: input and talk both go to a terminal."""
        return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)

    def width(self, stream: IO[str] | None = None) -> int:
        """How many columns the terminal has; 0 where it is none (a file, a pipe), so that nothing is folded there."""
        stream = stream or sys.stdout
        if not _is_terminal(stream):
            return 0
        with suppress(OSError, ValueError):
            return int(self.env.get("COLUMNS") or os.get_terminal_size(stream.fileno()).columns)
        return 0

    def _fitted(self, text: str, stream: IO[str]) -> str:
        width = self.width(stream)
        if not width:
            return text
        from .layout import wrap

        return wrap(text, width)

    def out(self, text: str, *, exact: bool = False) -> None:
        """A result, on stdout, fitted to the terminal; `exact` as it is, for programs. Raises Problem if it cannot be
        written: what it tells of is done all the same."""
        self.put((text if exact else self._fitted(text, sys.stdout), "\n"))

    def put(self, pieces: Iterable[str]) -> None:
        """A result as it is, written while it is made: the whole of a long one is never in memory. Raises as `out`."""
        left = iter(pieces)
        try:
            while some := list(islice(left, _PIECES)):
                click.echo("".join(some), nl=False, color=self._color)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Problem(f"the result cannot be written: {(error.strerror or 'no output').lower()}") from None

    def json(self, value: dict[str, Any]) -> None:
        """The result as one JSON object on stdout."""
        self.result_given = True
        encoder = json.JSONEncoder(indent=2, ensure_ascii=not _is_utf8(sys.stdout))
        self.put(chain(encoder.iterencode({"version": JSON_VERSION, **value}), ("\n",)))

    def result(self, value: dict[str, Any], *lines: str, as_json: bool) -> None:
        """The result as an object or, without --json, in these lines."""
        if as_json:
            return self.json(value)
        return self.out("\n".join(lines))

    def say(self, text: str, *, exact: bool = False) -> None:
        """Talk, on stderr; not with --quiet."""
        if not self.quiet:
            self.complain(text, exact=exact)

    def detail(self, text: str, level: int = 1) -> None:
        """Talk for -v or -vv, and for the log."""
        if self.verbose >= level:
            self.complain(text)
        self._keep(text)

    # The log, for IT

    @property
    def logs(self) -> bool:
        """Whether anybody wants to know of each call to AWS."""
        return bool(self.verbose or self.log_file)

    def log(self, text: str) -> None:
        """A line of what was called, for -v and for the log. No secret is in it."""
        if self.verbose:
            self.complain(f"{_now()} {text}", exact=True)
        self._keep(text)

    def open_log(self, path: str) -> None:
        """From now on that file is written too: only the user may read it, if it is new. Raises Problem."""
        from ..core.errors import explain
        from ..files.regular import refuse_odd

        refuse_odd(path)
        try:
            self.log_file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise explain(error, "write", path) from None

    def _keep(self, text: str) -> None:
        if self.log_file:
            with suppress(OSError):  # a full disk stops no rotation
                os.write(self.log_file, f"{_now()} {text.strip()}\n".encode())

    def show_problem(self, problem: Problem | Interrupted, prefix: str = "", profile: str = "") -> None:
        """What is wrong, and what to type; about this profile, else the one that was typed."""
        problem.hint = self.about(problem.hint, profile)
        self._keep(f"error: {prefix}{problem.message}; hint: {problem.hint}")
        error = "" if isinstance(problem, Interrupted) else f"{self.style('error:', fg='red', bold=True)} "
        self.complain(f"{error}{prefix}{problem.message}")
        if problem.hint and f"`{problem.hint}`" not in problem.message:
            self.complain(f"{self.style('hint:', bold=True)} {problem.hint}", exact=True)

    def about(self, hint: str, profile: str = "") -> str:
        """A hint that follows this call, about this profile, else the one that was named."""
        from ..files.platform import NAME

        return hint.within(self._call(profile)) if isinstance(hint, Hint) else on(NAME, hint)

    def _call(self, profile: str) -> Call:
        but = ("as_json", *(("profile", "profiles", "all_keys") if profile else ()))
        words = self.again(but=but).words if self.context else ()
        named = self.env.get("AWS_PROFILE") or self.env.get("AWS_DEFAULT_PROFILE") or ""
        signer = [("--auth-profile", str(self.flags.get("auth_profile") or ""))]
        signer += [("--mfa-code", "CODE")] if self.mfa_code else []  # a code is good for one use
        files = [(name, self.env[name]) for name in _FILES if self.env.get(name) and os.sep == "/"]
        return Call(
            words,
            profile or (named if self.profile is None else self.profile),
            tuple(option for option in signer if option[1]),
            tuple(files),
        )

    def again(self, *flags: str, but: tuple[str, ...] = ()) -> Hint:
        """`rotate-my-key fleet revoke bob --account 123456789012 --yes`: the call as it was typed, with these flags,
        `but` without the options of these names. No secret is in it, and no MFA code."""
        context = click.get_current_context(silent=True) or self.context
        assert context is not None
        typed = [
            each
            for each in context.command.params
            if context.get_parameter_source(each.name or "") is ParameterSource.COMMANDLINE
            and each.name not in ("mfa_code", *but)
        ]
        values = [(each, self.value_of(context, each)) for each in typed]
        arguments = [str(word) for each, of in values if isinstance(each, click.Argument) for word in _each(of)]
        options = [word for each, of in values for word in option_words(each, of)]
        options += [flag for flag in flags if flag not in options]
        dashed = any(word.startswith("-") and word != "-" for word in arguments)
        words = [*options, "--", *arguments] if dashed else [*arguments, *options]
        return Hint(*context.command_path.split()[1:], *words)

    def value_of(self, context: click.Context, parameter: click.Parameter) -> Any:
        """What was typed; what a callback keeps is not among the parameters."""
        name = parameter.name or ""
        return context.params.get(name, context.meta.get(f"fleet {name}") or self.flags.get(name))

    def complain(self, text: str, *, exact: bool = False) -> None:
        """What must be said even with --quiet, on stderr, above the spinner; `exact` as `out` has it. That nobody
        listens any more stops no rotation."""
        text = text if exact else self._fitted(text, sys.stderr)
        with self._screen, suppress(OSError):
            if self._spinner:
                from rich.text import Text

                self._spinner.console.print(Text.from_ansi(text), soft_wrap=True)
            else:
                click.echo(text, err=True, color=self._color)

    def interject(self, text: str) -> None:
        """As `complain`, from a signal handler: that may have interrupted a write to stderr, which bears no second."""
        clear = "\r\x1b[2K" if self._spinner else "\n" if _is_terminal(sys.stderr) else ""  # after the ^C
        with suppress(OSError, ValueError, AttributeError):
            os.write(sys.stderr.fileno(), f"{clear}{text}\n".encode())

    @property
    def _color(self) -> bool | None:
        """Whether click is to leave colours in the text; None where that depends on the terminal."""
        return False if self.no_color else self.forced_color or None

    def style(self, text: str, **how: Any) -> str:
        """Coloured text, where colours are wanted; `click.echo` drops them where there is no terminal."""
        return text if self.no_color else click.style(text, **how)

    # Asking

    def confirm(self, question: str, *, default: bool, flags: Sequence[str] = ("--yes",)) -> bool:
        """Ask a yes-or-no question. Raises NeedsPerson without a terminal, with the call and these flags, which answer
        it, and Interrupted if the answer is Ctrl-C or Ctrl-D."""
        question, answer = f"{question} [{'Y/n' if default else 'y/N'}]", "y" if default else "n"
        return self.choose(question, "yn", default=answer, flags=flags) == "y"

    def choose(self, question: str, letters: str, *, default: str, flags: Sequence[str] = ("--yes",)) -> str:
        """Ask for one of these letters, or a word that begins with it. Raises as `confirm` does."""
        if not self.terminal:
            raise NeedsPerson("not running in a terminal: add --yes to confirm", self.again(*flags))
        while True:
            answer = self.ask(question, " ", default=default, show_default=False).strip()[:1].lower()
            if answer in tuple(letters):
                return answer
            self.complain(f"type one of {', '.join(letters)}")

    def ask(self, question: str, suffix: str = ": ", **how: Any) -> str:
        """Ask for a line in a terminal, before anything is begun; `how` is as `click.prompt` has it. Raises
        Interrupted."""
        self._stop_spinner()
        try:
            with handled():  # Ctrl-C at a question is Python's own: a rotation's would wait for a step to end
                return str(click.prompt(self._fitted(question, sys.stderr), prompt_suffix=suffix, err=True, **how))
        except click.Abort:
            self.complain("")
            raise Interrupted("Cancelled. Nothing changed.") from None

    def line(self, question: str, check: Callable[[], None]) -> str:
        """Ask for a line of text: for a terminal only, from any thread. `check` raises once the person wants to stop.
        Raises Interrupted for Ctrl-D."""
        with self._screen, suppress(OSError):
            self._asked = True
            self._stop_spinner()
            click.echo(question, nl=False, err=True)
        try:
            return self._typed(check)
        finally:
            self._asked = False

    def _typed(self, check: Callable[[], None]) -> str:
        # A line from stdin, "" at its end. Read by a thread of its own, since no other can be interrupted by
        # `check`, and past sys.stdin, whose lock a thread that still waits would hold when the program ends.
        from ..core.parallel import Running

        typed: list[bytes] = []

        def read() -> None:
            with suppress(OSError):
                typed.append(os.read(0, 4096))

        reader = Running(read)
        while not reader.wait(_SLICE):
            check()
        check()
        answer = b"".join(typed).decode(errors="replace")
        if not answer:
            self.complain("")
            raise Interrupted("Interrupted. Repeat the command to continue where it stopped.")
        return answer

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A spinner beside the text while the block runs, in a terminal only; a second one takes its place."""
        if not self._spins:
            yield
            return
        from rich.console import Console

        console = Console(stderr=True, no_color=self.no_color, highlight=False)
        with self._spinning(console.status(text, spinner="dots" if _is_utf8(sys.stderr) else "line")):
            yield

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """A bar while the block runs, in a terminal only; to be told what is done, how much of it, of how much."""
        if not self._spins:
            yield lambda what, done, total: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, no_color=self.no_color, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(" of "), TimeElapsedColumn())
        bar = Progress(*columns, console=console, transient=True)
        task = bar.add_task("", total=None)
        with self._spinning(bar):
            yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)

    @property
    def _spins(self) -> bool:
        return not self.quiet and _is_terminal(sys.stderr) and self.env.get("TERM") != "dumb"

    @contextmanager
    def _spinning(self, spinner: Status | Progress) -> Iterator[None]:
        try:
            with self._screen:
                self._stop_spinner()
                if not self._asked:
                    self._spinner = spinner
                    try:
                        spinner.start()
                    except (RuntimeError, OSError):  # no thread to be had, or a terminal that is gone: nothing spins
                        self._stop_spinner()
            yield
        finally:
            with self._screen:
                if self._spinner is spinner:
                    self._stop_spinner()

    def _stop_spinner(self) -> None:
        with self._screen:
            spinner, self._spinner = self._spinner, None
            if spinner:
                with suppress(OSError):
                    spinner.stop()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def option_words(option: click.Parameter, value: Any) -> Iterator[str]:
    """`--account 123456789012`; nothing for what has no value, and for an argument."""
    word = next((word for word in option.opts if word == "-p"), max(option.opts, key=len))
    if isinstance(option, click.Argument) or not value:
        return
    if value is True:
        yield word
        return
    for each in map(str, _each(value)):
        yield from (f"{word}={each}",) if each.startswith("-") else (word, each)


def _each(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _is_utf8(stream: IO[str] | None) -> bool:
    """Windows redirects output in the code page of the system, and LC_ALL=C may mean ASCII."""
    name = (getattr(stream, "encoding", None) or "").lower()
    return name.replace("-", "").replace("_", "").startswith("utf")


def _is_terminal(stream: IO[str] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False
