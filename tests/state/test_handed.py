"""The marks of keys that were handed over."""

from pathlib import Path

import pytest

from rotate_my_key.state.history import HandedKeys, Mark

KEY = "AKIAIOSFODNN7EXAMPLE"
WHAT = Mark("AKIAIOSFODNN7EXAMPL2", "secretsmanager:x", "work")


def test_what_was_agreed_to_is_kept(tmp_path: Path) -> None:
    """Until it is cleared; a second mark takes the place of the first."""
    handed = HandedKeys(str(tmp_path / "handed"))
    assert handed.ids() == ()
    handed.mark(KEY)
    assert handed.read(KEY) == Mark()
    handed.mark(KEY, WHAT)
    assert (handed.ids(), handed.read(KEY)) == ((KEY,), WHAT)
    handed.clear(KEY)
    assert (handed.ids(), handed.read(KEY)) == ((), Mark())


BAD = [b"", b"{", b"[]", b"{}", b'{"replaces": 1, "delivery": "", "signer": ""}', b"[" * 100_000]
BAD += [b'{"replaces": "../x", "delivery": "", "signer": ""}']


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:12].decode() or "empty")
def test_a_mark_that_makes_no_sense_agrees_to_nothing_more(tmp_path: Path, text: bytes) -> None:
    """Older versions wrote empty files: the key is replaced all the same."""
    handed = HandedKeys(str(tmp_path))
    (tmp_path / KEY).write_bytes(text)
    assert (handed.ids(), handed.read(KEY)) == ((KEY,), Mark())
