"""A desk whose user's keys IT has recalled."""

from __future__ import annotations

from tests.cli.conftest import desk, empty, make_key, old

__all__ = ["desk", "empty", "make_key", "old"]
