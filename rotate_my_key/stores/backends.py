"""Which keyring this system has. The platform decides, never the environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from .entries import Entries


def system_entries(env: Mapping[str, str], platform: str = sys.platform) -> Entries:
    """This system's keyring: a named one, found without a search. Nothing is opened yet."""
    if platform == "win32":
        from .credential_locker import CredentialLocker

        return CredentialLocker()
    if platform == "darwin":
        from .keychain import Keychain

        return Keychain()
    from .secret_service import SecretService

    return SecretService(env)
