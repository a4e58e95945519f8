"""The keyring of macOS: the login keychain, by `keyring`'s backend for it.

It replaces an entry by removing it first, which `keyring_store.py` knows to survive. The system itself asks the person
where it wants to, and says so by an error where nobody can be asked (over SSH).
"""

from __future__ import annotations

import warnings
from typing import Any

from ..errors import TryLater
from .entries import Name


class Keychain:
    """The `Entries` port over generic passwords of the login keychain."""

    def __init__(self, backend: Any = None) -> None:
        self._backend = backend

    def get(self, name: Name) -> str | None:
        """See the port."""
        text: str | None = self._call("get_password", name)
        return text

    def set(self, name: Name, text: str) -> None:
        """See the port."""
        self._call("set_password", name, text)

    def delete(self, name: Name) -> None:
        """See the port."""
        from keyring.errors import PasswordDeleteError

        try:
            self._call("delete_password", name)
        except PasswordDeleteError:  # of an entry that is not there, and of one that the person keeps
            if self.get(name) is not None:
                raise TryLater("the keychain keeps the entry", "security unlock-keychain, then try again") from None

    def _call(self, verb: str, name: Name, *text: str) -> Any:
        from keyring.errors import KeyringError, KeyringLocked, PasswordDeleteError

        if self._backend is None:
            self._backend = _backend()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of KEYCHAIN_PATH, which is ignored
                return getattr(self._backend, verb)(name.service, name.user, *text)
        except PasswordDeleteError:
            raise
        except KeyringLocked:
            raise TryLater("the keychain is locked", "security unlock-keychain, then try again") from None
        except KeyringError:
            raise TryLater(
                "the keychain refuses", "security unlock-keychain, then try again (over SSH it must be unlocked first)"
            ) from None


def _backend() -> Any:
    from keyring.backends.macOS import Keyring

    class Plain(Keyring):
        """The same without what KEYRING_PROPERTY_* would set."""

        def set_properties_from_env(self) -> None:
            """Nothing: the environment has no say in where a secret goes."""

    return Plain()  # type: ignore[no-untyped-call]
