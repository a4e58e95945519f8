"""Where keys hide in a home, by name: the few files that `rotate` reads, what `scan` reads without a PATH, what neither
enters. Pure but for one listing of a folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache

# Relative to the home; read before each rotation. None of them in Desktop, Documents or Downloads.
_STORAGE = """
.s3cfg .boto .s3ql/authinfo2 .passwd-s3fs .config/rclone/rclone.conf .rclone.conf .mc/config.json .mcli/config.json
.cyberduckrc .config/filezilla/sitemanager.xml .filezilla/sitemanager.xml .dvc/config .config/dvc/config .restic-env
.config/restic/env .config/borgmatic/config.yaml .duplicacy/preferences .fog .mlflow/credentials .dbt/profiles.yml
"""
_SHELLS = """
.profile .bash_profile .bash_login .bash_aliases .bashrc .zshenv .zprofile .zshrc .zlogin .kshrc .cshrc .tcshrc .login
.config/fish/config.fish .config/fish/fish_variables .config/powershell/profile.ps1 .config/nushell/env.nu
.config/nushell/config.nu .xonshrc .xprofile .pam_environment .ssh/environment .tmux.conf
"""
_TOOLS = """
.netrc _netrc .gitconfig .git-credentials .npmrc .yarnrc.yml .pypirc .docker/config.json .kube/config .terraformrc
.terraform.d/credentials.tfrc.json terraform.tfvars .serverlessrc .serverless/config.json .chalice/config.json
.m2/settings.xml .gradle/gradle.properties .sbt/.credentials .ivy2/.credentials .pulumi/credentials.json .actrc
.config/act/actrc .config/gh/hosts.yml .config/Code/User/settings.json .config/VSCodium/User/settings.json
.jupyter/jupyter_notebook_config.py .curlrc .wgetrc
"""
_HISTORIES = """
.bash_history .zsh_history .zhistory .histfile .history .sh_history .ksh_history .local/share/fish/fish_history
.local/share/powershell/PSReadLine/ConsoleHost_history.txt .config/nushell/history.txt .python_history
.node_repl_history .psql_history .mysql_history .sqlite_history .irb_history .rediscli_history .lesshst .viminfo
"""
_WELL_KNOWN = tuple("".join((_STORAGE, _SHELLS, _TOOLS, _HISTORIES)).split())
_FOLDERS = (".aws", ".config/environment.d", ".bashrc.d", ".zshrc.d", ".config/fish/conf.d", ".oh-my-zsh/custom")

# Names of files that hold settings, anywhere in a home. Compiled when first needed: a rotation does not need it.
_TELLING = (
    r"\.?env(rc)?([.-].*)?|.*\.env(rc)?",
    r".*\.(tfvars(\.json)?|tfstate(\..*)?|ipynb|https?|rest|s3cfg|boto|kubeconfig|properties|run\.xml)",
    r"(docker-)?compose.*\.ya?ml|serverless.*\.(ya?ml|json|ts|js)|samconfig.*|values.*\.ya?ml|kubeconfig.*",
    r".*secrets?.*\.(ya?ml|json|toml|ini|txt)|application.*\.ya?ml|(appsettings|local\.settings).*\.json",
    r"(settings|config).*\.(py|json|jsx?|ts|ya?ml|toml|ini|php|rb|xml)|wp-config\.php|.*\.(cfg|conf)",
    r".*credentials.*|.*accesskeys.*\.csv|rootkey\.csv|\.?(npmrc|netrc|pypirc|dockercfg)|_netrc",
    r"dockerfile.*|makefile|justfile|jenkinsfile|vagrantfile|procfile|workspace\.xml|(launch|tasks)\.json",
    r"\.gitlab-ci\.yml|\.travis\.yml|bitbucket-pipelines\.yml|.*\.postman_.*\.json|insomnia.*\.(json|ya?ml)",
    r".*\.(sh|bash|zsh|fish|ps1|bat|cmd|plist|service)|.*history.*|.*\.(bak|backup|old|orig|save)|.*~",
)

# Never entered: what cannot hold a copy that anybody wrote, or is made anew from what does.
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", ".snapshots", ".Trash", "lost+found"})
# Of a git folder: what is packed is history, and packed bytes show no key.
GIT_STORES = frozenset({"objects", "lfs", "modules"})
# Without a PATH not entered either: caches and what programs install, large and rarely written by hand.
_LEFT_OUT = frozenset(
    {".cache", ".npm", ".cargo", ".rustup", ".gem", ".nuget", ".nvm", ".pyenv", ".local", "Library", "AppData"}
    | {"site-packages", "dist-packages", ".venv", "venv", ".tox", ".terraform", ".git", "snap", ".steam", "go"}
)


def well_known(home: str, unreadable: list[str]) -> Iterator[str]:
    """The files that `rotate` reads before its question, there or not; folders that cannot be listed go to
    `unreadable`."""
    for name in _WELL_KNOWN:
        yield os.path.join(home, *name.split("/"))
    yield from filter(_is_environment, _files_of(home, unreadable))
    for folder in _FOLDERS:
        yield from _files_of(os.path.join(home, *folder.split("/")), unreadable)


def _files_of(folder: str, unreadable: list[str]) -> Iterator[str]:
    try:
        for entry in os.scandir(folder):
            if not entry.is_dir(follow_symlinks=False):
                yield entry.path
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:
        unreadable.append(folder)


def _is_environment(path: str) -> bool:
    name = os.path.basename(path).lower()
    return name.startswith((".env", "env.")) or name.endswith((".env", ".envrc"))


def is_telling(name: str) -> bool:
    """Whether a file of this name is read without being named, wherever in the home it is."""
    return _telling().fullmatch(name) is not None


@cache
def _telling() -> re.Pattern[str]:
    return re.compile("|".join(_TELLING), re.IGNORECASE)


def is_left_out(name: str) -> bool:
    """Whether a folder of this name is entered only if it is named, or below a PATH."""
    return name in _LEFT_OUT
