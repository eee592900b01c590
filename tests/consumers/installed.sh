#!/bin/sh
# Installs the build into a prefix, moves that prefix, and uses what is in it as others will.
#
# installed.sh setup|files|pkg_config|pkg_config_static|find_package|exports|fetch|one_library|components|wrong_version|command_line
# The environment has BUILD (this project's build directory), WORK (a directory of ours), LIBDIR (relative),
# VERSION, CC, CXX, CMAKE.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=$WORK/moved
export PKG_CONFIG_PATH="$prefix/$LIBDIR/pkgconfig"

fail() {
    echo "installed.sh: $*" >&2
    exit 1
}

# What libraries of ours a program would load.
loads_fanwire() { LD_LIBRARY_PATH="$prefix/$LIBDIR" ldd "$1" | grep -q libfanwire; }

setup() {
    rm -rf "$WORK"
    mkdir -p "$WORK"
    "$CMAKE" --install "$BUILD" --prefix "$WORK/installed" >"$WORK/install.log" || fail "$(cat "$WORK/install.log")"
    mv "$WORK/installed" "$prefix" # nothing may depend on where it was installed to
    if grep -rIl "$WORK/installed\|$BUILD" "$prefix/include" "$prefix/$LIBDIR/cmake" "$prefix/$LIBDIR/pkgconfig"; then
        fail "the files above name directories of the build"
    fi
}

# Exactly these are installed, and the command if it was built.
files() {
    cat >"$WORK/expected" <<END
$(cd "$here/../../capi" && find include -type f)
$LIBDIR/cmake/fanwire/fanwireConfig.cmake
$LIBDIR/cmake/fanwire/fanwireConfigVersion.cmake
$LIBDIR/cmake/fanwire/fanwireStaticTargets.cmake
$LIBDIR/cmake/fanwire/fanwireTargets.cmake
$LIBDIR/libfanwire.a
$LIBDIR/libfanwire.so
$LIBDIR/libfanwire.so.$VERSION
$LIBDIR/libfanwire.so.1
$LIBDIR/pkgconfig/fanwire.pc
END
    (cd "$prefix" && find . ! -type d | sed 's|^\./||' | grep -v '^bin/\|Targets-.*\.cmake$') >"$WORK/found"
    LC_ALL=C sort -o "$WORK/found" "$WORK/found"
    LC_ALL=C sort -o "$WORK/expected" "$WORK/expected"
    diff "$WORK/expected" "$WORK/found" || fail "not what should be installed (< missing, > not expected)"
    [ "$(pkg-config --modversion fanwire)" = "$VERSION" ] || fail "fanwire.pc has another version than $VERSION"
}

# As the README has it: cc $(pkg-config --cflags --libs fanwire).
pkg_config() {
    # What the library stands on is no business of whoever compiles against it: its .pc files need not be there.
    flags=$(PKG_CONFIG_LIBDIR=/nonexistent pkg-config --cflags fanwire) || fail "--cflags asks for other packages"
    # shellcheck disable=SC2086
    [ "$(echo $flags | wc -w)" -eq 1 ] || fail "--cflags gives more than our own folder: $flags"
    flags=$(pkg-config --cflags --libs fanwire)
    # shellcheck disable=SC2086
    "$CC" -Wall -Wextra -Werror -o "$WORK/shared" "$here/installed.c" $flags
    loads_fanwire "$WORK/shared" || fail "linked without libfanwire.so"
    LD_LIBRARY_PATH="$prefix/$LIBDIR" "$WORK/shared"
}

# A prefix that holds the archive only, as for a static build of everything.
pkg_config_static() {
    rm -rf "$WORK/archive"
    cp -R "$prefix" "$WORK/archive"
    rm "$WORK/archive/$LIBDIR"/libfanwire.so*
    PKG_CONFIG_PATH="$WORK/archive/$LIBDIR/pkgconfig"
    flags=$(pkg-config --static --cflags --libs fanwire)
    case $flags in *-DFANWIRE_STATIC*) ;; *) fail "no -DFANWIRE_STATIC in: $flags" ;; esac
    # shellcheck disable=SC2086
    "$CC" -Wall -Wextra -Werror -o "$WORK/static" "$here/installed.c" $flags
    if loads_fanwire "$WORK/static"; then fail "linked with libfanwire.so"; fi
    "$WORK/static"
    if nm -D --defined-only "$WORK/static" | grep fanwire; then fail "the symbols above are exported again"; fi
}

find_package() {
    rm -rf "$WORK/cmake"
    "$CMAKE" -S "$here/find_package" -B "$WORK/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" \
        -DCMAKE_CXX_COMPILER="$CXX" -DC_PROGRAM="$here/installed.c" -DWANTED="$VERSION"
    "$CMAKE" --build "$WORK/cmake"
    for program in cpp_fanwire c_fanwire; do
        ldd "$WORK/cmake/$program" | grep -q "$prefix/$LIBDIR/libfanwire.so.1" ||
            fail "$program: does not load the installed library"
    done
    for program in cpp_fanwire_static c_fanwire_static; do
        if loads_fanwire "$WORK/cmake/$program"; then fail "$program: linked with libfanwire.so"; fi
    done
    for program in cpp_fanwire c_fanwire cpp_fanwire_static c_fanwire_static; do "$WORK/cmake/$program"; done
}

# Asking for another minor version is refused, with a message that names what is there.
wrong_version() {
    rm -rf "$WORK/wrong"
    if "$CMAKE" -S "$here/find_package" -B "$WORK/wrong" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" \
        -DCMAKE_CXX_COMPILER="$CXX" -DC_PROGRAM="$here/installed.c" -DWANTED=99.0 >"$WORK/wrong.log" 2>&1; then
        fail "version 99.0 was found"
    fi
    grep -q "version: $VERSION" "$WORK/wrong.log" || fail "$(cat "$WORK/wrong.log")"
}

# A library with fanwire_static in its interface installs, and whoever finds that library finds fanwire with it.
exports() {
    rm -rf "$WORK/chat" "$WORK/chat_installed" "$WORK/chat_user"
    "$CMAKE" -S "$here/exports" -B "$WORK/chat" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX"
    "$CMAKE" --build "$WORK/chat"
    "$CMAKE" --install "$WORK/chat" --prefix "$WORK/chat_installed"
    "$CMAKE" -S "$here/exports/user" -B "$WORK/chat_user" -DCMAKE_PREFIX_PATH="$prefix;$WORK/chat_installed" -DCMAKE_C_COMPILER="$CC" \
        -DCMAKE_CXX_COMPILER="$CXX"
    "$CMAKE" --build "$WORK/chat_user"
    if loads_fanwire "$WORK/chat_user/user"; then fail "linked with libfanwire.so"; fi
    "$WORK/chat_user/user"
}

# With FetchContent the library is part of another project, which gets nothing else of it.
fetch() {
    rm -rf "$WORK/fetch"
    "$CMAKE" -S "$here/fetch" -B "$WORK/fetch" -DFANWIRE_SOURCE="$here/../.." -DC_PROGRAM="$here/installed.c" -DCMAKE_C_COMPILER="$CC" \
        -DCMAKE_CXX_COMPILER="$CXX"
    "$CMAKE" --build "$WORK/fetch" --parallel
    "$WORK/fetch/c_program"
    [ ! -e "$WORK/fetch/_deps/fanwire-build/tests" ] || fail "the tests are built too"
}

# BUILD_SHARED_LIBS means what it does in other projects. Both builds only configure; what they would install says it all.
one_library() {
    for shared in ON OFF; do
        rm -rf "$WORK/one"
        "$CMAKE" -S "$here/../.." -B "$WORK/one" -DBUILD_SHARED_LIBS=$shared -DFANWIRE_TESTS=OFF -DFANWIRE_CLI=OFF \
            -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" >"$WORK/one.log" || fail "$(cat "$WORK/one.log")"
        shared_lines=$(grep -c 'libfanwire\.so' "$WORK/one/cmake_install.cmake" || true)
        static_lines=$(grep -c 'libfanwire\.a' "$WORK/one/cmake_install.cmake" || true)
        case $shared in
        ON) [ "$shared_lines" -gt 0 ] && [ "$static_lines" -eq 0 ] || fail "BUILD_SHARED_LIBS=ON installs another library than the shared one" ;;
        OFF) [ "$shared_lines" -eq 0 ] && [ "$static_lines" -gt 0 ] || fail "BUILD_SHARED_LIBS=OFF installs another library than the static one" ;;
        esac
    done
}

# The parts that packagers install one by one.
components() {
    for component in runtime development command; do
        rm -rf "$WORK/component"
        "$CMAKE" --install "$BUILD" --prefix "$WORK/component" --component $component >"$WORK/component.log" || fail "$(cat "$WORK/component.log")"
        files=$(cd "$WORK/component" && find . ! -type d)
        case $component in
        runtime) [ "$(echo "$files" | grep -vc 'libfanwire\.so\.')" -eq 0 ] || fail "in runtime: $files" ;;
        development) echo "$files" | grep -q 'fanwire\.h$' && echo "$files" | grep -q 'libfanwire\.so$' || fail "in development: $files" ;;
        command) [ "$files" = ./bin/fanwire ] || [ -z "$files" ] || fail "in command: $files" ;;
        esac
    done
}

# The installed command runs from where it was moved to and says its version.
command_line() {
    "$prefix/bin/fanwire" --version | grep -F "$VERSION"
}

case ${1:-} in
setup | files | pkg_config | pkg_config_static | find_package | exports | fetch | one_library | components | wrong_version | command_line) "$1" ;;
*) fail "unknown step ${1:-}" ;;
esac
