#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/release.sh [--targets LIST] [--pythons LIST] [--no-deb]

Makes everything of a release in build/release-files: the source archive, the npm packages, the wheels and the source
distribution, the Debian packages of this machine, the recipes for vcpkg and conan, and SHA256SUMS of them all. Nothing is published.

  --targets LIST   of packaging/deps.sh; default: all
  --pythons LIST   of packaging/wheel.sh; default: all
  --no-deb         no Debian packages
  --help           this text

Refuses to begin when the version is not the same in every file that has it, or the checkout has changes that are not
committed. The source archive is made twice, in two ways, and compared.
TEXT
}

targets=all pythons=all deb=yes
while [ $# -gt 0 ]; do
    case $1 in
        --targets) targets=${2:-}; shift 2 ;;
        --targets=*) targets=${1#*=}; shift ;;
        --pythons) pythons=${2:-}; shift 2 ;;
        --pythons=*) pythons=${1#*=}; shift ;;
        --no-deb) deb=""; shift ;;
        -h | --help) usage; exit 0 ;;
        *) printf 'release.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
done

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

out=$root/build/release-files
version=$(project_version)
export SOURCE_DATE_EPOCH FANWIRE_DEPS_LOCKED=yes
SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)

# FILE: VERSION for each place that says it.
versions() {
    sed -nE 's/^project\(fanwire VERSION ([0-9.]+).*/CMakeLists.txt: \1/p' "$root/CMakeLists.txt"
    sed -nE 's/^set\(FANWIRE_PACKAGE_VERSION ([0-9.]+)\).*/bindings\/python\/CMakeLists.txt: \1/p' "$root/bindings/python/CMakeLists.txt"
    sed -nE 's/^  "version": "([^"]+)".*/bindings\/node\/package.json: \1/p' "$root/bindings/node/package.json"
    sed -nE 's/^  "version": "([^"]+)".*/packaging\/vcpkg\/fanwire\/vcpkg.json: \1/p' "$root/packaging/vcpkg/fanwire/vcpkg.json"
    echo "capi/include/fanwire/fanwire.h: $(sed -nE 's/^#define FANWIRE_VERSION_(MAJOR|MINOR|PATCH) ([0-9]+)$/\2/p' \
        "$root/capi/include/fanwire/fanwire.h" | paste -sd.)"
}

check_versions() {
    local wrong
    versions
    [ "$(versions | wc -l)" -eq 5 ] || { echo "a version is missing above"; return 1; }
    wrong=$(versions | grep -v ": $version\$" || true)
    [ -z "$wrong" ] || { echo "not $version: $wrong"; return 1; }
}

check_clean() {
    local changes
    changes=$(git -C "$root" status --porcelain)
    [ -z "$changes" ] || { echo "not committed:"; echo "$changes"; return 1; }
}

# The same commit gives the same bytes: git writes the commit's time, and gzip is told to write none.
archive() { git -C "$1" archive --format=tar --prefix="fanwire-$version/" HEAD | gzip -n -9 >"$2"; }

make_archive() {
    local again=$scratch/again
    archive "$root" "$out/fanwire-$version.tar.gz" && git clone -q "$root" "$again" && archive "$again" "$again.tar.gz" &&
        cmp "$out/fanwire-$version.tar.gz" "$again.tar.gz"
}

# The vcpkg port and the conan recipe, which name the source archive of the release.
make_recipes() {
    local stage=$scratch/recipes archive=$out/fanwire-$version.tar.gz url
    url=https://github.com/fanwire/fanwire/releases/download/v$version/fanwire-$version.tar.gz
    mkdir -p "$stage" "$out/recipes" && cp -r "$root/packaging/vcpkg" "$root/packaging/conan" "$stage/" || return
    printf 'set(FANWIRE_SOURCE_URL %s)\nset(FANWIRE_SOURCE_SHA512 %s)\n' "$url" "$(sha512sum "$archive" | cut -d ' ' -f 1)" \
        >"$stage/vcpkg/fanwire/source.cmake"
    printf 'sources:\n  "%s":\n    url: %s\n    sha256: %s\n' "$version" "$url" "$(sha256sum "$archive" | cut -d ' ' -f 1)" \
        >"$stage/conan/conandata.yml"
    local recipe
    for recipe in vcpkg conan; do
        tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --exclude=__pycache__ -C "$stage" -c "$recipe" |
            gzip -n -9 >"$out/recipes/$recipe-$version.tar.gz" || return
    done
}

step "one version in every file" check_versions || die "the versions differ"
step "everything is committed" check_clean || die "a release is made of a commit"
rm -rf "$out" && mkdir -p "$out"
step "make the source archive, twice" make_archive || die "the source archive is not the same each time"
step "make the recipes for vcpkg and conan" make_recipes || die "no recipes"
"$root/packaging/npm.sh" --targets "$targets"
"$root/packaging/wheel.sh" --targets "$targets" --pythons "$pythons" --sdist
[ -z "$deb" ] || "$root/packaging/deb.sh"
cp "$root"/build/npm/packages/*.tgz "$root"/build/wheel/packages/*.whl "$out/"
# The source archive has the name that an sdist would have, too.
mkdir -p "$out/sdist" && cp "$root"/build/wheel/packages/*.tar.gz "$out/sdist/"
[ -z "$deb" ] || cp "$root"/build/deb/here/packages/*.deb "$out/"
(cd "$out" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | sed 's|^\./||' | xargs sha256sum >SHA256SUMS)
log "fanwire $version is in $out"
ls -l "$out"
