"""Where keys hide: the files in which programs are known to keep them (`known.txt`), and what the names of others tell.

Whoever reads them without being told where (`rotate`, `scan` without a PATH) reads these, and nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache

# Names of files that hold settings, anywhere in a home. Compiled when first needed: a rotation does not need it.
_TELLING = (
    r"\.?env(rc)?([.-].*)?|.*\.env(rc)?|\.\w*rc|\.r(environ|profile)|\.secrets?|\.vars|conf(ig)?(\.local)?",
    r".*\.(tf|tfvars(\.json)?|tfstate(\..*)?|hcl|tfbackend|ipynb|https?|rest|s3cfg|boto|kubeconfig|properties)",
    r"(docker-)?compose.*\.ya?ml|serverless.*\.(ya?ml|json|ts|js)|samconfig.*|values.*\.ya?ml|kubeconfig.*",
    r".*secrets?.*\.(ya?ml|json|toml|ini|txt)|application.*\.ya?ml|(appsettings|local\.settings).*\.json|.*\.run\.xml",
    r".*(settings|config).*\.(py|jsonc?|jsx?|ts|ya?ml|toml|ini|php|rb|xml)|wp-config\.php|.*\.(cfg|conf)",
    r".*credentials?.*|.*accesskeys.*\.csv|rootkey\.csv|\.?(npmrc|netrc|pypirc|dockercfg)|_netrc",
    r"dockerfile.*|makefile|justfile|jenkinsfile|vagrantfile|procfile|workspace\.xml|(launch|tasks)\.json",
    r"\.gitlab-ci\.yml|\.travis\.yml|bitbucket-pipelines\.yml|.*\.postman_.*\.json|insomnia.*\.(json|ya?ml)",
    r".*\.(sh|bash|zsh|fish|ps1|bat|cmd|plist|service)|.*history.*|.*\.(bak|backup|old|orig|save)|.*~",
    r".*mcp.*\.(json|ya?ml|toml)|devcontainer\.json",
)
# Folders of which every file may hold one: of run configurations, dev containers, EB and dotfile managers.
TELLING_FOLDERS = frozenset(
    {"runConfigurations", ".devcontainer", ".elasticbeanstalk", "dotfiles", ".dotfiles", "stow"}
)

# Never entered: what cannot hold a copy that anybody wrote, or is made anew from what does.
_NO_SETTINGS = frozenset({"node_modules", "__pycache__", ".snapshots", ".Trash", "lost+found"})
# Of a git folder: what is packed is history, and packed bytes show no key.
_GIT_STORES = frozenset({"objects", "lfs", "modules"})
_GIT = (".git", f"{os.sep}.dotfiles", f"{os.sep}.cfg")
# Without a PATH not entered either: caches and what programs install, large and rarely written by hand.
LEFT_OUT = frozenset(
    {".cache", ".npm", ".cargo", ".rustup", ".gem", ".nuget", ".nvm", ".pyenv", ".local", "Library", "AppData"}
    | {"site-packages", "dist-packages", ".venv", "venv", ".tox", ".terraform", ".git", "snap", ".steam", "go"}
)


def is_pointless(folder: str, name: str) -> bool:
    """Whether a folder in that one is never entered."""
    return name in _NO_SETTINGS or (name in _GIT_STORES and folder.endswith(_GIT))


@cache
def _known() -> tuple[list[str], ...]:
    """The paths of `known.txt`, in parts."""
    with open(os.path.join(os.path.dirname(__file__), "known.txt"), encoding="ascii") as file:
        lines = [line.partition("  ")[0].rstrip() for line in file]
    return tuple(line.split("/") for line in lines if line and line[0] != "#")


def well_known(home: str, unreadable: list[str], root: str = os.sep) -> Iterator[str]:
    """The files that `rotate` reads before its question, there or not; folders that cannot be listed go to
    `unreadable`. Snaps have homes of their own in this one, and flatpaks folders for settings and data."""
    try:
        known = _known()
    except OSError:  # too many open files, a failing disk: then nobody knows what is in the home
        unreadable.append(home)
        return
    for parts in known:
        yield from _below(home if parts[0] else root, parts, unreadable)
    snaps = [os.path.join(path, which) for path in _folders(home, "snap") for which in ("current", "common")]
    for snap in filter(os.path.isdir, snaps):
        for parts in known:
            if parts[0] and parts[-1] != "**":
                yield from _below(snap, parts, unreadable)
    for flatpak in _folders(home, ".var", "app"):
        for parts in known:
            if parts[0] == ".config":
                yield from _below(flatpak, ["config", *parts[1:]], unreadable)
            elif parts[:2] == [".local", "share"]:
                yield from _below(flatpak, ["data", *parts[2:]], unreadable)


def _folders(*above: str) -> list[str]:
    """The folders in a folder, none if it cannot be listed."""
    with suppress(OSError), os.scandir(os.path.join(*above)) as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def _below(folder: str, parts: Sequence[str], unreadable: list[str]) -> Iterator[str]:
    """The files that fit the parts of a path; one without a star there or not."""
    star = next((at for at, part in enumerate(parts) if "*" in part), len(parts))
    folder = os.path.join(folder, *parts[:star])
    if star == len(parts):
        yield folder
        return
    part, rest = parts[star], parts[star + 1 :]
    for entry in _entries(folder, unreadable):
        is_folder = _is_folder(entry, follow=bool(rest))  # dotfile managers link whole folders of settings
        if part == "**":
            if is_folder and entry.name != ".git" and not is_pointless(folder, entry.name):
                yield from _below(entry.path, parts[star:], unreadable)
            elif not is_folder:
                yield entry.path
        elif is_folder == bool(rest) and fnmatchcase(entry.name.lower(), part.lower()):
            yield from _below(entry.path, rest, unreadable)


def _is_folder(entry: os.DirEntry[str], *, follow: bool) -> bool:
    with suppress(OSError):  # links that lead round in circles
        return entry.is_dir(follow_symlinks=follow)
    return False


def _entries(folder: str, unreadable: list[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        if folder not in unreadable:
            unreadable.append(folder)
        return []


@cache
def telling_names() -> re.Pattern[str]:
    """What the name of a file that is worth reading fits, anywhere in a home."""
    return re.compile("|".join(_TELLING), re.IGNORECASE)
