#!/usr/bin/env bash
# Links thread_end.c with the engine and the libraries that packaging/npm.sh has compiled, by their compiler and with its C++
# library, and runs it: for each target that can be run here. Prints a line for each.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/fanwire-runtime.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0 ran=0
for built in "$root"/build/npm/linux-*/fanwire/capi/libfanwire.a; do
    target=$(basename "$(dirname "$(dirname "$(dirname "$built")")")")
    deps=$root/build/deps/$target
    case $target in
        linux-x64-musl) [ -e /lib/ld-musl-x86_64.so.1 ] || continue ;;
        linux-arm64-*) continue ;;
    esac
    libraries=$(sed -nE 's/^set\(CMAKE_CXX_STANDARD_LIBRARIES "(.*)"\)/\1/p' "$deps/toolchain.cmake" | sed "s|\${CMAKE_CURRENT_LIST_DIR}|$deps|g")
    # shellcheck disable=SC2086
    if "$deps/bin/cc" -std=gnu99 -Wall -DFANWIRE_STATIC -I"$root/capi/include" -c -o "$work/thread_end.o" "$here/thread_end.c" >"$work/log" 2>&1 &&
        "$deps/bin/c++" -dynamic -o "$work/thread_end" "$work/thread_end.o" "$built" "$deps"/lib/lib{hiredis,event_core,ssl,crypto}.a $libraries \
            -pthread >>"$work/log" 2>&1 && timeout 120 "$work/thread_end" 2>>"$work/log" | grep -qx ok; then
        echo "ok $target"
    else
        cat "$work/log"
        echo "FAILED $target"
        failed=1
    fi
    ran=$((ran + 1))
done
[ "$failed" -eq 0 ] && [ "$ran" -gt 0 ]
