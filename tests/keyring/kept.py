"""Backends of keyring for the tests: one that keeps every promise without a desktop, and some that break one each.

They keep what they are given in the file that `KEPT_IN` names.
"""

import base64
import getpass
import json
import os
import time
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


def _sealed(data: bytes) -> bytes:
    """Enough of a cipher for tests: every byte is another one."""
    return bytes(byte ^ 0xA7 for byte in data)


class Sealed(KeyringBackend):
    """A sealed file: what a server without a desktop may have."""

    priority = 1  # type: ignore[assignment]

    def get_password(self, service: str, username: str) -> str | None:
        """See keyring."""
        return self.load().get(self.key(service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """See keyring."""
        self.save(self.load() | {self.key(service, username): password})

    def delete_password(self, service: str, username: str) -> None:
        """See keyring."""
        kept = self.load()
        if kept.pop(self.key(service, username), None) is None:
            raise PasswordDeleteError
        self.save(kept)

    def key(self, service: str, username: str) -> str:
        """What tells entries apart."""
        return f"{service}\n{username}"

    def load(self) -> dict[str, str]:
        """All entries."""
        try:
            found: dict[str, str] = json.loads(self.open(Path(os.environ["KEPT_IN"]).read_bytes()))
        except FileNotFoundError:
            return {}
        return found

    def save(self, kept: dict[str, str]) -> None:
        """All entries, at once and durably."""
        path = os.environ["KEPT_IN"]
        with open(f"{path}.tmp", "wb") as file:
            file.write(self.seal(json.dumps(kept).encode()))
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.tmp", path)
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def seal(self, data: bytes) -> bytes:
        """Not to be read without `open`."""
        return _sealed(data)

    def open(self, data: bytes) -> bytes:
        """The reverse."""
        return _sealed(data)


class Bare(Sealed):
    """Plain text, as it is."""

    def seal(self, data: bytes) -> bytes:
        """Nothing."""
        return data

    open = seal


class Encoded(Sealed):
    """Plain text in base64, each entry by itself, on lines of 76 signs."""

    def load(self) -> dict[str, str]:
        """All entries."""
        file = Path(os.environ["KEPT_IN"])
        parts = [part.split(":") for part in (file.read_text() if file.exists() else "").split(";") if part]
        return {bytes.fromhex(key).decode(): base64.decodebytes(text.encode()).decode() for key, text in parts}

    def save(self, kept: dict[str, str]) -> None:
        """All entries."""
        lines = {key.encode().hex(): base64.encodebytes(text.encode()).decode() for key, text in kept.items()}
        Path(os.environ["KEPT_IN"]).write_text("".join(f"{key}:{text};" for key, text in lines.items()))


class Memory(Sealed):
    """Gone with the process."""

    kept: dict[str, str] = {}  # noqa: RUF012

    def load(self) -> dict[str, str]:
        """All entries."""
        return dict(self.kept)

    def save(self, kept: dict[str, str]) -> None:
        """All entries."""
        Memory.kept = kept


class OneForAll(Sealed):
    """One entry for a service, whoever the user is."""

    def key(self, service: str, username: str) -> str:
        """The service alone."""
        return service


class Shortens(Sealed):
    """Keeps not all of it."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """All but the last sign."""
        super().set_password(service, username, password[:-1])


class Keeps(Sealed):
    """Never lets go."""

    def delete_password(self, service: str, username: str) -> None:
        """As backends that cannot delete do."""
        raise PasswordDeleteError("this backend cannot delete")


class Asks(Sealed):
    """Asks for its password on a terminal, as keyrings.cryptfile does."""

    def load(self) -> dict[str, str]:
        """All entries, after the password."""
        getpass.getpass("Password for the keyring: ")
        return super().load()


class Reads(Sealed):
    """Reads its password from stdin."""

    def load(self) -> dict[str, str]:
        """All entries, after the password."""
        input("Password for the keyring: ")
        return super().load()


class Silent(Sealed):
    """Never answers."""

    def get_password(self, service: str, username: str) -> str | None:
        """Wait for a click that nobody makes."""
        time.sleep(10_000)
        return None

    set_password = delete_password = get_password  # type: ignore[assignment]


class Talks(Sealed):
    """Quotes what it was given in what it raises."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Fail, loudly."""
        raise OSError(f"cannot write {password}")


class Refuses(Sealed):
    """Says no in a sentence of its own, as KWallet does where a library is missing."""

    def get_password(self, service: str, username: str) -> str | None:
        """Refuse by an error message of D-Bus."""
        from jeepney import DBusAddress, DBusErrorResponse, new_error, new_method_call

        call = new_method_call(DBusAddress("/", "org.kde.kwalletd5", "org.freedesktop.Secret.Service"), "OpenSession")
        call.header.serial = 1
        no = "org.freedesktop.DBus.Error.InvalidArgs", "s", ("createDLGroup failed: maybe libqca-ossl is missing",)
        raise DBusErrorResponse(new_error(call, *no))


class NoBackend:
    """A class that is no backend."""
