"""The program: its commands and options, and the one place where a problem becomes two lines and an exit code.

Commands are loaded when called, so that `--help` and `--version` cost little more than click itself. Their table is
`table.py`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any

import click
from click.core import ParameterSource

from .. import __version__
from ..core.errors import Interrupted, Problem, WrongEncoding
from ..core.hints import Hint
from ..core.policy import nearest
from .app import INTERRUPTED, App
from .commands import with_command
from .table import COMMANDS, COMPLETE, GLOBAL, GROUPS, OWN

_LOG_FILE = "--log-file"
# What leaves no file of its own behind; whatever else is called must be called by the owner of these files.
_READS = {"status", "history", "doctor", "scan", "policy", "demo", "completion", "completion show", "help"}
_READS |= {"config", "config show", "config get", "config path"}
_READS |= {"reminder", "reminder show", "schedule", "schedule show"}
# What the next `rotate` finishes.
_RESUMED = {"rotate", "undo", "restore", "adopt", "import", "keyring store", "keyring restore"}


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    app = context.find_object(App)
    if app is not None and option.name and value:
        setattr(app, option.name, max(value, getattr(app, option.name)))


def _globals() -> list[click.Option]:
    """The options that may stand before or after the command."""
    kept: dict[str, Any] = {"expose_value": False, "is_eager": True, "callback": _keep}
    detail = "Show more detail, such as each call to AWS (repeat for debug)."
    log = "Append each call to AWS to this file."
    return [
        click.Option(["-v", "--verbose"], help=detail, count=True, **kept),
        click.Option(["-q", "--quiet"], help="Only show results and errors.", is_flag=True, **kept),
        click.Option(["--no-color"], help="No colours (NO_COLOR does the same).", is_flag=True, **kept),
        click.Option([_LOG_FILE], help=log, metavar="FILE", type=click.Path(), **kept),
    ]


class _Program(click.Group):
    """The commands, loaded lazily; without one it is `rotate`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return COMMANDS

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command and give it the global options."""
        if cmd_name not in COMMANDS:
            return None
        from . import commands

        command = commands.COMMANDS.get(cmd_name) or import_module(f".{cmd_name}", __package__).command
        _complete(command, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, rows in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(list(rows.items()))


def _complete(command: click.Command, name: str) -> None:
    """Give a command, and those of a group that are loaded, the options that may stand anywhere, and their examples."""
    from .commands import EXAMPLES

    if not any(param.name == "no_color" for param in command.params):
        command.params += _globals()
        lines = "\n".join(f"  rotate-my-key {words}" for words in EXAMPLES.get(name, ()))
        command.epilog = f"\b\nExamples:\n{lines}" if lines else None
    if isinstance(command, click.Group):
        for each in command.list_commands(click.Context(command)):
            child = command.commands.get(each)
            if child:
                _complete(child, f"{name} {each}")


@click.command(
    cls=_Program,
    params=_globals(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, or nothing to do · 1 a problem · 2 usage · 3 status --check · 4 needs a person · "
    "5 AWS does not allow it · 75 try again later · 130 interrupted.",
)
@click.version_option(__version__, "-V", "--version", prog_name="rotate-my-key", message="%(prog)s %(version)s")
def program() -> None:
    """Replace your own AWS access key, and never be locked out.

    Without a command: rotate the active profile's key if it is due.
    """


def run(args: Sequence[str], env: Any, app: App | None = None) -> int:
    """Run the program; gives the exit code. The demo brings an `app` of its own."""
    app = app or App(env)
    app.verbose = 2 if "-vv" in args else 0  # also where the words cannot be parsed
    args, log_file = _without_log_file(args)
    words = with_command(args)
    app.profile = _typed_profile(words)
    code = guarded(app, words, lambda: _called(app, words, log_file))
    app.verbose = 0  # a worker that AWS still keeps waiting says nothing behind the last line
    return code


def _without_log_file(args: Sequence[str]) -> tuple[list[str], str]:
    """The words without --log-file, which may stand anywhere, and its value."""
    words = list(args)
    for at, word in enumerate(words):
        if word == _LOG_FILE and words[at + 1 :]:
            return [*words[:at], *words[at + 2 :]], words[at + 1]
        if word.startswith(f"{_LOG_FILE}="):
            return [*words[:at], *words[at + 1 :]], word.partition("=")[2]
    return words, ""


def _called(app: App, words: Sequence[str], log_file: str) -> int:
    if log_file:
        app.open_log(log_file)
        app.detail(f"rotate-my-key {__version__}: {' '.join(_named(words))}", 3)
    if app.env.get(COMPLETE):  # at TAB
        from .completion import complete

        return complete(program, app, app.env[COMPLETE])
    # What is called must not leave root's files in another person's home
    name = _named(words)
    if not (" ".join(name) in _READS or name[:1] == ["fleet"] or not OWN.isdisjoint(words)):
        from ..files.write import must_be_mine

        must_be_mine(app.paths.state_dir)
    try:
        code = program.main(list(words), prog_name="rotate-my-key", standalone_mode=False, obj=app)
    except WrongEncoding as problem:
        sources = [app.context.get_parameter_source(each) for each in ("as_json", "yes")] if app.context else []
        if not app.terminal or not sources or ParameterSource.COMMANDLINE in sources:
            raise
        _rewrite(app, problem)
        return _called(app, words, log_file)
    sys.stdout.flush() if sys.stdout else None
    return int(code or 0)


def _rewrite(app: App, problem: WrongEncoding) -> None:
    """Ask whether botocore shall be able to read the file, and see to it. Raises the problem if not."""
    from ..profiles.file import ENCODING
    from ..profiles.places import rewrite
    from .wiring import Wiring

    if not app.confirm(f"{problem.message}. Rewrite it in {ENCODING}, without a mark?", default=True):
        raise problem
    app.wiring = None  # what it knows of the file is no more
    with Wiring.of(app).lock():
        rewrite(problem.path)
    app.say(f"{app.show_path(problem.path)}: rewritten in {ENCODING}")


def options(name: str, args: Sequence[str], app: App) -> dict[str, Any]:
    """What was typed behind a command, as its function takes it. Raises click.UsageError."""
    command = program.get_command(click.Context(program), name)
    assert command is not None
    return command.make_context(f"rotate-my-key {name}", list(args), obj=app).params


def guarded(app: App, args: Sequence[str], call: Callable[[], int]) -> int:
    """Call; gives the exit code. Every problem ends here, as one line and a hint, and stays in `app.problem`."""
    try:
        return call()
    except (Problem, Interrupted) as problem:
        return _end(app, args, problem)
    except click.exceptions.NoArgsIsHelpError as error:
        app.complain(error.ctx.get_help())
        return 2
    except click.UsageError as error:
        app.show_problem(Problem(*_usage(error, args)))
        return 2
    except click.ClickException as error:
        app.show_problem(Problem(_lower(error.format_message())))
        return 1
    except (click.Abort, KeyboardInterrupt, EOFError):
        app.complain("")
        if " ".join(_named(args)) in _RESUMED:
            return _end(app, args, Interrupted(INTERRUPTED, Hint()))
        return _end(app, args, Interrupted("Interrupted.", "repeat the command"))
    except BrokenPipeError:
        _silence()
        return 1
    except Exception as error:  # noqa: BLE001  never a traceback: its lines may quote what must not be shown
        # What no command foresaw: where it happened, never what the values were
        from ..core.errors import fault, frames

        code = _end(app, args, fault(error, __version__))
        for frame in frames(error):
            app.detail(f"  {frame}", 2)
        return code


def _end(app: App, args: Sequence[str], problem: Problem | Interrupted) -> int:
    """Two lines, and with --json one object on stdout, whatever happened; gives the exit code."""
    app.problem = problem
    app.show_problem(problem)
    if "--json" in args and not app.result_given:
        try:
            app.json({"problem": {"message": problem.message, "hint": problem.hint, "code": problem.code}})
        except BrokenPipeError:
            _silence()
        except Problem as unwritten:
            app.show_problem(unwritten)
    return problem.code


def _typed_profile(args: Sequence[str]) -> str:
    """The one profile that the words name; "" if they name none or several. The fleet's only signs."""
    split = [part for word in args for part in (word.split("=", 1) if word.startswith("--profile=") else [word])]
    named = {value for word, value in pairwise(split) if word in ("-p", "--profile")}
    return named.pop() if len(named) == 1 and _named(args)[:1] != ["fleet"] else ""


def _named(args: Sequence[str]) -> list[str]:
    """The command that was typed, with its group, as far as there are such: for words that could not be parsed."""
    words = [word for word in args if word not in GLOBAL]
    group: click.Command | None = program
    found: list[str] = []
    while isinstance(group, click.Group) and words[len(found) :]:
        word = words[len(found)]
        group = group.get_command(click.Context(group), word)
        found += [word] if group else []
    return found


def _usage(error: click.UsageError, args: Sequence[str]) -> tuple[str, str]:
    """What is wrong with the words, and the help of the command that was meant."""
    words, named = [word for word in args if word not in GLOBAL], _named(args)
    name = error.ctx.command_path if error.ctx else " ".join(("rotate-my-key", *named))
    group, word = error.ctx and error.ctx.command, (words[len(named) :] or ["-"])[0]
    if isinstance(error, click.NoSuchOption) and group and error.ctx:
        params = [*group.get_params(error.ctx), *error.ctx.find_root().command.params]
        names = {name.strip("-"): name for param in params for name in param.opts if name.startswith("--")}
        meant = nearest(error.option_name.strip("-").lower(), names)
        error = click.NoSuchOption(error.option_name, possibilities=[names[meant]] if meant else [], ctx=error.ctx)
    extra = re.search(r"unexpected extra argument \((\S+)\)", error.message)
    if extra and error.ctx and any("-p" in param.opts for param in error.ctx.command.params):
        return _lower(error.format_message()), Hint(*error.ctx.command_path.split()[1:], "-p", extra[1])
    if not isinstance(group, click.Group) or word.startswith("-"):
        return _lower(error.format_message()), f"{name} --help"
    assert error.ctx is not None
    meant = nearest(word, group.list_commands(error.ctx))
    question = f". Did you mean '{meant}'?" if meant else ""
    return f"no such command '{word}'{question}", " ".join(filter(None, (name, meant, "--help")))


def _lower(text: str) -> str:
    text = " ".join(text.split()).removesuffix(".")
    return text[:1].lower() + text[1:]


def _silence() -> None:
    """Nobody reads us any more: let Python's own flush at exit go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
