"""Makes docs/rotation.svg: a real run of rotate-my-key in a real terminal, against AWS's stand-in, in a throwaway home.

    .venv/bin/python -m tests.cli.picture [FILE]

Nothing is drawn by hand. Two things are arranged: the stand-in's account has the number that AWS's own examples use,
and the line that names the stand-in's address is left out. `tests/test_docs.py` runs this and compares the words.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from rotate_my_key.core.model import LastUse
from tests.cli.terminal import ROOT, Terminal
from tests.standin import StandIn

PICTURE = ROOT / "docs" / "rotation.svg"
WIDTH = 80
PROPAGATION = 8.0  # seconds until the stand-in knows a new key, as at AWS
FILE = """\
[default]
aws_access_key_id = {id}
aws_secret_access_key = {secret}
region = eu-west-1

[work]
aws_access_key_id = {id}
aws_secret_access_key = {secret}
"""
_LEFT_OUT = "Not AWS itself"


def record(propagation: float = PROPAGATION) -> list[str]:
    """The lines that a person sees after `rotate-my-key` and `y`, with their colours (ANSI)."""
    with StandIn() as aws, tempfile.TemporaryDirectory() as home:
        aws.account = "123456789012"
        aws.reset()
        aws.settings.propagation = propagation
        aws.settings.latency = 0.05
        aws.add_user("alice")
        use = LastUse(datetime.now(UTC) - timedelta(hours=3, minutes=5), "s3", "eu-west-1")
        pair = aws.add_key("alice", timedelta(days=98), use=use)
        file = Path(home, ".aws", "credentials")
        file.parent.mkdir(0o700)
        file.touch(0o600)
        file.write_text(FILE.format(id=pair.key_id, secret=pair.secret))
        env = {"HOME": home, "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": aws.url, "LC_ALL": "C.UTF-8"}
        run = Terminal([], env, home, WIDTH)
        run.answer("Rotate it?", "y\r")
        done = run.end()
    if done.code != 0:
        raise SystemExit(f"the run ended with {done.code}:\n{done.text}")
    return ["$ rotate-my-key", *(line for line in done.styled if _LEFT_OUT not in line)]


def draw(lines: list[str]) -> str:
    """The lines as SVG, on their own: no font and nothing else is fetched when somebody looks at it."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace('-matrix">', '-matrix" xml:space="preserve">')  # else some viewers drop the indentation
    svg = console.export_svg(title="rotate-my-key", code_format=form, unique_id="rotation")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def words(svg: str) -> list[str]:
    """The lines of a picture, without what differs from run to run: ids, the days that a date is made of, seconds."""
    rows: dict[str, str] = {}
    for y, text in re.findall(r'<text class="rotation-r\d+"[^>]* y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        rows[y] = rows.get(y, "") + text
    lines = [row.replace("&#160;", " ").replace("&gt;", ">").replace("&#x27;", "'").rstrip() for row in rows.values()]
    for what, name in ((r"\.\.\.[A-Z0-9]{4}", "...ID"), (r"\(\d+ s\)", "(N s)"), (r"on \d+ \w+( \d{4})?", "on DAY")):
        lines = [re.sub(what, name, line) for line in lines]
    return lines


def main() -> None:
    """Write the picture."""
    path = Path(sys.argv[1]) if sys.argv[1:] else PICTURE
    path.write_text(draw(record()), encoding="utf-8")


if __name__ == "__main__":
    main()
