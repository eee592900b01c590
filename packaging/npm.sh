#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/npm.sh [--targets LIST]

Makes the npm packages in build/npm/packages: fanwire, which has no install script, and for each target
@fanwire/TARGET with the ready-made addon, on which fanwire depends optionally. Nothing is published.

  --targets LIST   comma-separated, or "all"; see packaging/deps.sh, which builds what they link; default: linux-x64-gnu
  --help           this text

Each addon needs only the C library of its platform. It comes with its licences and an SBOM (CycloneDX).
TEXT
}

targets=linux-x64-gnu
while [ $# -gt 0 ]; do
    case $1 in
        --targets) targets=${2:-}; shift 2 ;;
        --targets=*) targets=${1#*=}; shift ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'npm.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
done

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

npm=$root/build/npm
packages=$npm/packages
addon_bytes_max=$((5 * 1024 * 1024))

need_build_tools
need_languages
install_missing
choose_python
version=$(project_version)
"$root/packaging/deps.sh" --targets "$targets" || exit
[ "$targets" != all ] || targets=$all_targets
IFS=, read -ra targets <<<"$targets"
rm -rf "$packages" "$npm/stage"
mkdir -p "$packages" "$npm/stage"

find_headers() {
    node --input-type=module -e "
        import { findNodeHeaders } from '$root/bindings/node/scripts/headers.mjs';
        import { writeFileSync } from 'node:fs';
        writeFileSync('$npm/headers', findNodeHeaders('$npm'));"
}

build_addon() {
    local target=$1 build=$npm/$1
    cmake -S "$root/bindings/node" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_TOOLCHAIN_FILE="$root/build/deps/$target/toolchain.cmake" -DFANWIRE_NODE_INCLUDE="$(<"$npm/headers")" \
        -DCMAKE_SHARED_LINKER_FLAGS=-s -DCMAKE_MODULE_LINKER_FLAGS=-s && cmake --build "$build" --target fanwire_node
}

# What it may load: the C library and its parts.
check_addon() {
    local file=$1 target=$2 size foreign
    size=$(stat -c %s "$file")
    [ "$size" -le "$addon_bytes_max" ] || { echo "$file has $size bytes, more than $addon_bytes_max"; return 1; }
    foreign=$(needed_libraries "$file" | grep -vE '^(libc|libm|libgcc_s|libpthread|libdl|librt|ld-linux-[a-z0-9-]+)\.so\.[0-9]+$|^libc\.so$' || true)
    [ -z "$foreign" ] || { echo "$file needs libraries that $target may not have: $foreign"; return 1; }
    check_glibc "$file"
}

pack_platform() {
    local target=$1 dir=$npm/stage/$1 cpu libc
    cpu=${target#linux-}
    cpu=${cpu%-*}
    case $target in *-gnu) libc=glibc ;; *) libc=musl ;; esac
    check_addon "$npm/$target/fanwire.node" "$target" || return
    mkdir -p "$dir" && cp "$npm/$target/fanwire.node" "$root/LICENSE" "$dir/" &&
        "$python" "$root/packaging/sbom.py" "@fanwire/$target" "$target" "$dir" || return
    printf '# @fanwire/%s\n\nThe addon of the package fanwire for %s. Install that one.\n' "$target" "$target" >"$dir/README.md"
    node -e "
        const main = require('$root/bindings/node/package.json');
        const { license, author, homepage, repository, bugs, engines } = main;
        process.stdout.write(JSON.stringify({ name: '@fanwire/$target', version: '$version',
            description: 'The addon of fanwire for $target', license, author, homepage, repository, bugs, engines,
            os: ['linux'], cpu: ['$cpu'], libc: ['$libc'], main: 'fanwire.node',
            files: ['fanwire.node', 'LICENSE', 'LICENSES.txt', 'sbom.cdx.json'] }, null, 2) + '\n');" >"$dir/package.json"
    cd "$dir" && npm pack --silent --pack-destination "$packages"
}

# The package itself: as in the checkout, with the engine's sources for who compiles it, and the platforms it depends on.
pack_main() {
    local dir=$npm/stage/fanwire
    mkdir -p "$dir/sources" && cp -r "$root"/bindings/node/{bin,lib,scripts,src,index.mjs,index.d.ts,index.d.mts,symbols.map,CMakeLists.txt,README.md} "$dir/" &&
        cp "$root/LICENSE" "$dir/" && cp -r "$root"/{CMakeLists.txt,core,capi,LICENSE} "$dir/sources/" || return
    node -e "
        const main = require('$root/bindings/node/package.json');
        if (main.version !== '$version') throw new Error('package.json has version ' + main.version + ', the project $version');
        const all = '$all_targets'.split(',').map((target) => ['@fanwire/' + target, '$version']);
        process.stdout.write(JSON.stringify({ ...main, optionalDependencies: Object.fromEntries(all) }, null, 2) + '\n');" \
        >"$dir/package.json"
    cd "$dir" && npm pack --silent --pack-destination "$packages"
}

step "find the Node headers" find_headers || die "node_api.h cannot be had"
for target in "${targets[@]}"; do
    step "build the addon for $target" build_addon "$target" || die "no addon for $target"
    step "pack @fanwire/$target" pack_platform "$target" || die "no package for $target"
done
step "pack fanwire" pack_main || die "no package"
ls -l "$packages"
