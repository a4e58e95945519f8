"""A real systemd of one's own: it takes the units, starts the program, tries again after 75, and forgets everything."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Desk
from tests.schedule.conftest import Box

# Whatever is started ends with the script.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
ROOT = str(Path(__file__).resolve().parents[2])
# /run is hidden under an empty one, so that neither the system's systemd nor anybody's bus is seen.
SCRIPT = r"""
(sleep 60; kill -9 1) &
mount -t tmpfs tmpfs /run 2>/dev/null || exit 99
mkdir -p /run/systemd/system /run/user/0 && chmod 700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/0/bus
dbus-daemon --session --address="$DBUS_SESSION_BUS_ADDRESS" --fork --nopidfile
/lib/systemd/systemd --user >"$1/systemd.log" 2>&1 &
for _ in $(seq 50); do systemctl --user show --property=Version >/dev/null 2>&1 && break; sleep 0.1; done
systemctl --user show --property=Version >/dev/null 2>&1 || exit 99
"""


@pytest.fixture
def manager(desk: Desk, tmp_path: Path) -> Box:
    """Runs bash scripts beside a real user manager, in which `tool` is an installed rotate-my-key."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "systemctl", "dbus-daemon"))):
        pytest.skip("NOT RUN: needs root, unshare, systemd and dbus-daemon (apt-get install systemd dbus)")
    box = Box(tmp_path / "a 100%s$x 'b")  # what must come through unit files whole
    venv = box.folder / "lib/venv"
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", str(venv)], check=True)
    for site in venv.glob("lib/python3*/site-packages"):
        (site / "all.pth").write_text("\n".join([ROOT, *(path for path in sys.path if path.endswith("-packages"))]))
    launcher = venv / "bin/rotate-my-key"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(str(venv))}/bin/python -I -m rotate_my_key "$@"\n')
    launcher.chmod(0o755)
    (box.folder / "rotate-my-key").symlink_to(launcher)
    return box


def beside(desk: Desk, box: Box, script: str, **env: str) -> str:
    """What the script says; PATH is the box and the system's."""
    done = subprocess.run(
        [*ALONE, "/bin/bash", "-c", f"{SCRIPT}\n{script}", "-", str(box.folder)],
        env={**desk.environment(env), "PATH": f"{box.folder}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode == 99 or "unshare failed" in done.stdout:
        pytest.skip("NOT RUN: no namespace and no systemd of its own may be started here")
    return done.stdout


@pytest.mark.slow
def test_it_rotates_and_goes_without_a_trace(desk: Desk, manager: Box) -> None:
    """The service, started by hand, rotates the key; after uninstalling neither a unit nor a file of it is left."""
    old = desk.held()
    said = beside(
        desk,
        manager,
        r"""
tool=$(type -p rotate-my-key)
find "$HOME" | sort >"$1/before"
"$tool" schedule install --yes || exit
"$tool" schedule show
systemctl --user start rotate-my-key.service
while systemctl --user is-active -q rotate-my-key.service; do sleep 0.2; done
systemctl --user show -p Result -p ExecMainStatus rotate-my-key.service
"$tool" schedule show
"$tool" schedule uninstall
systemctl --user list-unit-files | grep rotate-my-key
find "$HOME" | sort | comm -13 "$1/before" - | grep -Ev '/\.local(/state.*)?$'
echo done
""",
    )
    assert "next run: " in said
    assert "trouble" not in said
    assert "Result=success\nExecMainStatus=0" in said
    assert "1 replaced" in said
    assert said.endswith("Your keys are no longer rotated automatically.\ndone\n")
    assert desk.held() != old
    assert desk.ids() == {old: "Active", desk.held(): "Active"}  # it goes on working for a day


@pytest.mark.slow
def test_offline_is_tried_again_and_is_no_failure(desk: Desk, manager: Box) -> None:
    """After 75 the unit has not failed and waits for its next try; uninstalling ends the waiting."""
    said = beside(
        desk,
        manager,
        r"""
rotate-my-key schedule install --yes
systemctl --user start rotate-my-key.service
waits() { systemctl --user show -p SubState rotate-my-key.service | grep -q auto-restart; }
for _ in $(seq 150); do waits && break; sleep 0.2; done
systemctl --user show -p Result -p NRestarts rotate-my-key.service
systemctl --user --failed
rotate-my-key schedule show
rotate-my-key schedule uninstall
systemctl --user show -p ActiveState rotate-my-key.service
echo done
""",
        AWS_ENDPOINT_URL="http://127.0.0.1:1",
    )
    assert "Result=success" in said
    assert "0 loaded units listed" in said
    assert "trying again later" in said
    assert said.endswith("Your keys are no longer rotated automatically.\nActiveState=inactive\ndone\n")
