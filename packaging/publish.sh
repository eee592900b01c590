#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: packaging/publish.sh [--dry-run] REGISTRY...

Uploads build/release-files, which packaging/release.sh has made, and changes nothing in it. Meant for
.github/workflows/release.yml, which the registries trust; it takes no token.

  REGISTRY    npm, pypi or github (a release with the source archive, the Debian packages and SHA256SUMS)
  --dry-run   checks the files as an upload would, and says what would be uploaded; nothing is
  --help      this text

The checksums are compared first. In a workflow the tag must be that of the version.
TEXT
}

dry="" registries=()
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=yes ;;
        -h | --help) usage; exit 0 ;;
        npm | pypi | github) registries+=("$1") ;;
        *) printf 'publish.sh: unknown argument %s\n\n' "$1" >&2; usage >&2; exit 2 ;;
    esac
    shift
done
[ ${#registries[@]} -gt 0 ] || { usage >&2; exit 2; }

# shellcheck source=packaging/lib.sh
. "$(dirname "$0")/lib.sh"

files=$root/build/release-files
version=$(project_version)
npm_cli=npm@11 # of those that publish by OpenID Connect

check_files() { cd "$files" && sha256sum --check --quiet SHA256SUMS; }

# The addons first: whoever installs fanwire in between would get none.
publish_npm() {
    local archive
    for archive in "$files"/fanwire-linux-*-"$version".tgz "$files/fanwire-$version.tgz"; do
        npx --yes "$npm_cli" publish ${dry:+--dry-run} --access public "$archive" || return
    done
}

publish_pypi() {
    local archives=("$files"/*.whl "$files"/sdist/*.tar.gz) venv=$scratch/twine
    "$python" -m venv "$venv" && "$venv/bin/python" -m pip install --disable-pip-version-check --quiet 'twine>=6.1' || return
    "$venv/bin/python" -m twine check --strict "${archives[@]}" || return
    [ -n "$dry" ] || "$venv/bin/python" -m twine upload --non-interactive "${archives[@]}"
}

publish_github() {
    local archives=("$files/fanwire-$version.tar.gz" "$files"/*.deb "$files/SHA256SUMS")
    if [ -n "$dry" ]; then printf '%s\n' "${archives[@]}"; return; fi
    cd "$root" && gh release create "v$version" --verify-tag --title "fanwire $version" --notes "See CHANGELOG.md." "${archives[@]}"
}

[ -f "$files/SHA256SUMS" ] || die "there is no build/release-files; packaging/release.sh makes it"
case ${GITHUB_REF:-} in
    refs/tags/*) [ "$GITHUB_REF" = "refs/tags/v$version" ] || die "the tag is ${GITHUB_REF#refs/tags/}, but the version $version" ;;
    *) [ -z "${GITHUB_ACTIONS:-}" ] || [ -n "$dry" ] || die "a release is made of a tag" ;;
esac
choose_python
step "compare the checksums" check_files || die "the files are not those of the release"
for registry in "${registries[@]}"; do
    step "publish to $registry${dry:+, dry run}" "publish_$registry" || die "not published to $registry"
done
