"""A person at a desk whose rights at AWS are just what a policy gives."""

from tests.cli.conftest import desk, empty, make_key, old
from tests.policies.company import company, hook

__all__ = ["company", "desk", "empty", "hook", "make_key", "old"]
