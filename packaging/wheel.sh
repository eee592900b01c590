#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/wheel.sh [--targets LIST] [--pythons LIST] [--sdist]

Makes wheels in build/wheel/packages: for each target and each version of Python one. Nothing is published.

  --targets LIST   comma-separated, or "all"; see packaging/deps.sh, which builds what they link; default: linux-x64-gnu
  --pythons LIST   comma-separated versions (3.11,3.13,3.14t), or "all" for those of which this machine or Debian has
                   the headers; a "t": free-threaded; default: that of python3
  --sdist          the source distribution too, with the engine's sources inside
  --help           this text

Wheels are manylinux_2_28 or musllinux_1_2, need only the C library, and come with their licences and an SBOM. They are
looked through by auditwheel and twine.
TEXT
}

targets=linux-x64-gnu pythons="" sdist=""
while [ $# -gt 0 ]; do
    case $1 in
        --targets) targets=${2:-}; shift 2 ;;
        --targets=*) targets=${1#*=}; shift ;;
        --pythons) pythons=${2:-}; shift 2 ;;
        --pythons=*) pythons=${1#*=}; shift ;;
        --sdist) sdist=yes; shift ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'wheel.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
done

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

wheel=$root/build/wheel
packages=$wheel/packages
tools=$wheel/tools
wheel_bytes_max=$((5 * 1024 * 1024))
all_pythons=3.11,3.12,3.13,3.14,3.14t,3.15

need_build_tools
need python3-venv python_usable python3
need patchelf command -v patchelf # auditwheel wants it
install_missing
choose_python
"$root/packaging/deps.sh" --targets "$targets" || exit
[ "$targets" != all ] || targets=$all_targets
IFS=, read -ra targets <<<"$targets"
rm -rf "$packages"
mkdir -p "$packages"

install_tools() {
    [ -x "$tools/bin/python" ] || "$python" -m venv "$tools" || return
    "$tools/bin/python" -m pip install --disable-pip-version-check --quiet 'pybind11>=3.0' 'scikit-build-core>=0.10' build auditwheel twine
}

# ---- Headers of other Pythons ----------------------------------------------------------------------------

# An interpreter of that version on this machine, if it has its headers.
local_headers() {
    local version=$1 interpreter include
    for interpreter in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python "/usr/bin/python$version" "$python"; do
        include=$("$interpreter" -c "import sys, sysconfig
assert '%d.%d' % sys.version_info[:2] == '$version'
print(sysconfig.get_path('include'))" 2>/dev/null) || continue
        [ -f "$include/Python.h" ] && [ -f "$include/pyconfig.h" ] || continue
        grep -q 'include <x86_64-linux-gnu\|# *include "pyconfig' "$include/pyconfig.h" && continue # Debian's: by architecture
        echo "$include"
        return
    done
    return 1
}

# From Debian's package of the headers, of whatever suite has it.
debian_headers() {
    local version=$1 dir=$wheel/headers/$1 lists=$wheel/apt
    if [ ! -f "$dir/usr/include/python$version/Python.h" ]; then
        mkdir -p "$dir/download" && prepare_suites "$lists" deb bookworm,trixie,sid >&2 || return
        (cd "$dir/download" && apt-get "${suite_options[@]}" download "libpython$version-dev" >&2) || return
        dpkg -x "$dir"/download/*.deb "$dir" || return
    fi
    [ -f "$dir/usr/include/python$version/Python.h" ] || return
    # Debian's pyconfig.h includes that of the architecture by its triplet; all 64-bit Linuxes have the same.
    local triplet
    for triplet in x86_64-linux-gnu aarch64-linux-gnu x86_64-linux-musl aarch64-linux-musl; do
        [ -e "$dir/usr/include/$triplet" ] || ln -s "$(ls "$dir/usr/include" | grep -m 1 -- '-linux-gnu$')" "$dir/usr/include/$triplet"
    done
    echo "$dir/usr/include/python$version;$dir/usr/include"
}

# Free-threaded builds have the same headers, but for one line of pyconfig.h, which the compiler is told instead.
headers() { local_headers "${1%t}" || debian_headers "${1%t}"; }

# ---- Wheels ----------------------------------------------------------------------------------------------

platform_tag() {
    local machine=x86_64
    case $1 in *-arm64-*) machine=aarch64 ;; esac
    case $1 in *-gnu) echo "manylinux_2_28_$machine" ;; *) echo "musllinux_1_2_$machine" ;; esac
}

# What an extension's name ends with where it is loaded.
extension_suffix() {
    local machine=x86_64
    case $1 in *-arm64-*) machine=aarch64 ;; esac
    echo ".cpython-${2/./}-$machine-linux-${1##*-}.so"
}

# One folder for all versions of a target: the engine is compiled once.
build_extension() {
    local target=$1 version=$2 include=$3 build=$wheel/$1 free_threaded=OFF
    case $version in *t) free_threaded=ON ;; esac
    cmake -S "$root/bindings/python" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_TOOLCHAIN_FILE="$root/build/deps/$target/toolchain.cmake" -DCMAKE_MODULE_LINKER_FLAGS=-s \
        -Dpybind11_DIR="$("$tools/bin/pybind11-config" --cmakedir)" -DFANWIRE_PYTHON_INCLUDE="$include" \
        -DFANWIRE_PYTHON_FREE_THREADED=$free_threaded \
        -DFANWIRE_PYTHON_SUFFIX="$(extension_suffix "$target" "$version")" && cmake --build "$build" --target _native
}

make_wheel() {
    local target=$1 version=$2 tag extension file
    local abi=cp${version/./}
    tag=${abi%t}-$abi-$(platform_tag "$target")
    extension=$wheel/$target/_native$(extension_suffix "$target" "$version")
    check_glibc "$extension" &&
        "$tools/bin/python" "$root/packaging/wheel.py" --tag "$tag" --extension "$extension" --target "$target" --out "$packages" || return
    file=$(echo "$packages"/*"$tag.whl")
    [ "$(stat -c %s "$file")" -le "$wheel_bytes_max" ] || { echo "$file is larger than $wheel_bytes_max bytes"; return 1; }
    "$tools/bin/python" -m twine check --strict "$file" || return
    case $target in
        linux-x64-gnu) # auditwheel reads those of its own platform
            "$tools/bin/auditwheel" show "$file" | tee "$wheel/auditwheel" && grep -qE 'manylinux_2_(1[0-9]|2[0-8])_|manylinux2014' "$wheel/auditwheel"
            ;;
    esac
}

# The whole tree that the extension is compiled from, in an archive that installs by itself.
make_sdist() {
    local stage=$wheel/sdist
    rm -rf "$stage" && mkdir -p "$stage/sources/bindings" && cp -rL "$root"/bindings/python/. "$stage/" &&
        cp -r "$root"/{CMakeLists.txt,core,capi,LICENSE} "$stage/sources/" &&
        cp -r "$root/bindings/cli" "$stage/sources/bindings/" && find "$stage" -name __pycache__ -prune -exec rm -rf {} + &&
        "$tools/bin/python" -m build --sdist --no-isolation --skip-dependency-check --outdir "$packages" "$stage" &&
        "$tools/bin/python" -m twine check --strict "$packages"/*.tar.gz
}

step "install the packagers' tools" install_tools || die "the tools cannot be had"
case $pythons in
    "") pythons=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ;;
    all) pythons=$all_pythons wanted="" ;;
esac
IFS=, read -ra pythons <<<"$pythons"
for version in "${pythons[@]}"; do
    [[ $version =~ ^3\.[0-9]+t?$ ]] || die "--pythons takes versions such as 3.13 or 3.14t, not \"$version\""
    if ! include=$(headers "$version" 2>"$logs/headers-$version.log"); then
        [ -n "${wanted-yes}" ] && die "no headers of Python $version; see $logs/headers-$version.log"
        log "Python $version: neither this machine nor Debian has its headers; left out"
        continue
    fi
    for target in "${targets[@]}"; do
        step "build the extension for Python $version on $target" build_extension "$target" "$version" "$include" || die "no extension"
        step "make the wheel for Python $version on $target" make_wheel "$target" "$version" || die "no wheel"
    done
done
[ -z "$sdist" ] || step "make the source distribution" make_sdist || die "no source distribution"
ls -l "$packages"
