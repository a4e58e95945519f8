"""The page in a real browser: it fits a phone, asks nobody for anything, and looks the part in light and dark."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rotate_my_key.fleet.report import KeyReport
from tests.fleet.fakes import FakeDirectory
from tests.web import serve

from .conftest import page

Make = Callable[..., KeyReport]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
)
# A page of its own measures ours in a frame of a phone's width; ours has no script and allows none.
MEASURE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="f" src="/page" style="border:0;width:{width}px;height:900px"></iframe>
<script>
document.getElementById("f").onload = event => {{
  const inside = event.target.contentDocument, root = inside.documentElement;
  const wide = [...inside.querySelectorAll("body *")].filter(each => {{
    const box = each.getBoundingClientRect();
    return box.width > 1 && box.right > {width} + 0.5;
  }}).map(each => each.tagName);
  const position = name => getComputedStyle(inside.querySelector(name)).position;
  document.title = JSON.stringify({{
    scroll: root.scrollWidth, wide, height: root.scrollHeight,
    head: position("thead") === "absolute" ? "hidden" : position("thead th"),
    back: getComputedStyle(inside.body).backgroundColor,
    small: [...inside.querySelectorAll("td, p, li")].filter(
      each => parseFloat(getComputedStyle(each).fontSize) < 12).length,
  }});
}};
</script>"""

pytestmark = pytest.mark.slow


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., str]:
    """Run it with these words; gives what it prints. Skipped, loudly, where there is none (never in CI)."""
    if CHROMIUM is None:
        if os.environ.get("ROTATE_MY_KEY_NO_SKIP"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed: the page was not looked at in a browser")

    def run(*words: str) -> str:
        command = [str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path / 'chromium'}", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout

    return run


@pytest.fixture
def text(report: Make, accounts: list[FakeDirectory]) -> str:
    """A page with everything on it, and with names as long as IAM lets them be."""
    accounts[0].user("x" * 64, 98, owner="y" * 200 + "@example.com", path=f"/{'z' * 100}/")
    accounts[1].user("Ünïcödé"[:1] + "w" * 63, 120)
    return page(report(), every=True)


@pytest.mark.parametrize(("paper", "size"), [("A4", (595, 842)), ("letter", (612, 792))])
def test_it_prints_as_a_table(
    report: Make,
    accounts: list[FakeDirectory],
    chromium: Callable[..., str],
    tmp_path: Path,
    paper: str,
    size: tuple[int, int],
) -> None:
    """Paper is no phone: a page takes some thirty keys, and not three; each that has keys has their head too."""
    for number in range(100):
        accounts[0].user(f"user{number:02}", 98).password = False
    text = page(report(), every=True).replace("@page {", f"@page {{ size: {paper};")
    (tmp_path / "page.html").write_text(text)
    chromium(f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer", f"file://{tmp_path / 'page.html'}")
    pages = list(_pages((tmp_path / "page.pdf").read_bytes()))
    assert {each for each, _ in pages} == {size}
    keys = [len(set(re.findall(r"user\d\d(?=AKIA)", words))) for _, words in pages]
    assert sum(keys) == 100
    assert max(keys) >= 25
    assert all(
        "VerdictAccountUserAgeLast useOwnerCIS" in words for (_, words), many in zip(pages, keys, strict=True) if many
    )


def _pages(pdf: bytes) -> Iterator[tuple[tuple[int, int], str]]:
    """The size of each page and the words on it, as Chromium's PDF has them: glyphs, and a map from these for each
    font."""
    objects = dict(re.findall(rb"(\d+) 0 obj\n(.*?)\nendobj", pdf, re.DOTALL))

    def stream(name: bytes, owner: bytes) -> str:
        found = re.search(rb"/%s (\d+)" % name, owner)
        assert found
        body = objects[found[1]].partition(b"stream\n")[2].rpartition(b"\nendstream")[0]
        return zlib.decompress(body).decode("latin-1")

    def letters(font: bytes) -> dict[str, str]:
        cmap = stream(b"ToUnicode", font)
        found = {glyph: chr(int(sign, 16)) for glyph, sign in re.findall(r"^<(\w{4})> <(\w{4})>$", cmap, re.MULTILINE)}
        for first, last, sign in re.findall(r"^<(\w{4})> <(\w{4})> <(\w{4})>$", cmap, re.MULTILINE):
            span = range(int(first, 16), int(last, 16) + 1)
            found |= {f"{each:04X}": chr(int(sign, 16) + each - span[0]) for each in span}
        return found

    for body in objects.values():
        box = re.search(rb"/Type /Page\n.*/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", body, re.DOTALL)
        if not box:
            continue
        fonts = {name.decode(): letters(objects[each]) for name, each in re.findall(rb"/(F\d+) (\d+) 0 R", body)}
        said, font = [], ""
        for name, glyphs in re.findall(r"/(F\d+) [\d.]+ Tf|<(\w+)>", stream(b"Contents", body)):
            font = name or font
            said += [fonts[font].get(glyphs[at : at + 4], "?") for at in range(0, len(glyphs), 4)]
        yield (round(float(box[1])), round(float(box[2]))), "".join(said)


@pytest.mark.parametrize(
    ("width", "head"), [(320, "hidden"), (390, "hidden"), (820, "hidden"), (940, "sticky"), (1280, "sticky")]
)
def test_it_fits(chromium: Callable[..., str], text: str, width: int, head: str) -> None:
    """Nothing sticks out to the side on a phone, a tablet, a desk; words are never small; the head stays in sight."""
    pages = {"/page": text, "/": MEASURE.format(width=width)}
    with serve(lambda path: (200 if path in pages else 404, pages.get(path, "").encode())) as web:
        dom = chromium("--virtual-time-budget=4000", "--dump-dom", f"http://127.0.0.1:{web.port}/")
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert title, dom[:500]
    found = json.loads(title[1].replace("&quot;", '"'))
    assert found["scroll"] <= width
    assert found["wide"] == []
    assert found["head"] == head
    assert found["small"] == 0
    assert found["height"] > 900
    assert {each.path for each in web.asked} <= {"/", "/page", "/favicon.ico"}


OTHERS = "<!doctype html><title>AWS access keys</title><img src='http://elsewhere.example/x.png'>"


@pytest.mark.parametrize("others", [False, True], ids=["our page", "a page with a picture from elsewhere"])
def test_it_asks_nobody(chromium: Callable[..., str], text: str, tmp_path: Path, others: bool) -> None:
    """Whatever it asks for goes through a proxy of ours: nothing but the browser's own chatter with its maker."""
    file = tmp_path / "report.html"
    file.write_text(OTHERS if others else text, encoding="utf-8")
    with serve(lambda path: (502, b"")) as proxy:
        dom = chromium(f"--proxy-server=127.0.0.1:{proxy.port}", "--dump-dom", file.as_uri())
    assert "AWS access keys" in dom
    hosts = {urlsplit(each.path).hostname or each.path.partition(":")[0] for each in proxy.asked}
    asked = {host for host in hosts if not re.search(r"(^|\.)(google|googleapis|gvt1|gstatic)\.com$", host)}
    assert asked == ({"elsewhere.example"} if others else set())


@pytest.mark.parametrize(("scheme", "dark"), [("1", False), ("0", True)], ids=["light", "dark"])
def test_light_and_dark(chromium: Callable[..., str], text: str, tmp_path: Path, scheme: str, dark: bool) -> None:
    """It follows the reader's colours, and something is drawn."""
    file, picture = tmp_path / "report.html", tmp_path / "report.png"
    file.write_text(text, encoding="utf-8")
    chromium(
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--screenshot={picture}",
        "--window-size=390,844",
        file.as_uri(),
    )
    size, corner = _corner(picture.read_bytes())
    assert size == (390, 844)
    assert (sum(corner) < 150) is dark


def _corner(png: bytes) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Width and height of a PNG, and its first pixel (PNG specification: the first byte of a line is its filter)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    return (width, height), tuple(zlib.decompress(data)[1:4])
