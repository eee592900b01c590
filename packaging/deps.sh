#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/deps.sh [--targets LIST] [--locked] [--update]

Builds hiredis, libevent and OpenSSL as static libraries for the binary packages (wheels, npm), from Debian's source
packages, and a cross compiler's wrappers for each target. What is there already is not built again.

  --targets LIST   comma-separated, of the targets below, or "all"; default: linux-x64-gnu
  --locked         fail when Debian no longer has a version of packaging/deps.lock, instead of taking the newest one
  --update         write the newest versions of the suite and their checksums into packaging/deps.lock, and stop
  --help           this text

Targets: linux-x64-gnu linux-arm64-gnu (glibc 2.28 and later), linux-x64-musl linux-arm64-musl.

The compiler is Zig's (the PyPI package ziglang), which brings the headers and start files of each C library. The
result of a target is build/deps/TARGET: bin/ (cc, c++, ar, ranlib), include/, lib/ with pkg-config files, licenses/.
The checksum of a source archive must be the one in packaging/deps.lock. Where Debian has replaced that version by a newer
one, the newest is taken, checked against Debian's signature; build/deps/deps.lock says what was.
TEXT
}

targets=linux-x64-gnu update="" locked_only=${FANWIRE_DEPS_LOCKED:-}
while [ $# -gt 0 ]; do
    case $1 in
        --targets) targets=${2:-}; shift 2 ;;
        --targets=*) targets=${1#*=}; shift ;;
        --locked) locked_only=yes; shift ;;
        --update) update=yes; shift ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'deps.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
done

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$targets" != all ] || targets=$all_targets
IFS=, read -ra targets <<<"$targets"
for target in "${targets[@]}"; do
    case ",$all_targets," in
        *",$target,"*) ;;
        *) die "there is no target \"$target\"; there are $all_targets" ;;
    esac
done
[ ${#targets[@]} -gt 0 ] || die "--targets names no target"

deps=$root/build/deps
wanted_lock=$root/packaging/deps.lock
lock=$deps/deps.lock # what was taken
ziglang=0.15.2
libraries=(hiredis libevent openssl)
jobs=$(nproc)

locked() { awk -v package="$1" -v field="$2" '$1 == package { print $field }' "$lock"; }

# ---- Sources ---------------------------------------------------------------------------------------------

# apt with lists of its own: the machine's entries for Debian, with the suite replaced and sources asked for.
apt_sources=$deps/apt
apt_options=(-q -o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$apt_sources/parts"
    -o "Dir::State::Lists=$apt_sources/lists" -o "Acquire::Languages=none" -o "APT::Sandbox::User=root")

prepare_apt() {
    mkdir -p "$apt_sources/parts" "$apt_sources/lists/partial"
    debian_entry deb-src "$(awk '$1 == "suite" { print $2 }' "$wanted_lock")" >"$apt_sources/parts/debian.sources" || return
    apt-get "${apt_options[@]}" update
}

orig_name() { local version=${2%-*}; echo "$1_$version.orig.tar.gz"; }

verify() {
    local file=$1 sum=$2
    [ -f "$file" ] || return 1
    echo "$sum  $file" | sha256sum --check --quiet
}

# The newest version of which the source archive can be had, as a row of the lock. apt has checked it against Debian's signature.
newest() {
    local package=$1 version file
    while read -r version; do
        (cd "$deps/sources" && apt-get "${apt_options[@]}" source --download-only --tar-only "$package=$version" >&2) || continue
        file=$deps/sources/$(orig_name "$package" "$version")
        echo "$package $version $(sha256sum "$file" | cut -d ' ' -f 1)"
        return
    done < <(apt-cache "${apt_options[@]}" showsrc --only-source "$package" | sed -n 's/^Version: //p' | sort -rV)
    echo "no source of $package can be had" >&2
    return 1
}

# The row of the lock with its archive; where Debian has replaced that version, and a release does not forbid it, the newest.
fetch() {
    local package=$1 version sum file
    version=$(awk -v package="$package" '$1 == package { print $2 }' "$wanted_lock")
    sum=$(awk -v package="$package" '$1 == package { print $3 }' "$wanted_lock")
    file=$deps/sources/$(orig_name "$package" "$version")
    if ! verify "$file" "$sum" 2>/dev/null; then
        rm -f "$file"
        [ -f "$apt_sources/updated" ] || { prepare_apt >&2 && touch "$apt_sources/updated"; } || return
        (cd "$deps/sources" && apt-get "${apt_options[@]}" source --download-only --tar-only "$package=$version" >&2) || true
    fi
    if [ ! -f "$file" ]; then
        echo "Debian no longer has $package $version (packaging/deps.sh --update pins the newest version)" >&2
        [ -z "$locked_only" ] && newest "$package"
        return
    fi
    verify "$file" "$sum" >&2 || { echo "$file is not what packaging/deps.lock names" >&2; rm -f "$file"; return 1; }
    echo "$package $version $sum"
}

fetch_all() {
    local package rows=""
    mkdir -p "$deps/sources" "$apt_sources"
    rm -f "$apt_sources/updated"
    for package in "${libraries[@]}"; do rows+=$(fetch "$package")$'\n' || return; done
    echo "$rows"
    printf '%s' "$rows" >"$lock"
}

update_lock() {
    local package rows=""
    mkdir -p "$deps/sources"
    prepare_apt || return
    for package in "${libraries[@]}"; do rows+=$(newest "$package")$'\n' || return; done
    { grep -E '^(#|suite )' "$wanted_lock"; printf '%s' "$rows"; } >"$wanted_lock.new" && mv "$wanted_lock.new" "$wanted_lock"
}

# ---- The compiler ----------------------------------------------------------------------------------------

install_zig() {
    local venv=$deps/zig
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || return
    "$venv/bin/python" -m ziglang version 2>/dev/null | grep -qx "$ziglang" && return
    "$venv/bin/python" -m pip install --disable-pip-version-check --quiet "ziglang==$ziglang"
}

zig_target() {
    case $1 in
        linux-x64-gnu) echo x86_64-linux-gnu.2.28 ;;
        linux-arm64-gnu) echo aarch64-linux-gnu.2.28 ;;
        linux-x64-musl) echo x86_64-linux-musl ;;
        linux-arm64-musl) echo aarch64-linux-musl ;;
    esac
}

# Wrappers, since most build systems take one word for a compiler. Zig adds its own checks for undefined behaviour to what it
# compiles without optimisation; they need a run time that is not there. Its default of a version-independent CPU is kept.
make_wrappers() {
    local target=$1 bin=$deps/$1/bin zig triple tool
    zig=$("$deps/zig/bin/python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
    triple=$(zig_target "$target")
    mkdir -p "$bin"
    for tool in cc c++; do
        printf '#!/bin/sh\nexec "%s" %s -target %s -fno-sanitize=undefined "$@"\n' "$zig" "$tool" "$triple" >"$bin/$tool"
    done
    for tool in ar ranlib; do printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" "$tool" >"$bin/$tool"; done
    chmod +x "$bin"/*
    # What a build with CMake needs to know of it all.
    cat >"$deps/$target/toolchain.cmake" <<CMAKE
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${triple%%-*})
set(CMAKE_C_COMPILER \${CMAKE_CURRENT_LIST_DIR}/bin/cc)
set(CMAKE_CXX_COMPILER \${CMAKE_CURRENT_LIST_DIR}/bin/c++)
set(CMAKE_AR \${CMAKE_CURRENT_LIST_DIR}/bin/ar)
set(CMAKE_RANLIB \${CMAKE_CURRENT_LIST_DIR}/bin/ranlib)
set(CMAKE_FIND_ROOT_PATH \${CMAKE_CURRENT_LIST_DIR})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} \${CMAKE_CURRENT_LIST_DIR}/lib/pkgconfig)
set(OPENSSL_ROOT_DIR \${CMAKE_CURRENT_LIST_DIR})
set(OPENSSL_USE_STATIC_LIBS TRUE)
CMAKE
    leave_out_demangler "$target" || return
    local every_link='${CMAKE_CURRENT_LIST_DIR}/lib/no_demangler.o'
    case $target in *-gnu) use_libgcc "$target" && every_link+=' ${CMAKE_CURRENT_LIST_DIR}/lib/libgcc_s.so.1' || return ;; esac
    echo "set(CMAKE_CXX_STANDARD_LIBRARIES \"$every_link\")" >>"$deps/$target/toolchain.cmake"
}

# The C++ library's last words before it ends a process name an exception's type, readable: for that it brings a demangler,
# 150 KB of code. Without one it says the mangled name.
leave_out_demangler() {
    local target=$1 dir=$deps/$1/lib
    mkdir -p "$dir"
    echo 'char *__cxa_demangle(const char *name, char *out, unsigned long *size, int *status) { if (status) *status = -2; return 0; }' >"$dir/no_demangler.c"
    "$deps/$target/bin/cc" -Os -fPIC -fvisibility=hidden -w -c "$dir/no_demangler.c" -o "$dir/no_demangler.o"
}

# glibc ends threads (pthread_exit, pthread_cancel; CPython does it to daemon threads) by unwinding them with libgcc_s. What
# is unwound must use the same unwinder: two of them do not understand each other's contexts. Zig would link one of its own
# into each binary. So they are linked with a stub of libgcc_s, which every glibc system has; musl does not unwind.
use_libgcc() {
    local target=$1 dir=$deps/$1/lib name
    local gcc_3_0="_Unwind_Resume _Unwind_RaiseException _Unwind_ForcedUnwind _Unwind_DeleteException _Unwind_GetGR
        _Unwind_SetGR _Unwind_GetIP _Unwind_SetIP _Unwind_GetRegionStart _Unwind_GetLanguageSpecificData
        _Unwind_GetDataRelBase _Unwind_GetTextRelBase"
    local gcc_3_3="_Unwind_Backtrace _Unwind_GetCFA _Unwind_Resume_or_Rethrow _Unwind_FindEnclosingFunction"
    local gcc_4_2="_Unwind_GetIPInfo"
    mkdir -p "$dir"
    for name in $gcc_3_0 $gcc_3_3 $gcc_4_2; do echo "void $name(void) {}"; done >"$dir/libgcc_s.c"
    printf 'GCC_3.0 { global: %s; local: *; };\nGCC_3.3 { global: %s; } GCC_3.0;\nGCC_4.2.0 { global: %s; } GCC_3.3;\n' \
        "$(echo $gcc_3_0 | sed 's/ /; /g')" "$(echo $gcc_3_3 | sed 's/ /; /g')" "$gcc_4_2" >"$dir/libgcc_s.map"
    "$deps/$target/bin/cc" -shared -nostdlib -o "$dir/libgcc_s.so.1" "$dir/libgcc_s.c" -Wl,-soname,libgcc_s.so.1 \
        "-Wl,--version-script=$dir/libgcc_s.map"
}

# ---- The libraries ---------------------------------------------------------------------------------------

# Hidden: whatever links these archives shows none of their symbols. Each function in a section of its own, so that what
# nobody calls is left out.
c_flags="-O2 -g0 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections"

unpack() {
    local package=$1 dir=$2 file
    file=$deps/sources/$(orig_name "$package" "$(locked "$package" 2)")
    rm -rf "$dir" && mkdir -p "$dir" && tar -xf "$file" -C "$dir" --strip-components=1
}

build_hiredis() {
    local dir=$work/hiredis prefix=$1
    unpack hiredis "$dir" && cd "$dir" || return
    make -j "$jobs" static CC="$prefix/bin/cc" AR="$prefix/bin/ar" OPTIMIZATION="$c_flags" DEBUG= || return
    mkdir -p "$prefix/include/hiredis" "$prefix/lib/pkgconfig" &&
        cp hiredis.h read.h sds.h alloc.h sockcompat.h "$prefix/include/hiredis/" && cp libhiredis.a "$prefix/lib/" || return
    write_pc hiredis "$(sed -nE 's/^#define HIREDIS_(MAJOR|MINOR|PATCH) ([0-9]+).*/\2/p' hiredis.h | paste -sd.)" \
        "-I\${prefix}/include -I\${prefix}/include/hiredis" -lhiredis
    cp COPYING "$prefix/licenses/hiredis"
}

build_libevent() {
    local dir=$work/libevent prefix=$1 host=$2
    unpack libevent "$dir" && cd "$dir" || return
    if [ ! -x configure ]; then autoreconf -fi || return; fi
    ./configure --host="$host" --prefix="$prefix" --disable-shared --enable-static --disable-openssl --disable-samples \
        --disable-libevent-regress --disable-debug-mode --disable-thread-support --with-pic CC="$prefix/bin/cc" AR="$prefix/bin/ar" \
        RANLIB="$prefix/bin/ranlib" CFLAGS="$c_flags" && make include/event2/event-config.h &&
        make -j "$jobs" libevent_core.la || return
    cp -r include/event2 "$prefix/include/" && cp .libs/libevent_core.a "$prefix/lib/" || return
    write_pc libevent_core "$(sed -nE 's/^#define EVENT__VERSION "(.*)"/\1/p' include/event2/event-config.h)" \
        "-I\${prefix}/include" -levent_core
    cp LICENSE "$prefix/licenses/libevent"
}

build_openssl() {
    local dir=$work/openssl prefix=$1 platform=$2
    unpack openssl "$dir" && cd "$dir" || return
    # No file of the build machine is looked at: an engine finds the authorities itself (core/net/trust). No atexit handler
    # in a host's process. What TLS 1.2 and 1.3 need stays.
    # Small code: what takes time is written in assembly. The variants for AVX-512, which are as large as all the rest of
    # libcrypto that we use, are left out as for an old assembler.
    sed -i -E '/avx512(vaes|ifma) *=/s/\(\$ver *>= *[0-9.]+\)/(0)/' crypto/modes/asm/aes-gcm-avx512.pl crypto/bn/asm/rsaz-*k-avx512.pl || return
    # P-256 by the general code: its own has a table of 150 KB, for handshakes, of which there is one for each connection.
    # And no encoders of keys: a client reads keys and writes none.
    sed -i -E '/EC(ASM|DEF)_(x86_64|aarch64)=/s/=(ecp_nistz256\.c ecp_nistz256-[a-z0-9_]+\.[sS]|ECP_NISTZ256_ASM)$/=/' crypto/ec/build.info &&
        ! grep -E '(x86_64|aarch64)=.*NISTZ256' crypto/ec/build.info &&
        sed -i '/#include "encoders.inc"/d' providers/{defltprov,baseprov}.c || return
    CFLAGS=-Oz CC=$prefix/bin/cc AR=$prefix/bin/ar RANLIB=$prefix/bin/ranlib ./Configure "$platform" --prefix=/usr --libdir=lib \
        --openssldir=/etc/ssl no-shared no-module no-dso no-engine no-legacy no-tests no-apps no-docs no-atexit no-autoload-config \
        no-ssl3 no-dtls no-comp no-srp no-psk no-srtp no-ct no-cms no-ts no-cmp no-quic no-http no-ocsp no-rfc3779 no-gost \
        no-idea no-camellia no-seed no-aria no-bf no-cast no-rc2 no-rc4 no-rc5 no-des no-md4 no-mdc2 no-whirlpool \
        no-ml-kem no-blake2 no-rmd160 no-scrypt no-argon2 no-siv no-ocb no-multiblock no-cmac \
        no-sm2 no-sm3 no-sm4 no-siphash no-ec2m no-dsa no-slh-dsa no-ml-dsa no-afalgeng \
        -DOPENSSL_SMALL_FOOTPRINT -fvisibility=hidden -ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables -g0 2>configure.log || { cat configure.log; return 1; }
    make -s -j "$jobs" build_libs || return
    mkdir -p "$prefix/include" && rm -rf "$prefix/include/openssl" && cp -r include/openssl "$prefix/include/" &&
        cp libssl.a libcrypto.a "$prefix/lib/" || return
    local version
    version=$(sed -nE 's/^# *define OPENSSL_FULL_VERSION_STR "([^"]*)"/\1/p' include/openssl/opensslv.h)
    write_pc libcrypto "$version" "-I\${prefix}/include" "-lcrypto"
    write_pc libssl "$version" "-I\${prefix}/include" "-lssl -lcrypto"
    write_pc openssl "$version" "-I\${prefix}/include" "-lssl -lcrypto"
    cp LICENSE.txt "$prefix/licenses/openssl"
}

# write_pc NAME VERSION CFLAGS LIBS
write_pc() {
    printf 'prefix=${pcfiledir}/../..\nName: %s\nDescription: %s, static\nVersion: %s\nCflags: %s\nLibs: -L${prefix}/lib %s\n' \
        "$1" "$1" "$2" "$3" "$4" >"$prefix/lib/pkgconfig/$1.pc"
}

build_target() {
    local target=$1 prefix=$deps/$1 host platform work=$deps/work-$1
    case $target in
        linux-x64-*) platform=linux-x86_64 host=x86_64-linux-${target##*-} ;;
        linux-arm64-*) platform=linux-aarch64 host=aarch64-linux-${target##*-} ;;
    esac
    mkdir -p "$prefix"/{include,lib/pkgconfig,licenses} "$work"
    make_wrappers "$target" && (build_hiredis "$prefix") && (build_libevent "$prefix" "$host") &&
        (build_openssl "$prefix" "$platform") && rm -rf "$work" && stamp "$target" >"$prefix/built"
}

# What a target's libraries were made of.
stamp() { cat "$lock" "$root/packaging/deps.sh"; }

cd "$root"
need g++ command -v g++
need make command -v make
need perl perl -MIPC::Cmd -MPod::Usage -e 1
need python3-venv python_usable python3
install_missing
choose_python

if [ -n "$update" ]; then
    step "newest sources" update_lock || die "packaging/deps.lock stays as it was"
    cat "$wanted_lock"
    exit 0
fi

step "fetch the sources of hiredis, libevent and OpenSSL" fetch_all || die "the sources cannot be had"
step "install the cross compiler" install_zig || die "PyPI's package ziglang cannot be had"
for target in "${targets[@]}"; do
    if [ -f "$deps/$target/built" ] && cmp -s <(stamp "$target") "$deps/$target/built"; then
        log "$target: built already"
        continue
    fi
    step "build the libraries for $target" build_target "$target" || die "no libraries for $target"
done
