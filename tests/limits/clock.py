"""A clock that is wrong for one process: a library, loaded before the C library, that moves the time of day."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

COMPILER = shutil.which("cc") or shutil.which("gcc")

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    static long asked;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    const char *jump = getenv("CLOCK_JUMP"), *after = getenv("CLOCK_AFTER");
    if (id != CLOCK_REALTIME || !jump || !after) return result;
    if (*after == '/' ? access(after, F_OK) == 0 : asked++ >= atol(after)) now->tv_sec += atol(jump);
    return result;
}
"""


@cache
def library() -> str:
    """Its path. With CLOCK_JUMP (seconds) in the environment the time has jumped once CLOCK_AFTER asked for it, or once
    there is a file of that name."""
    folder = Path(tempfile.mkdtemp(prefix="clock"))
    (folder / "clock.c").write_text(_SOURCE)
    command = [str(COMPILER), "-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return str(folder / "clock.so")
