#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/servers.sh [NAME...]

Fetches the servers of packaging/servers.lock (redis-8.2, valkey-9.1; all unless some are named) into build/servers and
prints a line for each: NAME, FOLDER, VERSION and "TLS" or "no TLS", with tabs between them. FOLDER has `redis-server`. The tests of every
language start the `redis-server` that is first on PATH, so FOLDER before PATH runs any of them against that server:

    PATH=build/servers/valkey-9.1/bin:$PATH ctest --preset release -R '^integration\.'

redis-8.2 is the program in a package of PyPI, whose SHA-256 is in the lock file; it has no TLS. valkey-9.1 is from Debian
unstable, through the mirror that apt is set up with; apt checks it. Nothing is installed into the system, and what is
there is not fetched again. Both are for x86-64. Where one cannot be had, a line says why, and the exit code is 1.
TEXT
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

lock=$root/packaging/servers.lock
servers=$root/build/servers

# The words of the lock file after the name.
entry() { sed -nE "s/^$1 //p" "$lock"; }

# What it says of itself: "8.2.3".
version_of() { "$1" --version | sed -nE 's/.* v=([0-9.]+).*/\1/p'; }

# One with TLS misses the certificate, one without says that it has none; neither starts.
tls_of() {
    local said
    said=$("$1" --port 0 --tls-port 1 --bind 127.0.0.1 --save "" 2>&1 </dev/null) || true
    case $said in *"Failed finding TLS"*) echo "no TLS" ;; *) echo TLS ;; esac
}

from_wheel() { # FOLDER PACKAGE VERSION SHA256
    local folder=$1 program
    [ -x "$root/build/tools-venv/bin/python" ] || "$python" -m venv "$root/build/tools-venv" || return
    echo "$2==$3 --hash=sha256:$4" >"$folder/requirements.txt"
    "$root/build/tools-venv/bin/python" -m pip download --disable-pip-version-check --quiet --no-deps --require-hashes \
        --only-binary :all: --implementation cp --python-version 311 --abi cp311 --platform manylinux_2_17_x86_64 \
        --dest "$folder" -r "$folder/requirements.txt" || return
    "$python" -m zipfile -e "$folder"/*.whl "$folder/files" && rm "$folder"/*.whl || return
    program=$(find "$folder/files" -name redis-server -type f -print -quit)
    [ -n "$program" ] || { echo "$2 $3 has no redis-server" >&2; return 1; }
    chmod +x "$program"
    # The module next to it is not ours to use.
    mv "$program" "$folder/bin/redis-server" && rm -rf "$folder/files"
}

# It needs a newer C library than the machine may have, so it is started by the loader that comes with it.
from_debian() { # FOLDER PACKAGE VERSION
    local folder=$1 name packages=("$2" valkey-tools libc6 libatomic1 libcap2 libgcc-s1 libjemalloc2 liblzf1 libssl3t64 libsystemd0 libzstd1)
    command -v apt-get >/dev/null || { echo "there is no apt here" >&2; return 1; }
    prepare_suites "$folder/apt" deb sid || return
    mkdir -p "$folder/packages" && cd "$folder/packages" && apt-get "${suite_options[@]}" download "${packages[@]}" || return
    for name in *.deb; do dpkg -x "$name" "$folder/files" || return; done
    rm -rf "$folder/packages" "$folder/apt"
    for name in server cli; do
        cat >"$folder/bin/redis-$name" <<WRAPPER
#!/bin/sh
files=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")/files/usr
libraries=\$files/lib/x86_64-linux-gnu
exec "\$libraries/ld-linux-x86-64.so.2" --library-path "\$libraries" "\$files/bin/valkey-$name" "\$@"
WRAPPER
        chmod +x "$folder/bin/redis-$name"
    done
}

# Into a folder of another name first: what has the right one is complete.
fetch() { # NAME
    local folder=$servers/$1 begun=$servers/$1.begun words version
    if [ ! -d "$folder" ]; then
        [ "$(uname -m)" = x86_64 ] || { echo "only for x86-64" >&2; return 1; }
        read -ra words <<<"$(entry "$1")"
        [ ${#words[@]} -gt 0 ] || { echo "packaging/servers.lock does not have it" >&2; return 1; }
        rm -rf "$begun" && mkdir -p "$begun/bin" && (set +e; "from_${words[0]}" "$begun" "${words[@]:1}") || return
        mv "$begun" "$folder"
    fi
    # "redis-8.2": a server of another version is not what was asked for.
    version=$(version_of "$folder/bin/redis-server") || return
    case $version. in
        "${1#*-}".*) ;;
        *) rm -rf "$folder"; echo "the server that is there now is $version" >&2; return 1 ;;
    esac
    printf '%s\t%s\t%s\t%s\n' "$1" "$folder/bin" "$version" "$(tls_of "$folder/bin/redis-server")"
}

mkdir -p "$servers" "$logs"
choose_python
[ $# -gt 0 ] || mapfile -t names < <(sed -nE 's/^([a-z]+-[0-9.]+) .*/\1/p' "$lock")
[ $# -eq 0 ] || names=("$@")
code=0
for name in "${names[@]}"; do
    fetching=$logs/server-$name.log
    exec {lock_file}>"$servers/$name.lock"
    flock "$lock_file" # two runs at a time would fetch into each other's folder
    if line=$(fetch "$name" 2>"$fetching.errors") && printf '%s\n' "$line" >"$fetching"; then
        tail -n 1 "$fetching"
    else
        printf '%s\t-\tcannot be had: %s\n' "$name" "$(grep -v '^ *$' "$fetching.errors" | last_line /dev/stdin)"
        code=1
    fi
    exec {lock_file}>&-
done
exit $code
