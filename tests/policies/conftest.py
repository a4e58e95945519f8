"""A person at a desk whose rights at AWS are just what a policy gives."""

from tests.cli.conftest import desk, empty, make_key, old

__all__ = ["desk", "empty", "make_key", "old"]
