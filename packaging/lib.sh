# Functions that demo.sh and test.sh share. Sourced, not run; the caller has set -euo pipefail.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
started_s=$SECONDS
scratch=$(mktemp -d "${TMPDIR:-/tmp}/fanwire.XXXXXX")
logs=$root/build/logs
groups_started=()  # process groups that have to be gone when the script is
failed_log=""      # of the step that failed last

# ---- Saying what goes on ---------------------------------------------------------------------------------

# One line with the seconds since the start.
log() { printf '[%4ds] %s\n' $((SECONDS - started_s)) "$*"; }

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# The last line of a log, without terminal colours and short enough for one line.
last_line() { tail -n 1 "$1" 2>/dev/null | tr -d '\r' | sed 's/\x1b\[[0-9;]*m//g' | cut -c 1-110; }

# ---- Processes -------------------------------------------------------------------------------------------

# Runs a command in the background as a process group of its own, so that all it starts can be ended with it.
# Sets `group` to its id.
start_group() {
    set -m
    "$@" &
    group=$!
    set +m
    groups_started+=("$group")
}

end_group() {
    kill -TERM -- "-$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# However the script ends, nothing of it is left behind.
clean_up() {
    local code=$? one
    trap - EXIT INT TERM
    for one in "${groups_started[@]}"; do end_group "$one"; done
    rm -rf "$scratch"
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# step TITLE COMMAND...: runs a command with its output in build/logs, and says every ten seconds how far it is.
# Returns the command's exit code; when that is not 0, shows the last `tail_lines` (60) lines of the log.
step() {
    local title=$1 from=$SECONDS code pipe fifo
    shift
    step_log=$logs/$(printf '%s' "$title" | tr -cs '[:alnum:]\n' '-').log
    mkdir -p "$logs"
    fifo=$scratch/step
    mkfifo "$fifo"
    exec {pipe}<>"$fifo"
    rm "$fifo"
    log "$title ..."
    # shellcheck disable=SC2317
    run_step() { code=0; "$@" >"$step_log" 2>&1 </dev/null || code=$?; echo "$code" >&"$pipe"; }
    start_group run_step "$@"
    until read -r -t 10 -u "$pipe" code; do
        kill -0 "$group" 2>/dev/null || { code=1; break; }
        log "  $(last_line "$step_log")"
    done
    wait "$group" 2>/dev/null || true
    unset "groups_started[-1]"
    exec {pipe}>&-
    if [ "$code" -ne 0 ]; then
        failed_log=$step_log
        log "$title: failed with exit code $code; the log is $step_log"
        tail -n "${tail_lines:-60}" "$step_log" | sed 's/^/    | /'
        return "$code"
    fi
    log "$title: done in $((SECONDS - from)) s"
}

# ---- What has to be installed ----------------------------------------------------------------------------

missing_packages=()

# need PACKAGE PROBE...: the Debian package is missing unless the probe succeeds.
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing_packages+=("$package")
}

have_file() { compgen -G "$1"; }

# Whether an interpreter can make virtual environments and compile extensions.
python_usable() {
    "$1" -c 'import ensurepip, os, sysconfig, venv
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))'
}

need_build_tools() {
    need cmake command -v cmake
    need ninja-build command -v ninja
    need g++ command -v g++
    need pkg-config command -v pkg-config
    need libhiredis-dev pkg-config --exists hiredis
    need libevent-dev pkg-config --exists libevent_core
    need libssl-dev pkg-config --exists 'libssl >= 3'
    need redis-server command -v redis-server
    need redis-tools command -v redis-cli
}

need_languages() {
    need python3-venv python_usable python3
    need python3-dev python_usable python3
    need_node
}

need_node() {
    need make command -v make # npm's build of the addon uses it
    need nodejs command -v node
    need npm command -v npm
}

# What drives a page, and the font of its screenshots.
need_browser() {
    need chromium command -v chromium
    need fonts-inter-variable have_file '/usr/share/fonts/truetype/inter-vf/Inter*'
}

# Installs what need() found missing, by apt, as root or with sudo.
install_missing() {
    local sudo=()
    if [ ${#missing_packages[@]} -eq 0 ]; then
        log "everything needed is installed"
        return
    fi
    command -v apt-get >/dev/null || die "please install these (Debian's names): ${missing_packages[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "please install these as root, or install sudo: ${missing_packages[*]}"
        sudo=(sudo)
        sudo -v || die "sudo is needed to install: ${missing_packages[*]}"
    fi
    step "refresh package lists" "${sudo[@]}" apt-get -q update || die "apt-get update failed"
    step "install ${missing_packages[*]}" "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "${missing_packages[@]}" || die "apt-get install failed"
    missing_packages=()
}

# Sets `python` to an interpreter that python_usable() likes: the one on the path, else Debian's.
choose_python() {
    for python in python3 /usr/bin/python3; do
        if python_usable "$python" >/dev/null 2>&1; then return; fi
    done
    die "python3 can neither make virtual environments nor compile extensions; install python3-venv and python3-dev"
}

# ---- The Python package ----------------------------------------------------------------------------------

# install_python_package PYTHON: into the virtual environment of that interpreter. pip would compile everything again for
# each; here the wheel is built once, until something that it is made of changes.
install_python_package() {
    local wheels=$root/build/wheels sources=("$root"/{core,capi,bindings/python,CMakeLists.txt})
    if [ -e "$wheels/built" ] && [ -z "$(find "${sources[@]}" -type f -newer "$wheels/built" -print -quit)" ]; then
        echo "nothing has changed since the wheel was built"
    else
        rm -rf "$wheels" && mkdir -p "$wheels" && touch "$wheels/begun" &&
            "$1" -m pip wheel --disable-pip-version-check --no-deps --wheel-dir "$wheels" \
                --config-settings=build-dir="$root/build/python" "$root/bindings/python" &&
            mv "$wheels/begun" "$wheels/built" || return
    fi
    "$1" -m pip install --disable-pip-version-check --force-reinstall "$wheels"/*.whl
}

# ---- Binary packages -------------------------------------------------------------------------------------

# Those that packages are made for; see packaging/deps.sh.
all_targets=linux-x64-gnu,linux-arm64-gnu,linux-x64-musl,linux-arm64-musl
glibc_max=2.28

# debian_entry TYPE SUITE: an entry for apt of that suite, with the mirror of Debian that this machine is set up with.
debian_entry() {
    local mirror
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -nE 's/^(URIs: *|deb +(\[[^]]*\] +)?)(https?:[^ ]*\/debian\/?)( .*)?$/\3/p' | head -n 1)
    [ -n "$mirror" ] || { echo "no mirror of Debian is set up on this machine (/etc/apt)" >&2; return 1; }
    printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$mirror" "$2" \
        /usr/share/keyrings/debian-archive-keyring.gpg
}

# prepare_suites FOLDER TYPE SUITE [OPTION...]: lists of that suite (or several, with commas) in that folder, apart from the
# machine's own. `suite_options` are for apt to use them.
prepare_suites() {
    local folder=$1 type=$2 suites=$3 suite
    shift 3
    suite_options=(-q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$folder/parts" -o "Dir::State::Lists=$folder/lists"
        -o Acquire::Languages=none -o APT::Sandbox::User=root "$@")
    mkdir -p "$folder/parts" "$folder/lists/partial" || return
    for suite in ${suites//,/ }; do debian_entry "$type" "$suite" || return; done >"$folder/parts/debian.sources"
    apt-get "${suite_options[@]}" update
}

project_version() { sed -nE 's/^project\(fanwire VERSION ([0-9.]+).*/\1/p' "$root/CMakeLists.txt"; }

# The shared libraries that a file names.
needed_libraries() { readelf -dW "$1" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p'; }

# check_glibc FILE: no symbol of a glibc newer than the one that packages are made for.
check_glibc() {
    local newest
    newest=$(readelf -VW "$1" | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -uV | tail -n 1)
    [ -z "$newest" ] || [ "$(printf '%s\n' "$newest" "$glibc_max" | sort -V | tail -n 1)" = "$glibc_max" ] ||
        { echo "$1 needs glibc $newest, more than $glibc_max"; return 1; }
}

# ---- Systems of their own ------------------------------------------------------------------------------------------

# Debian in a folder, by debootstrap, entered by chroot: for root.
system_environment=() # NAME=VALUE of what is run there

debian_mirror() { debian_entry deb x | sed -n 's/^URIs: //p'; }

make_system() { # FOLDER SUITE PACKAGE...
    local folder=$1 suite=$2
    shift 2
    [ ! -f "$folder/made" ] || return 0
    rm -rf "$folder" && debootstrap --variant=minbase "$suite" "$folder" "$(debian_mirror)" /usr/share/debootstrap/scripts/sid || return
    # How this machine reaches the mirror. A file of a package's own would make dpkg ask which of two to keep.
    local file
    for file in /etc/apt/apt.conf.d/*; do
        [ ! -f "$file" ] || dpkg-query -S "$file" >/dev/null 2>&1 || cp "$file" "$folder/etc/apt/apt.conf.d/" || return
    done
    cp /etc/resolv.conf "$folder/etc/resolv.conf" 2>/dev/null || true
    in_system "$folder" sh -c "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install $*" && touch "$folder/made"
}

in_system() { # FOLDER COMMAND...
    local folder=$1 code=0
    shift
    mountpoint -q "$folder/proc" || mount -t proc proc "$folder/proc" || return
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${system_environment[@]}" \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} chroot "$folder" "$@" || code=$?
    umount "$folder/proc"
    return $code
}

# ---- A Redis of our own ----------------------------------------------------------------------------------

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Starts a private Redis and sets `redis_url`. Between finding a free port and using it somebody may take it: then
# another one.
start_redis() {
    local port line pipe attempt
    for attempt in 1 2 3 4 5; do
        port=$(free_port)
        mkdir -p "$scratch/redis"
        mkfifo "$scratch/redis/output"
        exec {pipe}<>"$scratch/redis/output"
        start_group redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir "$scratch/redis" \
            >"$scratch/redis/output" 2>&1 </dev/null
        while kill -0 "$group" 2>/dev/null; do
            read -r -t 1 -u "$pipe" line || continue
            case $line in
                *"Ready to accept connections"*)
                    redis_url=redis://127.0.0.1:$port
                    return
                    ;;
            esac
        done
        exec {pipe}>&-
        rm "$scratch/redis/output"
        log "redis-server did not start on port $port (attempt $attempt)"
    done
    die "redis-server does not start"
}
