"""A desk for what IT runs."""

from tests.cli.conftest import desk, empty, make_key, old

__all__ = ["desk", "empty", "make_key", "old"]
