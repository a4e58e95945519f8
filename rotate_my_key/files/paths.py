"""Where things live on this computer.

The environment and the platform are handed in; only the password database, the working directory and (on Windows) the
system's known folders are looked at, and no file. On Linux and macOS the answers are platformdirs's own, worked out
here because its import costs more than everything else that `status --cached` may do; a contract test compares the two.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..core.errors import Problem

APP = "rotate-my-key"

# What posixpath.expandvars and ntpath.expandvars take for a variable. Those read the process's environment, so the
# replacing is done here.
_POSIX_VARIABLE = r"\$(?P<name>\w+)|\$\{(?P<braced>[^}]*)\}"
_WINDOWS_VARIABLE = (
    r"'[^']*'?|(?P<twice>%%|\$\$)|%(?P<percent>[^%]+)%|%[^%]*$|\$(?P<name>[-\w]+)|\$\{(?P<braced>[^}]*)\}|\$\{[^}]*$"
)

HomeOf = Callable[[str], str | None]


class Paths(NamedTuple):
    """The files and folders this tool reads and writes, all absolute. `credentials` and `config` are the profile files
    as botocore finds them; "" if their variable is set to nothing, for then botocore reads no such file. The site's
    file counts only if it and the folders from `site_top` down belong to the uid `site_owner` and nobody else can write
    them: `find` leaves these two at root and `/`, tests name others."""

    home: str
    config_file: str
    site_file: str
    state_dir: str
    credentials: str
    config: str
    site_owner: int = 0
    site_top: str = "/"


def password_home(user: str) -> str | None:
    """The home that the password database gives a user ("" is whoever runs this); None if it knows no such user."""
    if sys.platform == "win32":
        return None
    import pwd

    try:
        return (pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())).pw_dir
    except KeyError:
        return None


def find(env: Mapping[str, str], platform: str = sys.platform, home_of: HomeOf = password_home) -> Paths:
    """Work out all paths from an environment. Raises Problem if there is neither a HOME nor an entry in the password
    database, or a relative path was given and the working directory is gone."""
    home = _home(env, platform, home_of)
    config_dir, state_dir = _own_dirs(env, platform, home)

    def tilde(user: str) -> str | None:
        """What `~` or `~user` stands for: here a HOME counts whatever it holds."""
        if user:
            return home_of(user)
        return home if platform == "win32" else env.get("HOME", home)

    return Paths(
        home=home,
        config_file=os.path.join(config_dir, "config.ini"),
        site_file=_site_file(platform),
        state_dir=state_dir,
        credentials=_aws_file(env, platform, tilde, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
        config=_aws_file(env, platform, tilde, "AWS_CONFIG_FILE", "~/.aws/config"),
    )


def _home(env: Mapping[str, str], platform: str, home_of: HomeOf) -> str:
    """The user's home, as platformdirs sees it: a HOME that is empty or relative counts as unset."""
    if platform == "win32":
        home: str | None = _windows_home(env)
    else:
        home = env.get("HOME", "")
        if not os.path.isabs(home):
            home = home_of("")
    if not home or (platform != "win32" and not os.path.isabs(home)):
        raise Problem(
            "cannot tell where your home directory is: HOME is not set and the system knows no home for this user",
            "HOME=/path/to/your/home rotate-my-key",
        )
    return home


def _windows_home(env: Mapping[str, str]) -> str | None:
    """As ntpath.expanduser does: USERPROFILE, else HOMEDRIVE and HOMEPATH. HOME plays no part."""
    if "USERPROFILE" in env:
        return env["USERPROFILE"]
    return env.get("HOMEDRIVE", "") + env["HOMEPATH"] if "HOMEPATH" in env else None


def _own_dirs(env: Mapping[str, str], platform: str, home: str) -> tuple[str, str]:
    """The user's config and state directories, as platformdirs has them (no author's folder)."""
    if platform == "win32":
        import platformdirs

        return platformdirs.user_config_dir(APP, False), platformdirs.user_state_dir(APP, False)
    if platform == "darwin":
        defaults = ("Library/Application Support", "Library/Application Support")
    else:
        defaults = (".config", ".local/state")
    root = home.rstrip("/")
    given = env.get("XDG_CONFIG_HOME", ""), env.get("XDG_STATE_HOME", "")
    config, state = (
        xdg if os.path.isabs(xdg) else f"{root}/{default}" for xdg, default in zip(given, defaults, strict=True)
    )
    return os.path.join(config, APP), os.path.join(state, APP)


def _site_file(platform: str) -> str:
    """The site's settings: a fixed path that no environment variable can move."""
    if platform == "win32":
        return os.path.join(_program_data(), APP, "config.ini")
    if platform == "darwin":
        return f"/Library/Application Support/{APP}/config.ini"
    return f"/etc/{APP}/config.ini"


def _program_data() -> str:
    """Windows' ProgramData from the known folder FOLDERID_ProgramData: %ProgramData% is the user's to change."""
    if sys.platform == "win32":
        import ctypes
        import uuid

        folder = (ctypes.c_ubyte * 16).from_buffer_copy(uuid.UUID("62AB5D82-FDC1-4DC3-A9DD-070D1D495D97").bytes_le)
        found = ctypes.c_wchar_p()
        if ctypes.windll.shell32.SHGetKnownFolderPath(ctypes.byref(folder), 0, None, ctypes.byref(found)) == 0:
            path = found.value
            ctypes.windll.ole32.CoTaskMemFree(found)
            if path:
                return path
    return r"C:\ProgramData"


def _aws_file(env: Mapping[str, str], platform: str, tilde: HomeOf, variable: str, default: str) -> str:
    """A profile file's path as botocore's configloader makes it: variables first, then `~`; "" stays "". botocore opens
    a relative path from the working directory, so that is put before it."""
    text = env.get(variable, default)
    if not text:
        return ""
    path = _expand_user(_expand_variables(text, env, platform), platform, tilde)
    if platform == "win32":
        path = path.replace("/", os.sep)  # the default has slashes, and people are shown it
    if os.path.isabs(path):
        return path
    try:
        return os.path.join(os.getcwd(), path)
    except FileNotFoundError:
        raise Problem(f"{variable} is relative and the working directory is gone", "cd") from None


def _expand_variables(text: str, env: Mapping[str, str], platform: str) -> str:
    """What os.path.expandvars does, from this environment; unknown variables stay as they are."""
    if "$" not in text and "%" not in text:
        return text

    def value(found: re.Match[str]) -> str:
        groups = found.groupdict()
        if groups.get("twice"):
            return groups["twice"][0]
        name = groups["name"] or groups["braced"] or groups.get("percent")
        return env.get(name, found[0]) if name else found[0]

    return re.sub(_WINDOWS_VARIABLE if platform == "win32" else _POSIX_VARIABLE, value, text, flags=re.ASCII)


def _expand_user(path: str, platform: str, tilde: HomeOf) -> str:
    """What os.path.expanduser does; the `~` of a user that the system does not know stays."""
    if not path.startswith("~"):
        return path
    user = re.split(r"[/\\]" if platform == "win32" else "/", path[1:], maxsplit=1)[0]
    home = tilde(user)
    if home is None:
        return path
    return (home.rstrip("/") + path[1 + len(user) :]) or "/"


_INSTALL = dict.fromkeys(("apprise", "jinja2"), "./install.sh --with fleet")


def how_to_get(library: str, prefix: str = sys.prefix) -> str:
    """The command that brings the library to the environment in `prefix`."""
    folders = prefix.replace("\\", "/").lower()
    if "/pipx/" in folders:
        return f"pipx inject rotate-my-key {library}"
    if "/uv/tools/" in folders:
        return f"uv tool install --with {library} rotate-my-key"
    # As install.sh and Homebrew name theirs, and what an archive has: in none of them is pip.
    if re.search(r"/rotate-my-key/venv-[^/]+$|/cellar/|/_internal$", folders):
        return _INSTALL.get(library, "./install.sh")
    return f"{sys.executable} -m pip install {library}"
