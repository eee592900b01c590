#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: tests/fuzz/run.sh [--minutes N] [--jobs N] [--seed N] [TARGET]...

Runs the fuzzers that are built in build/fuzz (cmake --preset fuzz && cmake --build --preset fuzz), each for N minutes
(1), two at a time. What they learn is kept in build/fuzz/corpus, what they find in build/fuzz/findings. Prints a line
for each; the exit code is not 0 when one has found something or did not run.

With --seed a fuzzer begins with the seeds of tests/fuzz/corpus alone, tries the same inputs each time, as many as the
minutes allow, and keeps nothing of what it learns.
TEXT
}

minutes=1 jobs=2 seed="" targets=()
while [ $# -gt 0 ]; do
    case $1 in
        --minutes) minutes=${2:-}; shift ;;
        --jobs) jobs=${2:-}; shift ;;
        --seed) seed=${2:-}; [ -n "$seed" ] || { usage >&2; exit 2; }; shift ;;
        -h | --help) usage; exit 0 ;;
        -*) usage >&2; exit 2 ;;
        *) targets+=("$1") ;;
    esac
    shift || true
done
for number in "$minutes" "$jobs" "${seed:-1}"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || { usage >&2; exit 2; }
done

source=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$source/../.." && pwd)/build/fuzz
if [ ${#targets[@]} -eq 0 ]; then
    for file in "$source"/*_fuzzer.cpp; do targets+=("$(basename "${file%_fuzzer.cpp}")"); done
fi
mkdir -p "$build/findings"

# Where Clang's run time finds what turns addresses into lines of code.
export ASAN_SYMBOLIZER_PATH=/usr/lib/llvm-14/bin/llvm-symbolizer
export UBSAN_OPTIONS=print_stacktrace=1

# fuzz TARGET: says how it went in one line.
fuzz() {
    local target=$1 program=$build/tests/fuzz/$1_fuzzer log=$build/findings/$1.log found dict=() inputs=()
    if [ -n "$seed" ]; then # a list in order: that in which a directory is read depends on the machine
        find "$source/corpus/$target" -type f | LC_ALL=C sort | paste -sd, >"$build/findings/$target.inputs"
        inputs=(-seed="$seed" -seed_inputs="@$build/findings/$target.inputs")
    else
        mkdir -p "$build/corpus/$target"
        inputs=("$build/corpus/$target" "$source/corpus/$target")
    fi
    [ ! -e "$source/$target.dict" ] || dict=(-dict="$source/$target.dict")
    if "$program" "${dict[@]}" -max_total_time=$((minutes * 60)) -timeout=20 -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$target-" "${inputs[@]}" >"$log" 2>&1; then
        sed -nE 's/^.*(cov: [0-9]+ ft: [0-9]+ corp: [0-9]+).*$/\1/p' "$log" | tail -n 1 |
            sed "s/^/$target: no finding in $(sed -nE 's/^Done ([0-9]+) runs.*/\1/p' "$log") runs; /"
        return
    fi
    found=$(sed -nE 's/^artifact_prefix=.*Test unit written to (.*)$/\1/p' "$log" | tail -n 1)
    grep -aE '^does not hold|runtime error|^==[0-9]+== ?ERROR|^SUMMARY' "$log" | head -n 5 | sed "s/^/$target: /" || true
    if [ -n "$found" ]; then
        echo "$target: FINDING in $found; replay with: $program $found"
    else
        echo "$target: FAILED without a finding; the log is $log"
        tail -n 20 "$log"
    fi
    return 1
}

failed=0 running=0
for target in "${targets[@]}"; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n || failed=$((failed + 1))
        running=$((running - 1))
    fi
    fuzz "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
done
exit $((failed > 0))
