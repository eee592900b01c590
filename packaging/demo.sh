#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/demo.sh [--redis URL | --memory]
       packaging/demo.sh --web [--port PORT | --test]
       packaging/demo.sh --pusher
       packaging/demo.sh --systems LIST

Shows one message reaching every language. Installs what it needs (Debian's packages, by apt; as root or with sudo),
builds fanwire, starts a private Redis on a free port and five programs as separate processes: C, C++, Python, Node
and shell. Each publishes 1000 messages to one channel and receives everything from all five. Prints who received how
many from whom, and how fast. Ends with 0 only if every count is 1000 and every sender's messages came in order.

  --redis URL   use this server and start none
  --memory      no server: each program alone, with the in-process backend
  --web         instead of the programs a chat page: three Socket.IO servers, a process each, over one Redis. Prints the three
                addresses, which are of this machine only, and runs until Ctrl-C, which stops all it has started
  --port PORT   of the first of the three servers (8081); the others take the next two. Where one is taken it is another
  --test        drives the page in headless Chromium instead, and leaves screenshots in build/demo/screenshots
  --pusher      instead of the programs two servers of the Pusher protocol, a process each, over one Redis, and a client of
                pusher-js at each: events triggered over HTTP on one server reach the clients of both
  --systems LIST
                the same in systems that have nothing but what the demo installs: names of Debian's suites (bookworm,
                trixie, sid), comma-separated. Takes debootstrap and root; they are made in build/demo-systems each time
  --help        this text

The programs are in packaging/demo. Everything is built under build/; what else was made is removed at the end.
TEXT
}

url="" memory="" systems="" web="" port="" test="" pusher=""
while [ $# -gt 0 ]; do
    case $1 in
        --redis) url=${2:-}; [ -n "$url" ] || { usage >&2; exit 2; }; shift 2 ;;
        --redis=?*) url=${1#*=}; shift ;;
        --memory) memory=yes; shift ;;
        --web) web=yes; shift ;;
        --port) port=${2:-}; [ -n "$port" ] || { usage >&2; exit 2; }; shift 2 ;;
        --port=?*) port=${1#*=}; shift ;;
        --test) test=yes; shift ;;
        --pusher) pusher=yes; shift ;;
        --systems) systems=${2:-}; [ -n "$systems" ] || { usage >&2; exit 2; }; shift 2 ;;
        --systems=?*) systems=${1#*=}; shift ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'demo.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
done
[ -z "$url" ] || [ -z "$memory" ] || { echo "demo.sh: --redis and --memory exclude each other" >&2; exit 2; }
[ -z "$web" ] || [ -z "$url$memory$systems" ] || { echo "demo.sh: --web excludes --redis, --memory and --systems" >&2; exit 2; }
[ -n "$web" ] || [ -z "$port$test" ] || { echo "demo.sh: --port and --test are for --web" >&2; exit 2; }
[ -z "$port" ] || [ -z "$test" ] || { echo "demo.sh: --port and --test exclude each other" >&2; exit 2; }
if [ -n "$port" ] && { [[ ! $port =~ ^[1-9][0-9]{0,4}$ ]] || [ "$port" -gt 65000 ]; }; then
    echo "demo.sh: --port takes a number from 1 to 65000, not \"$port\"" >&2
    exit 2
fi
[ -z "$pusher" ] || [ -z "$url$memory$systems$web" ] || { echo "demo.sh: --pusher excludes --redis, --memory, --systems and --web" >&2; exit 2; }

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

count=1000
ready_deadline_s=60
done_deadline_s=120 # the programs give up by themselves after 60
programs=(c cpp python node shell)
declare -A title=([c]=C [cpp]=C++ [python]=Python [node]=Node [shell]=shell)
build=$root/build/demo
prefix=$build/prefix

# ---- In other systems ------------------------------------------------------------------------------------

# The checkout's files, without what was built.
copy_checkout() { mkdir -p "$1" && (cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -c) | tar -x -C "$1"; }

demo_in() {
    local suite=$1 system=$root/build/demo-systems/$1 authorities=/etc/ssl/certs/ca-certificates.crt
    ! mountpoint -q "$system/proc" || umount "$system/proc" || return # of a run that was ended
    rm -rf --one-file-system "$system" && make_system "$system" "$suite" ca-certificates && copy_checkout "$system/fanwire" || return
    # A registry may be behind an authority that only this machine knows.
    cp "$authorities" "$system/etc/ssl/machine.crt"
    system_environment=(SSL_CERT_FILE=/etc/ssl/machine.crt NODE_EXTRA_CA_CERTS=/etc/ssl/machine.crt PIP_CERT=/etc/ssl/machine.crt)
    in_system "$system" /fanwire/packaging/demo.sh && rm -rf --one-file-system "$system"
}

if [ -n "$systems" ]; then
    [ -z "$url$memory" ] || { echo "demo.sh: --systems excludes --redis and --memory" >&2; exit 2; }
    need debootstrap command -v debootstrap
    install_missing
    for suite in ${systems//,/ }; do
        [[ $suite =~ ^[a-z]+$ ]] || die "--systems takes names of suites, not \"$suite\""
        tail_lines=100 step "the demo in $suite" demo_in "$suite" || die "the demo fails in $suite"
        sed -n '/from \\ to/,/received\/s/p' "$step_log"
    done
    exit 0
fi

# ---- Build -----------------------------------------------------------------------------------------------

must() { step "$@" || die "the demo could not be built; the whole log is in $failed_log"; }

build_library() {
    cmake --preset release -S "$root" -B "$build/release" -DFANWIRE_TESTS=OFF -DCMAKE_INSTALL_PREFIX="$prefix" &&
        cmake --build "$build/release" && cmake --install "$build/release"
}

# As any user would: by pkg-config, against what was installed.
build_native_programs() {
    local flags libs rpath
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name fanwire.pc)")
    export PKG_CONFIG_PATH
    flags=$(pkg-config --cflags fanwire) libs=$(pkg-config --libs fanwire)
    rpath=-Wl,-rpath,$(pkg-config --variable=libdir fanwire)
    # shellcheck disable=SC2086
    gcc -std=c99 -O2 -Wall -o "$build/demo_c" "$root/packaging/demo/demo.c" $flags $libs "$rpath" &&
        g++ -std=c++17 -O2 -Wall -o "$build/demo_cpp" "$root/packaging/demo/demo.cpp" $flags $libs "$rpath" -pthread
}

build_python() {
    "$python" -m venv "$build/venv" && install_python_package "$build/venv/bin/python"
}

# The checkout's package has no ready-made addon: it is compiled by the command for that.
build_node() {
    rm -rf "$build/node" && mkdir -p "$build/node" && cp "$root/packaging/demo/demo.mjs" "$build/node/" && cd "$build/node" &&
        printf '{ "name": "fanwire-demo", "private": true }\n' >package.json &&
        npm install --no-audit --no-fund --install-links=false "$root/bindings/node" && npx fanwire build
}

# ---- The chat page ---------------------------------------------------------------------------------------

build_web() {
    rm -rf "$build/web" && mkdir -p "$build/web" && cp -r "$root/packaging/demo/web/." "$build/web/" && cd "$build/web" &&
        npm install --no-audit --no-fund --no-package-lock --install-links=false "$root/bindings/node" && npx fanwire build
}

install_web_tests() { cd "$root/tests/web" && npm install --no-audit --no-fund --no-package-lock; }

drive_web() {
    cd "$root/tests/web" && FANWIRE_WEB=$build/web FANWIRE_SCREENSHOTS=$build/screenshots npm test -- --test-reporter=tap
}

# ---- The servers of the Pusher protocol ------------------------------------------------------------------

build_pusher() {
    rm -rf "$build/pusher" && mkdir -p "$build/pusher" && cp "$root/packaging/demo/pusher/"* "$build/pusher/" && cd "$build/pusher" &&
        npm install --no-audit --no-fund --no-package-lock --install-links=false "$root/bindings/node" && npx fanwire build
}

cd "$root"
if [ -n "$web" ]; then
    need_build_tools
    need_node
    [ -z "$test" ] || need_browser
    install_missing
    must "build the chat page" build_web
    if [ -n "$test" ]; then
        code=0
        must "install what drives it" install_web_tests
        tail_lines=0 step "drive the chat page" drive_web || code=$?
        cat "$step_log"
        exit $code
    fi
    trap 'exit 0' INT TERM
    start_group node "$build/web/run.mjs" "$scratch" "${port:-8081}" </dev/null
    wait "$group" || die "the chat servers have ended"
    exit 0
fi

if [ -n "$pusher" ]; then
    need_build_tools
    need_node
    install_missing
    must "build the servers of the Pusher protocol" build_pusher
    start_group node "$build/pusher/run.mjs" </dev/null
    wait "$group" || die "not everything has arrived"
    log "the clients of both servers have received everything"
    exit 0
fi

need_build_tools
need_languages
install_missing
choose_python
must "build the library and the command" build_library
must "build the C and C++ programs" build_native_programs
must "install the Python package" build_python
must "install the Node package" build_node

# ---- Run -------------------------------------------------------------------------------------------------

# Replaces this process by one of the programs, in which the engine finds its server by the environment.
program() {
    local which=$1
    shift
    PATH=$prefix/bin:$PATH
    case $which in
        c) exec "$build/demo_c" "$@" ;;
        cpp) exec "$build/demo_cpp" "$@" ;;
        python) exec "$build/venv/bin/python" "$root/packaging/demo/demo.py" "$@" ;;
        node) exec node "$build/node/demo.mjs" "$@" ;;
        shell) exec "$root/packaging/demo/demo.sh" "$@" ;;
    esac
}

declare -A in out pid received finished code

# launch PROGRAM ARGUMENTS...: in a process of its own, with pipes to tell it to go and to hear from it.
launch() {
    local name=$1 fd
    mkfifo "$scratch/$name.in" "$scratch/$name.out"
    exec {fd}<>"$scratch/$name.in"
    in[$name]=$fd
    exec {fd}<>"$scratch/$name.out"
    out[$name]=$fd
    start_group program "$@" <"$scratch/$name.in" >"$scratch/$name.out" 2>"$scratch/$name.log"
    pid[$name]=$group
}

# hear PROGRAM WORD DEADLINE: reads what the program says until it is WORD, and notes the counts. Fails when the
# program has ended without it, or the deadline (of SECONDS) has passed.
hear() {
    local name=$1 word=$2 deadline=$3 line sender number alive=yes
    while [ "$SECONDS" -lt "$deadline" ]; do
        if read -r -t 1 -u "${out[$name]}" line; then
            case $line in
                "$word") return 0 ;;
                "received "*)
                    read -r _ sender number <<<"$line"
                    received[$sender,$name]=$number
                    ;;
            esac
        elif [ -z "$alive" ]; then
            return 1 # a second look, as its last words may have come after the first
        elif ! kill -0 "${pid[$name]}" 2>/dev/null; then
            alive=""
        fi
    done
    return 1
}

show_logs() {
    local name
    for name in "$@"; do
        [ -s "$scratch/$name.log" ] || continue
        echo "---- what the ${title[$name]} program said on stderr:"
        tail -n 20 "$scratch/$name.log"
    done
}

# run_programs PROGRAM...: lets these talk to each other; fills `received` and `code`, and `elapsed_us`.
run_programs() {
    local channel=demo-$$-$RANDOM name begun_us deadline
    for name in "$@"; do launch "$name" "$name" "$channel" "$count" $#; done
    deadline=$((SECONDS + ready_deadline_s))
    for name in "$@"; do
        if ! hear "$name" ready "$deadline"; then
            show_logs "$@"
            die "the ${title[$name]} program did not get as far as being subscribed"
        fi
    done
    [ $# -eq 1 ] || log "all $# are subscribed; now each publishes $count messages"
    begun_us=${EPOCHREALTIME/[.,]/}
    for name in "$@"; do echo go >&"${in[$name]}"; done
    deadline=$((SECONDS + done_deadline_s))
    for name in "$@"; do
        finished[$name]=yes
        hear "$name" "done" "$deadline" || finished[$name]=""
    done
    elapsed_us=$((${EPOCHREALTIME/[.,]/} - begun_us))
    for name in "$@"; do
        code[$name]=1
        # One that does not end in time is ended, which is a failure too.
        if [ -z "${finished[$name]}" ]; then end_group "${pid[$name]}"; continue; fi
        code[$name]=0
        wait "${pid[$name]}" || code[$name]=$?
    done
}

per_second() { echo $(($1 * 1000000 / elapsed_us)); }

verdict=0
if [ -n "$memory" ]; then
    export FANWIRE_URL=memory://demo
    log "each of five programs publishes $count messages and receives them in its own process; there is no server"
    printf '\n  %-8s %10s %10s %12s\n' "" published received messages/s
    for name in "${programs[@]}"; do
        run_programs "$name"
        got=${received[$name,$name]:-0}
        [ "$got" = $count ] && [ "${code[$name]}" = 0 ] || verdict=1
        printf '  %-8s %10d %10d %12d\n' "${title[$name]}" $count "$got" "$(per_second "$got")"
    done
    echo
else
    choose="at $url"
    if [ -z "$url" ]; then
        start_redis
        url=$redis_url
        choose="of our own on port ${url##*:}"
    fi
    export FANWIRE_URL=$url
    log "starting C, C++, Python, Node and shell, a process each, on a Redis ${choose/\/\/*@//\/***@}"
    run_programs "${programs[@]}"
    total=0
    printf '\n  %-10s' "from \ to"
    for to in "${programs[@]}"; do printf ' %8s' "${title[$to]}"; done
    echo
    for from in "${programs[@]}"; do
        printf '  %-10s' "${title[$from]}"
        for to in "${programs[@]}"; do
            got=${received[$from,$to]:-0}
            total=$((total + got))
            [ "$got" = $count ] || verdict=1
            printf ' %8d' "$got"
        done
        echo
    done
    for name in "${programs[@]}"; do [ "${code[$name]}" = 0 ] || verdict=1; done
    printf '\n  %d messages published, %d received in %d.%03d s: %d received/s\n\n' $((count * ${#programs[@]})) \
        "$total" $((elapsed_us / 1000000)) $((elapsed_us / 1000 % 1000)) "$(per_second "$total")"
fi

if [ $verdict -ne 0 ]; then
    for name in "${programs[@]}"; do
        [ "${code[$name]:-1}" = 0 ] || echo "the ${title[$name]} program ended with exit code ${code[$name]:-unknown}"
    done
    show_logs "${programs[@]}"
    die "some messages are missing"
fi
log "every message reached everybody, in order"
