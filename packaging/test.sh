#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/test.sh [--quick] [--only SUITE]... [--fuzz MINUTES] [--chaos MINUTES] [--soak RECONNECTS]
       packaging/test.sh --simulate COUNT
       packaging/test.sh --servers | --mutants | --packages | --free-threaded

Installs what the tests need (Debian's packages, by apt; as root or with sudo), builds everything under build/, and
runs all tests. Servers are started by the tests themselves, on free ports. The suites, in this order:

  release   the release build with GCC, warnings as errors: unit, capi, integration, malloc, chaos, consumers, cli;
            the benchmark's runner and the instruction counts of the micro-benchmarks; the reply reader with hiredis 1.x
  servers   integration, and what starts groups of servers, against Redis 8.2 and Valkey 9.1 (a minute or two for both), which packaging/servers.sh
            fetches into build/servers. Where one cannot be had, or has no TLS, this says so and goes on without
  python    the Python package, installed into a fresh virtual environment
  node      the Node package
  asan      unit, capi, integration, malloc and chaos with address and undefined-behaviour sanitizers, built with Clang 14
  tsan      the same, but for malloc and the long tests that have one thread, with the thread sanitizer, built with GCC
  fuzz      the fuzzers of tests/fuzz, a minute each, built with Clang 14; the same inputs in each run
  demo      packaging/demo.sh, with Redis and in memory, then every example of the README, and the chat page of --web,
            driven in headless Chromium

  --quick        release only
  --only SUITE   only this one; may be repeated
  --chaos MINUTES    instead of the suites (unless some are named): engines through random faults of network and server
                     for so long, compared message by message; the normal run has 25 seconds of it
  --soak RECONNECTS  instead of the suites, likewise: an engine that reconnects so often (10000: half a minute) and
                     must not grow; the normal run has 300
  --fuzz MINUTES the fuzzers only, each for so long, with inputs that differ in each run
  --simulate COUNT
                 only the simulation, in the release build: COUNT schedules (millions, say) beyond the 100,000 that the
                 unit tests run, on all processors; a failing one prints the command that replays it
  --servers      only this, and more of it: capi, cli and the tests of Python and Node against those servers too
                 (Python and Node only where the server has TLS)
  --packages     only this: the npm packages of all targets, installed with npm, pnpm, Yarn and Bun and run in Node 20 to 26,
                 Bun, Deno, bundlers and test runners; the wheels of all targets, for three versions of Python; both used over
                 TLS in clean systems (packaging/try.sh); Debian's packages, with lintian, here and in Debian 13; the workflows
                 and the recipes for conan and vcpkg
  --free-threaded
                 only this: the tests of Python with many threads, and of each interface, in a CPython without a GIL, under the
                 thread sanitizer (packaging/free_threaded.sh, which compiles that CPython: half an hour the first time)
  --mutants      only this: bugs are planted into a copy of core/ and capi/, one build has them all, and for each the tests
                 of C++ run until one finds it; fails when fewer than 90 % are found (tests/mutants/README.md)
  --help         this text

Ends with a line for each suite and "N passed, M failed". The exit code is not 0 when a test failed, something did not
build or a suite ran no tests. The logs are in build/logs.
TEXT
}

all_suites=(release servers python node asan tsan fuzz demo)
fuzz_minutes=1 fuzz_seed=(--seed 1)
servers_all= servers_absent= servers_ready=
suites=() chaos_minutes=1 soak_reconnects=10000
simulate=
while [ $# -gt 0 ]; do
    case $1 in
        --quick) suites+=(release) ;;
        --only) suites+=("${2:-}"); shift ;;
        --only=*) suites+=("${1#*=}") ;;
        --chaos) chaos_minutes=${2:-} suites+=(chaos); shift ;;
        --chaos=*) chaos_minutes=${1#*=} suites+=(chaos) ;;
        --soak) soak_reconnects=${2:-} suites+=(soak); shift ;;
        --soak=*) soak_reconnects=${1#*=} suites+=(soak) ;;
        --fuzz) suites+=(fuzz); fuzz_minutes=${2:-}; fuzz_seed=(); shift ;;
        --fuzz=*) suites+=(fuzz); fuzz_minutes=${1#*=}; fuzz_seed=() ;;
        --simulate) simulate=${2:-}; suites+=(simulate); shift ;;
        --servers) suites+=(servers); servers_all=yes ;;
        --mutants) suites+=(mutants) ;;
        --packages) suites+=(packages) ;;
        --free-threaded) suites+=(free_threaded) ;;
        --simulate=*) simulate=${1#*=}; suites+=(simulate) ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'test.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
    shift || true
done
[ ${#suites[@]} -gt 0 ] || suites=("${all_suites[@]}")
# Each once, in the order given.
mapfile -t suites < <(printf '%s\n' "${suites[@]}" | awk '!seen[$0]++')
for suite in "${suites[@]}"; do
    if [ "$suite" = simulate ]; then
        [[ $simulate =~ ^[1-9][0-9]{0,8}$ ]] && continue
        echo "test.sh: --simulate takes a number of schedules, not \"$simulate\"" >&2
        exit 2
    fi
    case " ${all_suites[*]} chaos soak mutants packages free_threaded " in
        *" $suite "*) ;;
        *) echo "test.sh: there is no suite \"$suite\"; there are ${all_suites[*]}" >&2; exit 2 ;;
    esac
done

for number in "$chaos_minutes" "$soak_reconnects" "$fuzz_minutes"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "test.sh: --chaos, --soak and --fuzz take a number above 0" >&2; exit 2; }
done

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

reports=$root/build/reports
jobs=$(nproc)
declare -A passed failed skipped seconds

# ---- Counting --------------------------------------------------------------------------------------------

# add SUITE PASSED FAILED SKIPPED
add() {
    passed[$1]=$((${passed[$1]:-0} + $2))
    failed[$1]=$((${failed[$1]:-0} + $3))
    skipped[$1]=$((${skipped[$1]:-0} + $4))
}

# From the report that ctest and pytest write alike; shows what the failed tests said.
add_junit() {
    local counts
    counts=$("$python" - "$2" <<'PYTHON'
import sys
from xml.etree import ElementTree

suites = list(ElementTree.parse(sys.argv[1]).getroot().iter("testsuite"))
total, failed, errors, skipped, disabled = (
    sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped", "disabled"))
failed, skipped = failed + errors, skipped + disabled
for case in (case for suite in suites for case in suite.iter("testcase")):
    faults = [fault for name in ("failure", "error") for fault in case.iter(name)]
    if not faults:
        continue
    said = "\n".join(filter(None, [fault.text for fault in faults] + [out.text for out in case.iter("system-out")]))
    print(f"    | failed: {case.get('name')}", *(f"    |   {line}" for line in said.splitlines()[:80]),
          sep="\n", file=sys.stderr)
print(total - failed - skipped, failed, skipped)
PYTHON
    ) || counts="0 1 0"
    # shellcheck disable=SC2086
    add "$1" $counts
}

# From the summary of node's test runner; what it cancelled has not passed.
add_node() {
    local word number
    declare -A summary=()
    while read -r word number; do summary[$word]=$number; done < <(
        sed -nE 's/^(#|ℹ) (pass|fail|cancelled|skipped|todo) ([0-9]+)$/\2 \3/p' "$2"
    )
    add "$1" "${summary[pass]:-0}" $((${summary[fail]:-0} + ${summary[cancelled]:-0})) \
        $((${summary[skipped]:-0} + ${summary[todo]:-0}))
}

# count SUITE EXIT_CODE COUNTER FILE: a runner that failed without a failed test in its report is a failure too.
count() {
    local before=${failed[$1]:-0}
    "$3" "$1" "$4"
    [ "$2" -eq 0 ] || [ "${failed[$1]}" -gt "$before" ] || add "$1" 0 1 0
}

# The lines in which the runner itself says how it went.
show_summary() {
    grep -aE '^(#|ℹ) (tests|pass|fail|skipped) |tests passed|^=+ .*(passed|failed).* =+$' "$1" | sed 's/^/    | /' || true
}

# run SUITE TITLE COMMAND...: a step that, failing, is a failure of the suite. It is not counted when it works.
run() {
    local suite=$1
    shift
    step "$@" || { add "$suite" 0 1 0; return 1; }
}

# ---- Suites ----------------------------------------------------------------------------------------------

# ctest_suite SUITE RUNNER... -- ARGUMENTS...: as ctest counts, a gtest case is one test, and so is a file of the
# command's tests. RUNNER may be empty.
ctest_suite() {
    local suite=$1 report=$reports/ctest-$1.xml code=0 runner=()
    shift
    while [ "$1" != -- ]; do runner+=("$1"); shift; done
    shift
    rm -f "$report"
    tail_lines=0 step "run ctest of $suite" "${runner[@]}" ctest --preset "$suite" --parallel "$jobs" --no-tests=error \
        --output-junit "$report" "$@" || code=$?
    show_summary "$step_log"
    count "$suite" $code add_junit "$report"
}

# Building takes half of the time: with precompiled headers tests take a fifth (GCC) to a third (Clang) less. (A
# developer's build has none, and says which test includes too little.) Of debug information, reports need the lines only.
build_preset() {
    local preset=$1
    shift
    cmake --preset "$preset" -DFANWIRE_WERROR=ON -DFANWIRE_PCH=ON "$@" && cmake --build --preset "$preset" --parallel "$jobs"
}

# Debian's python3 comes without pip, but every virtual environment has one.
check_hiredis1() {
    "$python" -m venv "$root/build/tools-venv" &&
        PATH=$root/build/tools-venv/bin:$PATH "$root/tests/support/check_hiredis1.sh" "$root/build/hiredis1"
}

suite_release() {
    run release "build release" build_preset release -DFANWIRE_BENCH=ON "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG" &&
        ctest_suite release --
    # The one test that warns: ctest shows only what failed.
    grep -ah '^WARNING: .* have grown by more than' "$root/build/release/Testing/Temporary/LastTest.log" | sed 's/^/    | /' || true
    # Debian 12 has hiredis 0.14; with 1.x the reader must do the same.
    run release "reply reader with hiredis 1.x" check_hiredis1 && add release 1 0 0
    show_summary "$step_log"
}

# Tests in every language start the redis-server that is first on PATH: another folder there is another server. As many
# processes run at once as for any suite, and most of the time they wait.
suite_servers() {
    run servers "build release" build_preset release -DFANWIRE_BENCH=ON "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O2 -g1 -DNDEBUG" || return 0
    step "fetch the servers" "$root/packaging/servers.sh" || true
    local line name folder version tls lines without fetched=
    mapfile -t lines < <(grep -aE $'^[a-z]+-[0-9.]+\t' "$step_log")
    for line in "${lines[@]}"; do
        IFS=$'\t' read -r name folder version tls <<<"$line"
        if [ "$folder" = - ]; then
            log "  $name: $version; its tests are left out"
            continue
        fi
        without=()
        [ "$tls" = TLS ] || without=(-E '^(integration\.Tls|cli\.tls)')
        log "  $name is version $version, with $tls${without:+, so that the tests of TLS are left out}"
        PATH=$folder:$PATH on_server "$name" "$tls" "${without[@]}"
        fetched=yes
    done
    [ -n "$fetched" ] || servers_absent=yes
}

# on_server NAME TLS CTEST_ARGUMENT...: with that server on PATH. The tests of Python and Node want one with TLS.
on_server() {
    local name=$1 tls=$2 report=$reports/servers-$1.xml code=0 which='^(integration|groups)\.'
    shift 2
    [ -z "$servers_all" ] || which='^(integration|groups|capi|cli)\.'
    rm -f "$report"
    tail_lines=0 step "run the tests on $name" ctest --preset release --parallel $((jobs * 2)) --no-tests=error \
        --output-junit "$report" -R "$which" "$@" || code=$?
    show_summary "$step_log"
    count servers $code add_junit "$report"
    [ -n "$servers_all" ] && [ "$tls" = TLS ] || return 0
    # What an earlier run has left there may lack what the tests want now.
    if [ -z "$servers_ready" ]; then
        run servers "install the Python package" install_for_python_tests || return 0
        run servers "install the Node package" install_node_package || return 0
        servers_ready=yes
    fi
    report=$reports/servers-$name-python.xml code=0
    rm -f "$report"
    tail_lines=0 step "run the Python tests on $name" "$root/build/test-venv/bin/python" -m pytest -p no:cacheprovider \
        --tb=short --junit-xml="$report" "$root/tests/python" || code=$?
    show_summary "$step_log"
    count servers $code add_junit "$report"
    code=0
    step "run the Node tests on $name" in_node_tests npm test -- --test-reporter=tap || code=$?
    show_summary "$step_log"
    count servers $code add_node "$step_log"
}

# simulate_part FIRST COUNT
simulate_part() {
    FANWIRE_SIMULATION_FIRST=$1 FANWIRE_SIMULATION_COUNT=$2 FANWIRE_SIMULATION_COVERAGE=1 \
        "$root/build/release/tests/unit/fanwire_unit_tests" --gtest_filter=Simulation.Many --gtest_brief=1
}

# As many parts at once as there are processors.
simulate_all() {
    local part=$(((simulate + jobs - 1) / jobs)) first=100000 end=$((100000 + simulate)) code=0 pids=() pid
    for (( ; first < end; first += part)); do
        simulate_part "$first" $((first + part < end ? part : end - first)) &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || code=1; done
    return $code
}

suite_simulate() {
    run simulate "build release" build_preset release || return 0
    run simulate "simulate $simulate schedules" simulate_all && add simulate "$simulate" 0 0
    grep -aE '^ *[0-9]+  [a-zA-Z]|replay:' "$step_log" | sed 's/^/    | /' || true
}

# Where Clang's run time finds what turns addresses into lines of code.
export ASAN_SYMBOLIZER_PATH=/usr/lib/llvm-14/bin/llvm-symbolizer

# Only what is of C++ is worth it: the rest would test Python and Node under a sanitizer.
sanitizer_tests=(-R '^(unit|capi|integration|malloc|chaos)\.')
sanitizer_build=(-DFANWIRE_CLI=OFF -DFANWIRE_INSTALL=OFF -DCMAKE_CXX_FLAGS_DEBUG=-g1)

suite_asan() {
    run asan "build asan" build_preset asan "${sanitizer_build[@]}" -DCMAKE_C_COMPILER=clang-14 \
        -DCMAKE_CXX_COMPILER=clang++-14 &&
        ctest_suite asan -- "${sanitizer_tests[@]}"
}

# The thread sanitizer wants its shadow memory where some kernels put other things; so no address randomisation.
suite_tsan() {
    local fixed=()
    if setarch "$(uname -m)" -R true 2>/dev/null; then fixed=(setarch "$(uname -m)" -R); fi
    export -f build_preset
    export jobs
    # What takes bytes, time and randomness as arguments has one thread, and nothing that this sanitizer could find.
    run tsan "build tsan" "${fixed[@]}" bash -c 'build_preset "$@"' build_preset tsan "${sanitizer_build[@]}" \
        -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++ &&
        ctest_suite tsan "${fixed[@]}" -- "${sanitizer_tests[@]}" \
            -E '^unit\.(Seeds/.*|Simulation|PushScanner|JsonGuard|PublishQueueTest)\.'
}

# As users do: the wheel, and nothing that could compile it.
install_for_python_tests() {
    rm -rf "$root/build/test-venv"
    "$root/packaging/wheel.sh" && "$python" -m venv "$root/build/test-venv" &&
        "$root/build/test-venv/bin/python" -m pip install --disable-pip-version-check --no-index "$root"/build/wheel/packages/*.whl &&
        "$root/build/test-venv/bin/python" -m pip install --disable-pip-version-check \
            -r "$root/tests/python/requirements.txt"
}

suite_python() {
    local report=$reports/python.xml code=0
    run python "install the Python package" install_for_python_tests || return 0
    rm -f "$report"
    tail_lines=0 step "run the Python tests" "$root/build/test-venv/bin/python" -m pytest -p no:cacheprovider --tb=short \
        --junit-xml="$report" "$root/tests/python" || code=$?
    show_summary "$step_log"
    count python $code add_junit "$report"
}

# As users do: the package and that of its platform, with no script of theirs run. (The tests' own need theirs.)
install_node_package() {
    "$root/packaging/npm.sh" && cd "$root/tests/node" && rm -rf node_modules && npm install --no-audit --no-fund &&
        npm install --no-audit --no-fund --no-save --no-package-lock --ignore-scripts "$root"/build/npm/packages/*.tgz
}

in_node_tests() { cd "$root/tests/node" && "$@"; }

suite_node() {
    local code=0
    run node "install the Node package" install_node_package || return 0
    step "run the Node tests" in_node_tests npm test -- --test-reporter=tap || code=$?
    show_summary "$step_log"
    count node $code add_node "$step_log"
}

# A run of a seed that differs from day to day; the log names it.
suite_chaos() {
    run chaos "build release" build_preset release || return 0
    run chaos "chaos of $chaos_minutes minutes" "$root/build/release/tests/chaos/fanwire_chaos" \
        --minutes "$chaos_minutes" --seed "$(date +%Y%m%d)" || return 0
    add chaos 1 0 0
    sed 's/^/    | /' "$step_log"
}

suite_soak() {
    run soak "build release" build_preset release || return 0
    run soak "$soak_reconnects reconnects" "$root/build/release/tests/chaos/fanwire_soak" \
        --reconnects "$soak_reconnects" || return 0
    add soak 1 0 0
    sed 's/^/    | /' "$step_log"
}

suite_packages() {
    local code=0
    run packages "npm packages of all targets" "$root/packaging/npm.sh" --targets all && add packages 1 0 0
    step "use them with each package manager" "$root/tests/consumers/npm/check.sh" || code=$?
    add packages "$(grep -c '^ok ' "$step_log" || true)" "$(grep -c '^FAILED ' "$step_log" || true)" 0
    [ "$code" -eq 0 ] || [ "${failed[packages]}" -gt 0 ] || add packages 0 1 0
    sed -n 's/^\(ok\|FAILED\) /    | &/p' "$step_log"
    run packages "end threads of the packages' engine" "$root/tests/consumers/runtime/check.sh" && add packages 1 0 0
    run packages "wheels of all targets" "$root/packaging/wheel.sh" --targets all --pythons 3.11,3.13,3.14 --sdist && add packages 1 0 0
    run packages "use the packages in clean systems" "$root/packaging/try.sh" && add packages "$(grep -c '    | ' "$step_log")" 0 0
    grep -a '    | ' "$step_log" || true
    run packages "Debian packages" "$root/packaging/deb.sh" --targets here,trixie && add packages 1 0 0
    run packages "workflows, conan and vcpkg" "$root/packaging/recipes.sh" && add packages 1 0 0
}

suite_free_threaded() {
    run free_threaded "tests without a GIL" "$root/packaging/free_threaded.sh" || return 0
    add free_threaded "$(sed -nE 's/^ *\| ([0-9]+) passed.*/\1/p' "$step_log")" 0 0
}

# Each bug that is found counts as a test that passed.
suite_mutants() {
    local code=0 found
    run mutants "plant bugs and look which tests find them" "$python" -B "$root/tests/mutants/run.py" || code=$?
    found=$(sed -nE 's/^([0-9]+) of [0-9]+ found$/\1/p' "$step_log")
    [ "$code" -ne 0 ] || add mutants "${found:-0}" 0 0
    grep -aE '^not found: |^mutants: |^[0-9]+ of [0-9]+ found$' "$step_log" | sed 's/^/    | /' || true
}

# Two at a time, whatever the machine: then each has the time it was given, or nearly.
suite_fuzz() {
    local code=0 clean
    build_fuzzers() { cmake --preset fuzz -DFANWIRE_WERROR=ON && cmake --build --preset fuzz --parallel "$jobs"; }
    run fuzz "build the fuzzers" build_fuzzers || return 0
    step "run the fuzzers" "$root/tests/fuzz/run.sh" --minutes "$fuzz_minutes" "${fuzz_seed[@]}" || code=$?
    clean=$(grep -c ': no finding in [0-9]* runs' "$step_log") || true
    add fuzz "$clean" "$(grep -cE ': (FINDING|FAILED) ' "$step_log" || true)" 0
    [ "$code" -eq 0 ] || [ "${failed[fuzz]}" -gt 0 ] || add fuzz 0 1 0
    [ "$code" -ne 0 ] || sed 's/^/    | /' "$step_log"
}

suite_demo() {
    run demo "demo with Redis" "$root/packaging/demo.sh" && add demo 1 0 0
    sed -n '/from \\ to/,/received\/s/p' "$step_log"
    run demo "demo in memory" "$root/packaging/demo.sh" --memory && add demo 1 0 0
    sed -n '/published *received/,/^$/p' "$step_log"
    run demo "two servers of the Pusher protocol" "$root/packaging/demo.sh" --pusher && add demo 1 0 0
    # They use what the demo has installed.
    run demo "examples of the README" "$python" -B "$root/tests/cli/readme_examples.py" "$root/README.md" \
        "$root/build/demo" && add demo 1 0 0
    sed -n '/^readme: /p' "$step_log"
    local code=0
    tail_lines=100 step "the chat page in Chromium" "$root/packaging/demo.sh" --web --test || code=$?
    show_summary "$step_log"
    count demo $code add_node "$step_log"
}

# ---- Run -------------------------------------------------------------------------------------------------

cd "$root"
need_build_tools
need_languages
need openssl command -v openssl # makes the certificates
need abigail-tools command -v abidiff
need libgtest-dev have_file '/usr/include/gtest/gtest.h'
need libbenchmark-dev have_file '/usr/include/benchmark/benchmark.h'
need valgrind have_file '/usr/include/valgrind/callgrind.h'
need nlohmann-json3-dev have_file '/usr/include/nlohmann/json.hpp'
need ccache command -v ccache
need clang-14 command -v clang++-14
need clang-format-14 command -v clang-format-14
need llvm-14 have_file '/usr/lib/llvm-14/bin/llvm-symbolizer'
need libclang-rt-14-dev have_file '/usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.asan*'
case " ${suites[*]} " in *" demo "*) need_browser ;; esac
install_missing
choose_python
mkdir -p "$reports"
# The demo builds the packages as its users do, and once more after the suites that test them. CMake reads the launchers.
export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
export CCACHE_DIR=$root/build/ccache CCACHE_NOHASHDIR=1
# What ccache wants to be told before it keeps anything that uses a precompiled header; nothing here has the time in it.
export CCACHE_SLOPPINESS=pch_defines,time_macros
# For ccache, another name of the compiler is another compiler.
export CC=gcc CXX=g++

for suite in "${suites[@]}"; do
    from=$SECONDS
    "suite_$suite" || true
    seconds[$suite]=$((SECONDS - from))
done

sum_passed=0 sum_failed=0 idle=""
printf '\n%-10s %8s %8s %8s %8s\n' suite passed failed skipped seconds
for suite in "${suites[@]}"; do
    add "$suite" 0 0 0
    printf '%-10s %8d %8d %8d %8d\n' "$suite" "${passed[$suite]}" "${failed[$suite]}" "${skipped[$suite]}" "${seconds[$suite]}"
    sum_passed=$((sum_passed + passed[$suite]))
    sum_failed=$((sum_failed + failed[$suite]))
    if [ "$suite" = servers ] && [ -n "$servers_absent" ]; then echo "           (no further server can be had here)"; continue; fi
    [ $((passed[$suite] + failed[$suite])) -gt 0 ] || idle+=" $suite"
done
echo
if [ -n "$idle" ]; then
    echo "no tests were run in:$idle"
    sum_failed=$((sum_failed + 1))
fi
echo "$sum_passed passed, $sum_failed failed"
[ "$sum_failed" -eq 0 ]
