"""The desk of tests/cli, at a company where IAM wants MFA."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Desk, desk, empty, make_key, old
from tests.standin.sessions import Device

__all__ = ["desk", "empty", "make_key", "old"]


@pytest.fixture
def device(desk: Desk) -> Device:
    """Alice's authenticator app; IAM is denied to her without it, ListAccessKeys too."""
    desk.aws.demand_mfa()
    return desk.aws.add_mfa("alice")
