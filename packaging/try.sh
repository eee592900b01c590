#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/try.sh [--systems LIST]

Uses what packaging/wheel.sh and packaging/npm.sh have made, in systems that have no compiler and no -dev package:
the README's examples in Python, Node and shell over rediss://, on a Redis whose authority is known to the system's store
alone. Before the system knows it, the server has to be refused.

  --systems LIST   comma-separated, of those below, or "all"; default: all
  --help           this text

Systems: bookworm trixie sid, Debian's suites. They are made by debootstrap, need the wheel of that suite's Python (3.11, 3.13 and
3.14) and the addon of linux-x64-gnu, and are kept in build/try for the next time. Takes root.
TEXT
}

all_systems=bookworm,trixie,sid
systems=$all_systems
while [ $# -gt 0 ]; do
    case $1 in
        --systems) systems=${2:-}; shift 2 ;;
        --systems=*) systems=${1#*=}; shift ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'try.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
done
[ "$systems" != all ] || systems=$all_systems

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=packaging/try/secure.sh
. "$root/packaging/try/secure.sh"

try=$root/build/try
wheels=$root/build/wheel/packages
addons=$root/build/npm/packages
version=$(project_version)

# ---- What is tried -----------------------------------------------------------------------------------------------

# The folder /try of a system: the wheels, the npm packages as npm unpacks them, the examples and the scripts.
lay_packages() { # SYSTEM TARGET
    local dir=$1/try target=$2 modules=$1/try/node_modules language
    rm -rf "$dir" && mkdir -p "$dir/wheels" "$modules/fanwire" "$modules/@fanwire/$target" &&
        cp "$wheels"/*.whl "$dir/wheels/" && cp "$root"/packaging/try/*.sh "$dir/" &&
        tar -xzf "$addons/fanwire-$version.tgz" -C "$modules/fanwire" --strip-components=1 &&
        tar -xzf "$addons/fanwire-$target-$version.tgz" -C "$modules/@fanwire/$target" --strip-components=1 || return
    for language in sh python js; do example $language "$root/README.md" >"$dir/example.$language" || return; done
    mv "$dir/example.js" "$dir/example.mjs"
}

# ---- Debian ------------------------------------------------------------------------------------------------------

try_debian() {
    local suite=$1 system=$try/$1
    make_system "$system" "$suite" ca-certificates openssl redis-server python3-venv nodejs && lay_packages "$system" linux-x64-gnu &&
        in_system "$system" sh /try/debian.sh
}

# ---- All of them -------------------------------------------------------------------------------------------------

[ "$(id -u)" = 0 ] || die "systems are made by root"
[ -f "$addons/fanwire-linux-x64-gnu-$version.tgz" ] || die "packaging/npm.sh has made no packages"
compgen -G "$wheels/*.whl" >/dev/null || die "packaging/wheel.sh has made no wheels"
need debootstrap command -v debootstrap
install_missing
mkdir -p "$try"
for system in ${systems//,/ }; do
    case ,$all_systems, in
        *,"$system",*) ;;
        *) die "there is no system \"$system\"; there are $all_systems" ;;
    esac
    step "try the packages in $system" try_debian "$system" || die "the packages do not work in $system"
    sed -n 's/^ok: /    | /p' "$step_log"
done
