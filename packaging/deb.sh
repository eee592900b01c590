#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/deb.sh [--targets LIST] [--no-lintian]

Makes the Debian packages libfanwire1, libfanwire-dev, fanwire and python3-fanwire in build/deb/TARGET/packages, and looks
them through with lintian. Nothing is published.

  --targets LIST   comma-separated: "here" (this machine, the default), or names of Debian's suites (bookworm, trixie,
                   sid): each is built in a clean system of its own, installed into another one, and tried there
  --no-lintian     build only
  --help           this text

A suite takes debootstrap and root; its systems are kept in build/deb/SUITE for the next time.
TEXT
}

targets=here lintian=yes
while [ $# -gt 0 ]; do
    case $1 in
        --targets) targets=${2:-}; shift 2 ;;
        --targets=*) targets=${1#*=}; shift ;;
        --no-lintian) lintian=""; shift ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'deb.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
done

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

deb=$root/build/deb
build_packages=(build-essential debhelper dh-python cmake pkg-config libevent-dev libhiredis-dev libssl-dev pybind11-dev
    python3-dev python3-pybind11 lintian)

# The sources with the folder debian/ at their root, where Debian wants it.
make_tree() {
    local tree=$1 date
    rm -rf "$tree" && mkdir -p "$tree" && cp -r "$root"/{CMakeLists.txt,core,capi,bindings,LICENSE,README.md,CHANGELOG.md} "$tree/" &&
        mkdir -p "$tree/packaging" && cp "$root"/packaging/*.in "$root"/packaging/*.cmake "$root/packaging/shell_files.py" "$tree/packaging/" &&
        cp -r "$root/packaging/deb/debian" "$tree/" && rm -rf "$tree/bindings/node" && find "$tree" -name build -prune -exec rm -rf {} + || return
    date=$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}")
    printf 'fanwire (%s-1) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- The fanwire authors <fanwire@users.noreply.github.com>  %s\n' \
        "$(project_version)" "$date" | sed 's/-1)/)/' >"$tree/debian/changelog"
}

build_here() {
    local out=$deb/here
    make_tree "$out/tree" && cd "$out/tree" && dpkg-buildpackage --build=binary --unsigned-changes --unsigned-source || return
    rm -rf "$out/packages" && mkdir -p "$out/packages" && mv "$out"/*.deb "$out"/*.changes "$out"/*.buildinfo "$out/packages/"
}

# Errors and warnings fail it, but for those of a package that is not Debian's own.
look_through() {
    lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$1"/*.changes
}

# ---- In systems of their own ---------------------------------------------------------------------------------------

build_in() {
    local suite=$1 system=$deb/$1/builder out=$deb/$1
    make_system "$system" "$suite" "${build_packages[@]}" && make_tree "$system/build/tree" || return
    in_system "$system" sh -c "cd /build/tree && dpkg-buildpackage --build=binary --unsigned-changes --unsigned-source" || return
    rm -rf "$out/packages" && mkdir -p "$out/packages" && mv "$system"/build/*.{deb,changes,buildinfo} "$out/packages/" || return
    [ -z "$lintian" ] || { cp -r "$out/packages" "$system/build/" && in_system "$system" sh -c "$(declare -f look_through); look_through /build/packages"; }
}

# In a system without a compiler, where apt brings what the packages depend on.
try_in() {
    local suite=$1 system=$deb/$1/user
    rm -f "$system/made"
    make_system "$system" "$suite" ca-certificates openssl redis-server python3 man-db bash-completion || return
    rm -rf "$system/packages" && cp -r "$deb/$suite/packages" "$system/packages" && cp "$root"/packaging/{deb/try.sh,try/secure.sh} "$root/README.md" "$system/packages/" || return
    in_system "$system" sh /packages/try.sh
}

for target in ${targets//,/ }; do
    [[ $target =~ ^[a-z]+$ ]] || die "--targets takes \"here\" or names of suites, not \"$target\""
    if [ "$target" = here ]; then
        need debhelper command -v dh
        need dh-python have_file '/usr/share/debhelper/autoscripts/postinst-py3compile*'
        need pybind11-dev have_file '/usr/include/pybind11/pybind11.h'
        need python3-pybind11 have_file '/usr/lib/python3/dist-packages/pybind11/__init__.py'
        need python3-dev have_file '/usr/include/python3*/Python.h'
        need lintian command -v lintian
        need_build_tools
        install_missing
        step "build the packages" build_here || die "no packages"
        [ -z "$lintian" ] || step "lintian" look_through "$deb/here/packages" || die "lintian has complaints"
        ls -l "$deb/here/packages"
        continue
    fi
    need debootstrap command -v debootstrap
    install_missing
    step "build the packages in $target" build_in "$target" || die "no packages for $target"
    step "install and try them in $target" try_in "$target" || die "the packages do not work in $target"
    sed -n 's/^ok: /    | /p' "$step_log"
done
