#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/bench.sh [--quick] [--strict] [--only TEXT]... [--json FILE] [--svg FILE] [--readme] [--list] [--lose N]
       packaging/bench.sh --micro

Measures fanwire next to its peers in one run: C (hiredis, redis-benchmark, the bare system calls), Node (ioredis, node-redis,
valkey-glide), Bun (its own client), Python (redis-py, blocking and asyncio, valkey-glide) and, where there is a Go, rueidis,
each in its latest version. Installs what that needs
(Debian's packages, by apt; as root or with sudo), builds everything under build/bench, starts a private Redis on free
ports, runs all in turns and prints a table: what, ours, each peer, the floor, the ratio, the target, and whether it is reached.
Before a receiver is counted its link is broken once: whoever
stays deaf gets no figure. Every run checks that all messages came, in order. What could not be installed is named.

  --quick       each line that has a target, counted less: below three minutes once everything is built (all: below twenty)
  --strict      ends with 1 if a target is missed or something could not be measured
  --only TEXT   only the lines whose name has this text (any case); may be repeated
  --json FILE   the same as a list of rows: name, unit, ours, peers, floor, ratio, target, reached
  --svg FILE    the chart: CPU per received message
  --readme      writes the lines with targets into capi/docs/speed.md, some of them into README.md, and the chart into
                packaging/speed.svg
  --micro       instead: the micro-benchmarks of the core with Google Benchmark, and their instructions under callgrind
  --list        only the names of the lines
  --lose N      shows that the checks work: the load leaves out message N, and each receiver must fail
  --help        this text

Ends with 1 as well when a message was lost, came twice or out of order. Other work on the machine shows in the figures: compare
ratios. tests/bench/README.md says what is measured and how.
TEXT
}

arguments=() readme="" micro=""
file() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$PWD" "$1" ;; esac; }
while [ $# -gt 0 ]; do
    case $1 in
        --quick | --strict | --list) arguments+=("$1") ;;
        --only | --lose) arguments+=("$1" "${2:?$1 takes a value}"); shift ;;
        --json | --svg) arguments+=("$1" "$(file "${2:?$1 takes a file}")"); shift ;;
        --only=* | --lose=*) arguments+=("$1") ;;
        --json=* | --svg=*) arguments+=("${1%%=*}" "$(file "${1#*=}")") ;;
        --readme) readme=yes ;;
        --micro) micro=yes ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'bench.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
    shift
done

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

build=$root/build/bench
jobs=$(nproc)
[ -z "$readme" ] || arguments+=(--page "$root/capi/docs/speed.md" --readme "$root/README.md" --svg "$root/packaging/speed.svg")

build_drivers() {
    cmake -S "$root" -B "$build/release" -G Ninja -DCMAKE_BUILD_TYPE=Release -DFANWIRE_BENCH=ON \
        -DFANWIRE_TESTS=OFF -DFANWIRE_CLI=OFF &&
        cmake --build "$build/release" --parallel "$jobs" --target fanwire_bench
}

# Each peer by itself, so that one that cannot be installed does not take the others with it; the table names it.
each_peer() {
    local peer
    while read -r peer; do
        "$@" "$peer" </dev/null || echo "bench.sh: $peer could not be installed"
    done
}

install_python() {
    local pip=("$build/venv/bin/python" -m pip install --disable-pip-version-check)
    [ -x "$build/venv/bin/python" ] || "$python" -m venv "$build/venv"
    grep -v '^#' "$root/tests/bench/python/requirements.txt" | each_peer "${pip[@]}" --upgrade
    echo 'redis<8' | each_peer "${pip[@]}" --upgrade --target "$build/redis7" # for broadcaster
    install_python_package "$build/venv/bin/python"
}

# npm builds a linked package only when it is new to it.
install_node() {
    mkdir -p "$build/node" && cd "$build/node"
    node -e '
        const { overrides } = require(process.argv[1]);
        const fs = require("node:fs");
        const known = fs.existsSync("package.json") ? JSON.parse(fs.readFileSync("package.json", "utf8")) : {};
        fs.writeFileSync("package.json", JSON.stringify({ name: "fanwire-bench", private: true, ...known, overrides }));
    ' "$root/tests/bench/node/package.json"
    node -p 'Object.keys(require(process.argv[1]).dependencies).map((name) => name + "@latest").join("\n")' \
        "$root/tests/bench/node/package.json" | grep -vx 'fanwire@.*' |
        each_peer npm install --no-audit --no-fund --foreground-scripts
    npm install --no-audit --no-fund --foreground-scripts "$root/bindings/node" && node "$root/bindings/node/scripts/build.mjs"
}

build_go() {
    cd "$root/tests/bench/go" && GOFLAGS="-mod=readonly -modcacherw" GOPATH=$build/go GOCACHE=$build/go-cache go build \
        -o "$build/release/tests/bench/fanwire_bench_rueidis" .
}

build_micro() {
    cmake --preset release -S "$root" -B "$build/micro" -DFANWIRE_BENCH=ON -DFANWIRE_TESTS=OFF -DFANWIRE_CLI=OFF &&
        cmake --build "$build/micro" --parallel "$jobs" --target fanwire_micro --target fanwire_instructions
}

cd "$root"
if [ -n "$micro" ]; then
    need_build_tools
    need libbenchmark-dev have_file '/usr/include/benchmark/benchmark.h'
    need valgrind have_file '/usr/include/valgrind/callgrind.h'
    install_missing
    choose_python
    step "build the micro-benchmarks" build_micro || die "they could not be built; the whole log is in $failed_log"
    "$root/build/bench/micro/tests/bench/fanwire_micro"
    "$python" -B "$root/tests/bench/micro/instructions.py" "$root/build/bench/micro/tests/bench/fanwire_instructions"
    exit
fi
if [[ " ${arguments[*]-} " != *" --list "* ]]; then
    need_build_tools
    need_languages
    need openssl command -v openssl # makes the certificates
    install_missing
    choose_python
    step "build the drivers in C" build_drivers || die "the drivers could not be built; the whole log is in $failed_log"
    if command -v go >/dev/null; then step "build rueidis" build_go || true; fi
    if step "install the Python packages" install_python; then arguments+=(--python "$build/venv/bin/python"); fi
    if step "install the npm packages" install_node; then arguments+=(--node-packages "$build/node"); fi
else
    choose_python
fi
log "measure"
start_group "$python" -B "$root/tests/bench/run.py" --build "$build/release/tests/bench" "${arguments[@]}"
code=0
wait "$group" || code=$?
exit "$code"
