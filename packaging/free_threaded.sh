#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/free_threaded.sh [TEST...]

Runs the Python tests (tests/python/TEST; default: those with many threads, and of each interface) in a free-threaded CPython
under the thread sanitizer. A race in the extension or the engine fails it. Takes half an hour the first time, on two processors.

CPython 3.13 is compiled for it, from the source of Debian's package (apt checks it against Debian's signature), with GCC and the
sanitizer; the extension and the engine likewise. Races that CPython itself lists as its own are left out. All that is kept in
build/free-threaded.
TEXT
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac
tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(test_threads.py test_outcome.py test_publish.py test_subscribe.py test_client.py test_request.py)

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

version=3.13
place=$root/build/free-threaded
sources=$place/sources
interpreter=$place/python/bin/python${version}t
site=$place/site

# The thread sanitizer wants its shadow memory where some kernels put other things; so no address randomisation.
fixed=()
if setarch "$(uname -m)" -R true 2>/dev/null; then fixed=(setarch "$(uname -m)" -R); fi

make_python() {
    [ ! -x "$interpreter" ] || { echo "it is there already"; return 0; }
    rm -rf "$sources" && mkdir -p "$sources" "$place/download" && prepare_suites "$place/apt" deb-src trixie || return
    (cd "$place/download" && apt-get "${suite_options[@]}" source --download-only --tar-only "python$version") || return
    tar -xf "$(echo "$place/download/python$version"_*.orig.tar.xz)" -C "$sources" --strip-components=1 && cd "$sources" || return
    ./configure -q --prefix="$place/python" --disable-gil --with-thread-sanitizer --disable-test-modules --without-ensurepip \
        CC=gcc OPT="-O1 -g1 -DNDEBUG" && "${fixed[@]}" make -s -j "$(nproc)" && "${fixed[@]}" make -s install
}

# What the tests import besides; nothing of it is compiled.
install_packages() {
    "$python" -m venv "$place/tools" && "$place/tools/bin/python" -m pip install --disable-pip-version-check --quiet 'pybind11>=3.0' &&
        "$place/tools/bin/python" -m pip install --disable-pip-version-check --quiet --upgrade --target "$site" --only-binary=:all: \
            --python-version "$version" --platform any 'pytest>=8' 'pytest-asyncio>=0.24' 'pytest-timeout>=2.3'
}

build_extension() {
    local build=$place/extension
    cmake -S "$root/bindings/python" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" \
        -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++ -DFANWIRE_SANITIZE=thread \
        -Dpybind11_DIR="$("$place/tools/bin/pybind11-config" --cmakedir)" \
        -DFANWIRE_PYTHON_INCLUDE="$place/python/include/python${version}t" -DFANWIRE_PYTHON_FREE_THREADED=ON \
        -DFANWIRE_PYTHON_SUFFIX=".cpython-${version/./}t-$(gcc -dumpmachine).so" && cmake --build "$build" --target _native || return
    rm -rf "$site/fanwire" && cp -r "$root/bindings/python/src/fanwire" "$site/" && cp "$build"/_native*.so "$site/fanwire/"
}

run_tests() {
    cd "$root/tests/python" && PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1 \
        TSAN_OPTIONS="suppressions=$place/suppressions history_size=4" \
        "${fixed[@]}" "$interpreter" -X gil=0 -m pytest -p no:cacheprovider --tb=short -o timeout=600 "${tests[@]}"
}

need_build_tools
need make command -v make
need python3-venv python_usable python3
need libffi-dev have_file '/usr/include/*/ffi.h'
need zlib1g-dev have_file '/usr/include/zlib.h'
install_missing
choose_python
step "compile a free-threaded CPython $version with the thread sanitizer" make_python || die "no free-threaded Python"
step "install what the tests import" install_packages || die "pytest cannot be had"
step "compile the extension with the thread sanitizer" build_extension || die "no extension"
cat "$sources"/Tools/tsan/sup*.txt >"$place/suppressions"
tail_lines=200 step "run the tests without a GIL" run_tests || die "races, or tests that failed"
sed -n 's/^=\+ \(.*passed.*[^=]\) =\+$/    | \1/p' "$step_log"
