#!/usr/bin/env bash
# Builds and runs the tests of the reply reader against hiredis 1.x, where Debian 12 has 0.14: its reader differs (types
# of the callbacks, layout, no limit of nesting). The sources come inside the package `hiredis` of PyPI.
# usage: check_hiredis1.sh BUILD_DIRECTORY
set -euo pipefail
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1" && cd "$1"
[ -d vendor ] || {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: 'hiredis>=3' >pip.log 2>&1 ||
        { cat pip.log >&2; echo "hiredis 1.x: its sources could not be had from PyPI" >&2; exit 1; }
    mkdir -p vendor include
    tar -xf hiredis-*.tar.gz --strip-components=3 -C vendor --wildcards '*/vendor/hiredis/*'
    ln -sfn "$PWD/vendor" include/hiredis
}
for part in alloc read sds; do ${CC:-cc} -c -O1 -Ivendor "vendor/$part.c" -o "$part.o"; done
${CXX:-c++} -std=c++20 -O1 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -isystem include -I"$source_dir" \
    "$source_dir"/core/protocol/reply.cpp "$source_dir"/tests/unit/reply_test.cpp ./*.o -lgtest -lgtest_main -lpthread \
    -o reply_tests
echo "hiredis $(sed -n 's/^#define HIREDIS_\(MAJOR\|MINOR\|PATCH\) //p' vendor/hiredis.h | paste -sd.)"
./reply_tests --gtest_brief=1
