"""The keyring of Windows: the Credential Locker (Credential Manager), by `keyring`'s backend for it.

Of that backend only the reading and writing of one named credential is used: its `set_password` moves what was there
aside, to a second credential that would keep an old secret. Entries stay on this computer (they do not roam with a
domain profile, for neither does the file with the line that leads to them).
"""

from __future__ import annotations

from typing import Any

from ..errors import TryLater
from .entries import Name


class CredentialLocker:
    """The `Entries` port over generic credentials, one a name; replaced at once."""

    def __init__(self, backend: Any = None) -> None:
        self._made = backend

    def get(self, name: Name) -> str | None:
        """See the port."""
        found = self._call("_read_credential", name.label)
        if not found:
            return None
        text: str = found.value
        return text

    def set(self, name: Name, text: str) -> None:
        """See the port."""
        self._call("_set_password", name.label, name.user, text)

    def delete(self, name: Name) -> None:
        """See the port."""
        if self._call("_read_credential", name.label):
            self._call("_delete_password", name.label)

    def _call(self, verb: str, *args: str) -> Any:
        if self._made is None:
            self._made = _backend()
        try:
            return getattr(self._made, verb)(*args)
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("win32ctypes", "pywintypes"):
                raise
            number = getattr(error, "winerror", 0)
            # 1312, ERROR_NO_SUCH_LOGON_SESSION: network logons (SSH with a key, WinRM) have no locker
            raise TryLater(
                f"the Credential Locker refuses (Windows error {number})", "log in at the desktop, then try again"
            ) from None


def _backend() -> Any:
    from keyring.backends.Windows import WinVaultKeyring

    class Local(WinVaultKeyring):
        """The same without what KEYRING_PROPERTY_* would set."""

        def set_properties_from_env(self) -> None:
            """Nothing: the environment has no say in where a secret goes."""

    backend: Any = Local()  # type: ignore[no-untyped-call]
    backend.persist = "local machine"
    return backend
