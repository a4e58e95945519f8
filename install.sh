#!/bin/sh
# Installs rotate-my-key from this checkout, removes it again, shows its demo, runs its tests.
#
# The rules here: POSIX sh and the tools of a bare Linux or macOS. A new version is built beside the one in use and
# started once; then a link is renamed over the old one. Stopped at any point, what worked before works still.
# What is fetched must match a hash in locks/. Nothing is changed outside the folders that `folders` names.
set -eu
unset CDPATH PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE
# Settings that would make pip or uv put packages elsewhere or skip the locks; mirrors and proxies stay in force.
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_HASHES PIP_CONSTRAINT PIP_NO_DEPS PIP_DRY_RUN PIP_REQUIRE_VIRTUALENV
unset UV_REQUIRE_HASHES UV_NO_VERIFY_HASHES UV_CONSTRAINT UV_OVERRIDE UV_EXCLUDE UV_SYSTEM_PYTHON UV_NO_BUILD_ISOLATION
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_RETRIES="${PIP_RETRIES:-2}" # offline: half a minute less

name=rotate-my-key
src=$(cd -P -- "$(dirname -- "$0")" && pwd)

help() {
    cat <<'END'
Usage: ./install.sh [--prefix DIR] [--wheelhouse DIR] [--with fleet]
       ./install.sh --uninstall [--purge] [--prefix DIR]
       ./install.sh --demo [ARGUMENT...]
       ./install.sh --test [PYTEST-ARGUMENT...]

Installs rotate-my-key for you: a Python environment of its own under
~/.local/share/rotate-my-key and a link in ~/.local/bin: 25 MB to download,
80 MB on disk. Needs Python 3.11 or newer, or uv; takes about 10 seconds with
uv, up to a minute with pip. Run it again to upgrade, or to repair it; settings
and state are kept.

  --prefix DIR      install into DIR/lib/rotate-my-key and DIR/bin; as root with
                    /usr/local, for all users
  --wheelhouse DIR  take the packages from DIR, without a network; to fill it:
                    python3 -m pip download --require-hashes -d DIR \
                      -r locks/runtime.txt
                    and the same with -r locks/export.txt (for export and
                    import; not for every system) and -r locks/fleet.txt
                    (for --with fleet)
  --with fleet      also what IT's fleet commands need, notices to Telegram,
                    Slack, Teams and a hundred more among it; an upgrade
                    keeps it
  --uninstall       remove what was installed, with your reminder and schedule
                    (see rotate-my-key uninstall); settings and state stay
  --purge           with --uninstall: remove settings and state too
  --demo            a whole rotation against a stand-in for AWS, without an
                    account; nothing is installed, but its environment is kept
                    in ~/.local/share for an installation
  --test            make .venv in this checkout and run the tests in it
  --help            this text

PYTHON=/path/to/python3 chooses the Python to use.
END
}

say() { printf '%s\n' "$*"; }

fail() { # MESSAGE [HINT [EXIT-CODE]]
    printf 'install.sh: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    exit "${3:-1}"
}

misused() { fail "$1" './install.sh --help' 2; }

# --- where things are ------------------------------------------------------------------------------------------------

physical() { (cd -P -- "$1" 2>/dev/null && pwd) || printf '%s' "$1"; }

xdg() { # VALUE FALLBACK: an XDG base folder; as its specification has it, a relative one does not count
    case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s' "${HOME:-}/$2" ;;
    esac
}

check_home() {
    remedy='HOME=/home/you ./install.sh, or for all users: --prefix /usr/local'
    case ${HOME:-} in
    '') fail 'HOME is not set, so there is no folder to install into' "$remedy" ;;
    /*) [ -d "$HOME" ] || fail "HOME is not a folder: $HOME" "$remedy" ;;
    *) fail "HOME is not an absolute path: $HOME" "$remedy" ;;
    esac
}

folders() { # sets data, bin, link, cache, config and state; config and state as rotate_my_key/files/paths.py has them
    if [ -z "$prefix" ] || [ "$mode" != install ]; then check_home; fi
    cache=$(xdg "${XDG_CACHE_HOME:-}" .cache)/$name
    case $system in
    Darwin) config='Library/Application Support' state='Library/Application Support' ;;
    *) config=.config state=.local/state ;;
    esac
    config=$(xdg "${XDG_CONFIG_HOME:-}" "$config")/$name
    state=$(xdg "${XDG_STATE_HOME:-}" "$state")/$name
    if [ -n "$prefix" ]; then
        data=$prefix/lib/$name bin=$prefix/bin
    else
        data=$(xdg "${XDG_DATA_HOME:-}" .local/share)/$name bin=$HOME/.local/bin
    fi
    data=$(physical "$data")
    link=$bin/$name
    export PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 # nothing is left behind in the home
}

ours() { # whether the command is a link that this script made
    case $(readlink "$link" 2>/dev/null) in "$data"/venv-*) return 0 ;; esac
    return 1
}

check_link() {
    if [ -e "$link" ] || [ -h "$link" ]; then
        ours || fail "$link is there already, and this script did not make it" \
            "remove it first, for instance with pipx uninstall $name or uv tool uninstall $name"
    fi
}

make_folder() { # FOLDER: and those above it; the new ones are collected in made
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname -- "$1")"
    mkdir "$1" 2>/dev/null || [ -d "$1" ] || fail "cannot make the folder $1" "ls -ld '$(dirname -- "$1")'"
    made="$1
$made"
}

remember_made() { # FOLDER: writes down there what make_folder made, for remove_folder: the newest first
    made=$made$(cat "$1/made-folders" 2>/dev/null) || :
    [ -z "$made" ] || printf '%s\n' "$made" >"$1/made-folders"
    made=
}

remove_folder() { # FOLDER: and those that were not there before it, if nothing else came into them since
    list=$(cat "$1/made-folders" 2>/dev/null) || list=
    rm -rf "$1" || fail "cannot remove $1"
    printf '%s\n' "$list" | while IFS= read -r folder; do
        [ -z "$folder" ] || rmdir "$folder" 2>/dev/null || :
    done
}

# --- Python ----------------------------------------------------------------------------------------------------------

# Prints "ok PATH", "old VERSION", "bare VERSION" (no venv) or "private PATH"; runs on any Python 3.
probe='
import os, stat, sys
version = "%d.%d.%d" % sys.version_info[:3]
base = getattr(sys, "_base_executable", None) or sys.executable
# The name with the version in it goes on to work when the system gets a newer python3.
named = os.path.join(os.path.dirname(base), "python%d.%d" % sys.version_info[:2])
if os.path.realpath(named) == os.path.realpath(base):
    base = named
try:
    import ensurepip, venv
except ImportError:
    venv = None
above = os.path.dirname(os.path.realpath(base))
for_all = True
while above != os.path.dirname(above):
    for_all = for_all and os.stat(above).st_mode & stat.S_IXOTH
    above = os.path.dirname(above)
if sys.version_info < (3, 11):
    print("old " + version)
elif venv is None and sys.prefix == sys.base_prefix:
    print("bare %d.%d" % sys.version_info[:2])
elif "all" in sys.argv and not for_all:
    print("private " + base)
else:
    print("ok " + base)
'

# Runs pip in an environment that has none: from the wheel that came with Python, which saves installing it there.
pip='
import ensurepip, glob, os, runpy, sys, sysconfig
folders = sysconfig.get_config_var("WHEEL_PKG_DIR"), os.path.join(os.path.dirname(ensurepip.__file__), "_bundled")
wheels = [wheel for folder in folders if folder for wheel in glob.glob(os.path.join(folder, "pip-*.whl"))]
if wheels:
    sys.path.insert(0, wheels[0])
else:
    ensurepip.bootstrap()
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
'

find_python() { # sets pythons to those that will do, one a line, and python to the first; to none if uv is to find one
    pythons='' python='' old='' bare='' private='' uv=''
    set -- python3 python3.15 python3.14 python3.13 python3.12 python3.11
    [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
    for candidate in "$@"; do
        case $system:$(command -v "$candidate") in
        Darwin:/usr/bin/python3) xcode-select -p >/dev/null 2>&1 || continue ;; # Apple's stub, which opens a dialog
        esac
        found=$("$candidate" -I -c "$probe" ${prefix:+all} 2>/dev/null </dev/null) || continue
        case $found in
        'ok '*) add_python "${found#ok }" ;;
        'old '*) old=${old:-"; $candidate is ${found#old }"} ;;
        'bare '*) bare=${bare:-${found#bare }} ;;
        'private '*) private=${private:-${found#private }} ;;
        esac
    done
    python=${pythons%%"$newline"*}
    if command -v uv >/dev/null; then uv=uv; fi
    [ -z "$python" ] || return 0
    if [ -n "$uv" ] && [ -z "${PYTHON:-}" ]; then return; fi
    [ -z "$private" ] || unreachable "$private"
    [ -z "$bare" ] || fail "Python $bare is here, but without its modules venv and ensurepip" \
        "on Debian and Ubuntu: sudo apt install python$bare-venv"
    fail "Python 3.11 or newer is needed${old:-, and there is none}" \
        'sudo apt install python3 python3-venv, sudo dnf install python3, brew install python; or install uv'
}

add_python() { # PYTHON: once, whatever names lead to it
    case $newline$pythons in *"$newline$1$newline"*) ;; *) pythons=$pythons$1$newline ;; esac
}

unreachable() { # PYTHON
    fail "other users cannot reach $1" 'name a Python of the system: PYTHON=/usr/bin/python3 ./install.sh --prefix DIR'
}

quietly() { # COMMAND...: shows what it said only if it fails; sets output
    silently "$@" && return
    printf '%s\n' "$output" | tail -n 15 >&2
    return 1
}

silently() { # COMMAND...: sets output
    output=$("$@" 2>&1 </dev/null)
}

during() { # WHAT COMMAND...: runs it; in a terminal says what goes on, and for how many seconds
    what=$1
    shift
    if [ ! -t 2 ]; then
        "$@"
        return
    fi
    count_seconds &
    counting=$!
    code=0
    "$@" || code=$?
    stop_counting
    return $code
}

count_seconds() {
    seconds=0
    while kill -0 $$ 2>/dev/null; do
        printf '\r  %s: %s s' "$what" "$seconds" >&2
        sleep 1
        seconds=$((seconds + 1))
    done
}

stop_counting() {
    [ -n "$counting" ] || return 0
    kill "$counting" 2>/dev/null || :
    wait "$counting" 2>/dev/null || :
    counting=
    printf '\n' >&2
}

make_venv() { # VENV: with pip for the tests alone, which start it
    if [ -n "$python" ] && [ "$mode" = test ]; then
        quietly "$python" -I -m venv --clear "$1"
    elif [ -n "$uv" ]; then
        quietly uv venv --clear --python "${python:->=3.11}" "$1"
    else
        quietly "$python" -I -m venv --clear --without-pip "$1"
    fi || fail 'the Python environment could not be made' 'df -h: is the disk full?'
}

add() { # VENV ARGUMENT...: uv's pip install, or pip's; sets output
    into=$1
    shift
    [ -z "$wheelhouse" ] || set -- --no-index --find-links "$wheelhouse" "$@"
    if [ -n "$uv" ]; then
        silently uv pip install --python "$into/bin/python" --compile-bytecode "$@"
        return
    fi
    if [ -n "$wheelhouse" ]; then set -- --isolated install "$@"; else set -- install "$@"; fi
    silently "$into/bin/python" -I -c "$pip" "$@" --no-compile && compile "$into"
}

compile() { # VENV: on all processors, which pip does not; what no Python 3 can read stays as it is
    for site in "$1"/lib/python3*/site-packages; do
        "$1/bin/python" -I -m compileall -q -j 0 "$site" >/dev/null 2>&1 || :
    done
}

try_locked() { # VENV LOCK...: adds what the locks name; no source package, so that nothing runs while it is installed
    target=$1
    shift
    for lock in "$@"; do
        shift
        set -- "$@" -r "$src/locks/$lock.txt"
    done
    add "$target" --require-hashes --only-binary :all: "$@"
}

fill() { # VENV LOCK...: makes it, with what the locks name and the first Python that has all of it
    until try_filling "$@"; do
        if [ -n "$missing" ] && [ -n "$others" ]; then
            say "note: there is no wheel of $missing for $(version_of "$1"); trying the next Python" >&2
            pythons=$others python=${others%%"$newline"*}
            rm -rf "${1:?}/bin"
        elif [ -n "$uv" ] && [ -n "$python" ] && [ -z "$missing$tampered$closed" ]; then
            say 'note: uv could not download the packages; trying pip' >&2 # whose mirrors and certificates uv may not know
            uv=
        else
            give_up "$1"
        fi
    done
}

try_filling() { # VENV LOCK...: sets missing, tampered, closed and others
    missing='' tampered='' closed='' others=${pythons#*"$newline"} size='25 MB'
    if [ "$mode" = test ]; then
        size='120 MB'
        "$1/bin/python" -I -m pip --version >/dev/null 2>&1 || make_venv "$1"
    else
        make_venv "$1"
        check_reach
        add_program "$1"
    fi
    during "downloading and unpacking $size with ${uv:-pip (uv would be faster)}" try_with_export "$@" && return
    case $output in
    *'DO NOT MATCH THE HASHES'* | *'ash mismatch'*) tampered=yes ;;
    *'ermission denied'* | *'ead-only file system'* | *'o space left'*) closed=yes ;;
    esac
    return 1
}

try_with_export() { # VENV LOCK...: and what seals an export, unless there is no wheel of that here (musl, a wheelhouse)
    if [ "$mode" != test ]; then
        try_locked "$@" export && return
        find_missing
        [ -n "$missing" ] || return
    fi
    try_locked "$@" && return
    find_missing
    if [ -n "$missing" ] && ! was_answered "$1"; then missing=; fi
    return 1
}

version_of() { # VENV
    "$1/bin/python" -I -c 'import sys; print("Python %d.%d on this system" % sys.version_info[:2])'
}

find_missing() { # sets missing to the package that has no wheel for this Python and system; to none if that is not said
    missing='' said=$(printf '%s' "$output" | tr -s '[:space:]' ' ')
    case $said in
    *'No solution found'*) missing=$(printf '%s\n' "$said" | sed -n 's/.*you require \([^ ,]*\).*/\1/p') ;;
    *'No matching distribution found for '*)
        missing=${said##*'No matching distribution found for '}
        missing=${missing%% *}
        ;;
    esac
}

was_answered() { # VENV: whether an index said so, for pip says the same where it reached none
    [ -z "$uv$wheelhouse" ] || return 0
    asked=$1/bin/python
    set -- download --retries 1 --only-binary :all: --no-deps -d "$1" "$missing"
    said=$("$asked" -I -c "$pip" "$@" 2>&1 </dev/null) && return 1
    case $said in *'onnection broken'* | *'ould not fetch URL'*) return 1 ;; esac
}

give_up() { # VENV
    [ -z "$closed" ] || fail "cannot write into $1" "ls -ld '$1', and df -h '$1': is the disk full?"
    case $output in
    *ertificate*) fail 'could not download packages: the certificate of the package index is not trusted' \
        'SSL_CERT_FILE=company.pem PIP_CERT=company.pem ./install.sh' ;;
    *onnect* | *'name resolution'* | *' dns '* | *imeout* | *'timed out'* | *etwork* | *'No matching distribution'*) ;;
    *) [ -n "$missing" ] || printf '%s\n' "$output" | tail -n 15 >&2 ;;
    esac
    [ -z "$tampered" ] || fail 'a package is not the one that the lock file names, so it was not used' \
        'a mirror or a proxy changes packages: ask the people who run it'
    [ -z "$wheelhouse" ] || fail "the packages could not be taken from $wheelhouse${missing:+: there is no $missing}" \
        './install.sh --help tells how to fill it'
    [ -z "$missing" ] || fail "there is no wheel of $missing for $(version_of "$1")" \
        'name another Python, from 3.11 on: PYTHON=python3.13 ./install.sh'
    fail 'could not download packages; check your network or proxy' \
        'set HTTPS_PROXY, or bring them along: ./install.sh --wheelhouse DIR'
}

# --- install ---------------------------------------------------------------------------------------------------------

install() {
    folders
    read_version
    check_link
    check_owner
    find_python
    umask 022
    make_folder "$data"
    make_folder "$bin"
    data=$(physical "$data")
    remember_made "$data"
    before=$(readlink "$link" 2>/dev/null) || before=
    keep_with
    build
    switch
    sweep "$data/venv-"
    report
}

build() { # sets venv to an environment made of this checkout: one that is there and as good as new, or a new one
    wanted=$(fingerprint)
    for venv in "$data/venv-"*; do ! is_whole "$venv" || return 0; done
    [ "$mode" = demo ] || say "installing $name $version into $data"
    new_venv
    fill "$venv" runtime ${with:+"$with"}
    [ -z "$with" ] || printf '%s\n' "$with" >"$venv/with"
    write_launcher
    check_start
    contents "$venv" >"$venv/contents"
    printf '%s\n' "$wanted" >"$venv/built-from"
}

is_whole() { # VENV: whether it was made of what there is now, starts, and holds what it held then
    [ "$(cat "$1/built-from" 2>/dev/null)" = "$wanted" ] && "$1/bin/$name" --version >/dev/null 2>&1 &&
        [ "$(contents "$1")" = "$(cat "$1/contents" 2>/dev/null)" ]
}

contents() { # VENV: changes with each of its files but those that Python makes
    (cd "$1" && find . -type f ! -name '*.pyc' ! -name contents ! -name built-from -exec cksum {} + | LC_ALL=C sort | cksum)
}

fingerprint() { # [LOCK]: changes with the Python and the lock file, or with all that an installation is made of
    if [ -n "${1:-}" ]; then
        printf '%s\n' "${pythons:-uv}" | cat - "$src/locks/$1.txt"
    else
        printf '%s\n' "${pythons:-uv}" "$with"
        find "$src/$package" "$src/locks" "$src/pyproject.toml" -type f ! -name '*.pyc' -exec cksum {} +
    fi | cksum | tr ' ' .
}

read_version() { # sets version
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$src/$package/__init__.py" 2>/dev/null) || version=
    [ -n "$version" ] || fail "this is no checkout of $name: $src"
}

keep_with() { # an upgrade keeps what --with brought
    [ -n "$with" ] || with=$(cat "${before%/bin/*}/with" 2>/dev/null) || with=
    [ "$with" != notify ] || with=fleet # its name before
    [ -f "$src/locks/$with.txt" ] || with=
}

check_owner() { # root's files in somebody's home would be in the way of that person's next upgrade
    if [ -z "$prefix" ] && [ "$(id -u)" = 0 ] && [ -z "$(find -H "$HOME" -prune -user 0)" ]; then
        fail "HOME is another user's: $HOME" 'run it without sudo, or for all users: --prefix /usr/local'
    fi
}

check_reach() { # uv may have brought a Python of its own into root's home
    [ -n "$prefix" ] || return 0
    found=$("$venv/bin/python" -I -c "$probe" all)
    case $found in private*) unreachable "${found#private }" ;; esac
}

new_venv() { # sets venv to a folder that is nobody else's; its name says what is in it and who builds it
    count=1
    until mkdir "$data/venv-$version-$$-$count" 2>/dev/null; do
        [ -e "$data/venv-$version-$$-$count" ] || fail "cannot write into $data" "ls -ld '$data'"
        count=$((count + 1))
    done
    venv=$data/venv-$version-$$-$count
    unfinished=$venv
}

add_program() { # VENV: a copy, as pip would make it, but without building a wheel first
    for site in "$1"/lib/python3*/site-packages; do
        cp -R "$src/$package" "$site/" || fail "cannot write into $site" 'df -h: is the disk full?'
        chmod -R u+w,go-w,a+rX "$site/$package"
        find "$site/$package" -name __pycache__ -prune -exec rm -rf {} +
    done
}

write_launcher() { # isolated (-I): no variable and no folder of the caller's changes what is loaded
    quoted=$(printf '%s' "$venv/bin/python" | sed "s/'/'\\\\''/g")
    cat >"$venv/bin/$name" <<END
#!/bin/sh
python='$quoted'
if [ -x "\$python" ]; then exec "\$python" -I -m $package "\$@"; fi
echo '$name: the Python that it was installed with is gone' >&2
echo 'hint: run install.sh again' >&2
exit 1
END
    chmod 755 "$venv/bin/$name"
}

check_start() {
    quietly "$venv/bin/$name" --version || fail "$name $version does not start${before:+; the version before it stays}"
}

switch() { # atomic: a new link, renamed over the old one
    check_link
    if ! ln -sf "$venv/bin/$name" "$bin/.$name.$$" || ! mv -f "$bin/.$name.$$" "$link"; then
        fail "cannot write into $bin" "ls -ld '$bin'"
    fi
}

report() {
    was=${before#"$data/venv-"}
    was=${was%%-*}
    [ "$was" != "$version" ] || was=
    case $before in
    "$venv"/*) say "$name $version is already up to date" ;;
    *) say "$link is ready${was:+ (it was $was)}" ;;
    esac
    first=$(command -v "$name") || first=
    if [ -z "$first" ]; then
        say "note: $bin is not in your PATH; put this line into your shell's start-up file:"
        say "  export PATH=\"$bin:\$PATH\""
    elif [ "$(readlink "$first")" != "$venv/bin/$name" ]; then
        say "note: your shell finds another one first: $first"
    fi
}

# --- leave nothing behind --------------------------------------------------------------------------------------------

cleanup() { # on every way out; after kill -9 the next run's sweep does it
    stop_counting
    case $(readlink "$link" 2>/dev/null) in "$unfinished"/*) unfinished= ;; esac
    [ -n "$unfinished" ] || return 0
    rm -rf "$unfinished"
    rm -f "$bin/.$name.$$"
    case $mode in install | demo) ;; *) return 0 ;; esac
    for other in "$data"/venv-*; do [ ! -d "$other" ] || return 0; done
    remove_folder "$data"
}

alive() { kill -0 "$1" 2>/dev/null && [ "$1" != $$ ]; }

in_use() { # VENV: whether an installer that still lives builds it, or a process runs from it
    builder=${1%-*}
    alive "${builder##*-}" && return
    case $(ps -A -o args= 2>/dev/null) in *"$1/bin/"*) return 0 ;; esac
    return 1
}

sweep() { # BEGINNING [KEEP]: removes environments of ours that nothing needs
    for old in "$1"*; do
        case $(readlink "$link" 2>/dev/null) in "$old"/*) continue ;; esac
        if [ "$old" != "${2:-}" ] && [ -d "$old" ] && ! in_use "$old"; then rm -rf "$old"; fi
    done
    for old in "$bin/.$name".*; do
        if [ -h "$old" ] && ! alive "${old##*.}"; then rm -f "$old"; fi
    done
}

uninstall() {
    folders
    for note in "$state/rotations/"*.note "$state/rotations/"*.staged; do
        [ ! -e "$note" ] || fail 'a rotation is unfinished, or an old key is still kept' \
            "$name status shows which; $name finishes a rotation, $name delete-key lets a kept key go"
    done
    [ ! -e "$state/keyring.json" ] || fail 'a key is in the keyring, and only this program gives it to your programs' \
        "$name uninstall"
    there=
    for folder in "$data" "$cache"; do [ ! -d "$folder" ] || there=$folder; done
    if ours; then
        remove_starters
        rm -f "$link" || fail "cannot remove $link" "ls -ld '$bin'"
    elif [ -e "$link" ]; then
        say "note: $link stays; this script did not make it"
    fi
    [ "$purge" = no ] || purge
    remove_folder "$cache"
    remove_folder "$data"
    if [ -n "$there" ]; then say "$name is removed"; else say "$name is not installed here"; fi
    if [ -d "$config" ] || [ -d "$state" ]; then say "settings and state stay: $config, $state"; fi
}

remove_starters() { # what would start the program when it is gone
    if ! "$link" --version >/dev/null 2>&1; then
        say "note: $name does not start, so its reminder and its schedule stay, if there are any"
    elif "$link" uninstall --help >/dev/null 2>&1; then
        quietly "$link" uninstall --yes ||
            fail 'the reminder or the schedule could not be removed, so the program stays' "$name uninstall"
    fi
}

purge() {
    rm -rf "$config" "$state" || fail "cannot remove $config and $state"
    rmdir "${config%/*}" "${state%/*}" 2>/dev/null || :
}

# --- demo and tests --------------------------------------------------------------------------------------------------

see_checkout() { # VENV: lets it import and start the program from here, in isolated mode too
    for site in "$1"/lib/python3*/site-packages; do printf '%s\n' "$src" >"$site/checkout.pth"; done
    {
        printf '#!/bin/sh\n'
        printf "'''exec' '%s' \"\$0\" \"\$@\"\n' '''\n" "$1/bin/python"
        printf 'from %s.cli.main import main\n\nmain()\n' "$package"
    } >"$1/bin/$name"
    chmod 755 "$1/bin/$name"
}

demo() { # in the environment that a later ./install.sh takes over
    folders
    read_version
    check_owner
    find_python
    umask 022
    before='' && keep_with
    [ -d "$data" ] || say "preparing the demo (only once)" >&2
    make_folder "$data"
    data=$(physical "$data")
    remember_made "$data"
    build
    unfinished=
    exec "$venv/bin/$name" demo "$@"
}

tests() {
    find_python
    venv=$src/.venv
    if [ ! -x "$venv/bin/python" ] || [ "$(cat "$venv/locked" 2>/dev/null)" != "$(fingerprint dev)" ]; then
        say 'preparing .venv' >&2
        wanted=$(fingerprint dev)
        fill "$venv" dev
        see_checkout "$venv"
        printf '%s\n' "$wanted" >"$venv/locked"
    fi
    cd "$src"
    exec "$venv/bin/python" -m pytest -n auto --dist worksteal -m 'not slow' "$@"
}

# --- the command line ------------------------------------------------------------------------------------------------

package=rotate_my_key mode=install purge=no prefix='' wheelhouse='' with=''
bin='' data='' link='' made='' unfinished='' counting=''
newline='
'
system=$(uname -s)

absolute() { # PATH
    case $1 in /*) printf '%s' "$1" ;; *) printf '%s' "$PWD/$1" ;; esac
}

while [ $# -gt 0 ]; do
    case $1 in
    --uninstall | --demo | --test)
        [ "$mode" = install ] || misused "--$mode and $1 exclude each other"
        mode=${1#--}
        ;;
    --purge) purge=yes ;;
    --prefix | --wheelhouse)
        [ -n "${2:-}" ] || misused "$1 needs a folder"
        case $1 in --prefix) prefix=$(absolute "$2") ;; *) wheelhouse=$(absolute "$2") ;; esac
        shift
        ;;
    --with)
        case ${2:-} in fleet | notify) ;; *) misused '--with needs a name: fleet' ;; esac
        with=fleet
        shift
        ;;
    -h | --help) help && exit ;;
    *)
        case $mode in demo | test) break ;; esac
        misused "unknown argument: $1"
        ;;
    esac
    shift
done

[ "$purge" = no ] || [ "$mode" = uninstall ] || misused '--purge goes with --uninstall'
case $mode in demo | test) [ -z "$prefix" ] || misused "--prefix does not go with --$mode" ;; esac
[ -z "$with" ] || [ "$mode" = install ] || misused "--with does not go with --$mode"
if [ -n "$wheelhouse" ]; then
    [ "$mode" != uninstall ] || misused '--wheelhouse does not go with --uninstall'
    [ -d "$wheelhouse" ] || fail "there is no folder $wheelhouse" './install.sh --help tells how to fill it'
fi
case $system in
MINGW* | MSYS* | CYGWIN*) fail 'this script is for Linux and macOS' 'on Windows: uv tool install .' ;;
esac

trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

case $mode in
install) install ;;
uninstall) uninstall ;;
demo) demo "$@" ;;
test) tests "$@" ;;
esac
