"""The one place that makes the adapters and hands them over."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import Problem
from ..files.lock import Lock
from ..files.private import make_private_dir, sweep_private
from ..files.replace import real_path, sweep
from ..model import Credentials, Holding, InPlace, Place
from ..plan import Note
from ..rotation.engine import Clockwork
from ..rotation.facts import Here
from ..rotation.ports import Places
from ..stores.active import Active, find_active
from ..stores.cache import FileCache
from ..stores.history import FileHistory
from ..stores.notes import FileNotes
from ..stores.reading import ProfileFiles as FilePaths
from ..stores.staging import FileStaging
from .stop import Stop

if TYPE_CHECKING:
    from ..aws.account import IamAccount
    from ..aws.session import Aws
    from .app import App

_LOCK_TIMEOUT = 180.0  # seconds
_ABANDONED = 60.0  # seconds after which a half-written file is nobody's any more


class Wiring:
    """The adapters of one run, each made once and when first needed."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.stop = Stop(app.interject)
        self.clockwork = Clockwork(self.stop.pause, self.stop.check)
        self.files = FilePaths(app.paths.credentials, app.paths.config, app.paths.home)

    # This computer

    @cached_property
    def here(self) -> Here:
        """All that a rotation knows besides AWS."""
        from ..stores.profile_files import ProfileFiles

        paths = self._app.paths
        places = OneAtATime(ProfileFiles(paths.credentials, paths.config))
        return Here(places, FileStaging(self._rotations), FileNotes(self._rotations), self.history)

    @property
    def _rotations(self) -> str:
        return os.path.join(self._app.paths.state_dir, "rotations")

    @property
    def history(self) -> FileHistory:
        """Past rotations."""
        return FileHistory(os.path.join(self._app.paths.state_dir, "history.jsonl"))

    @property
    def cache(self) -> FileCache:
        """What AWS last said of the keys here."""
        paths = self._app.paths
        return FileCache(os.path.join(paths.state_dir, "status.json"), (paths.credentials, paths.config))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """The lock of this user of the computer; waits for up to three minutes. Sweeps what killed runs left."""
        state = self._app.paths.state_dir
        make_private_dir(state)
        waiting: Callable[[], None] = lambda: self._app.say("another run is at work; waiting for it")  # noqa: E731
        with Lock(os.path.join(state, "lock"), _LOCK_TIMEOUT, waiting, self.stop.pause):
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Once a run and before it writes anything: with --all several keys are written side by side."""
        paths = self._app.paths
        sweep_private(self._rotations)
        sweep_private(paths.state_dir, _ABANDONED)  # status.json is written without the lock
        for path in filter(None, (paths.credentials, paths.config)):
            sweep(real_path(path))

    def active(self, profile: str | None, *, mixed: bool = False) -> Active:
        """Which key an SDK uses for that profile."""
        return find_active(self._app.env, profile, self.files, mixed=mixed)

    def warn(self, text: str) -> None:
        """Something that the person should know and that stops nothing."""
        self._app.say(f"{self._app.style('note:', fg='yellow')} {text}")

    def detail(self, text: str) -> None:
        """Talk for -v."""
        self._app.detail(text)

    # AWS

    @cached_property
    def aws(self) -> Aws:
        """All of AWS: one session under every client."""
        from ..aws.session import Aws

        paths = self._app.paths
        return Aws(
            self._app.env,
            version=__version__,
            clock=lambda: datetime.now(UTC),
            sleep=self.stop.pause,
            monotonic=time.monotonic,
            config_file=paths.config,
            credentials_file=paths.credentials,
        )

    def account(self, profile: str | None) -> IamAccount:
        """The user whose key a profile holds, at the region and endpoint that the profile names."""
        from ..aws.account import IamAccount

        settings = self._app.settings
        return IamAccount(
            self.aws,
            profile,
            propagation_timeout=settings.propagation_timeout,
            proof_interval=settings.proof_interval,
        )

    def account_for(self, note: Note) -> IamAccount:
        """The user that a note names, through the first of its profiles that is still there."""
        for place in note.places:
            try:
                return self.account(place.profile)
            except Problem:
                continue
        return self.account(None)

    @property
    def host(self) -> str:
        """This computer's name."""
        return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")

    @property
    def boot(self) -> str:
        """An id of this start of the computer, where the system has one."""
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""


class OneAtATime:
    """Places whose writes exclude each other: with --all several keys of one file change side by side."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock = threading.Lock()
        self.search = places.search
        self.is_torn = places.is_torn

    def rehearse(self, places: Collection[Place], old: Credentials) -> list[str]:
        """See the port."""
        with self._lock:
            return self._places.rehearse(places, old)

    def write(
        self,
        places: Collection[Place],
        old: Credentials,
        new: Credentials,
        note: Callable[[Collection[InPlace]], None],
    ) -> None:
        """See the port."""
        with self._lock:
            self._places.write(places, old, new, note)

    def mend(self, torn: Collection[InPlace], old: Credentials, new: Credentials) -> None:
        """See the port."""
        with self._lock:
            self._places.mend(torn, old, new)


__all__ = ["Holding", "Wiring"]
