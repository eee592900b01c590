#!/bin/sh
# Installs the wheel and the npm packages of its folder into a Debian without a compiler and runs the README's examples, over
# TLS that the system's authorities vouch for. Runs as root in a system that is made for it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=packaging/try/secure.sh
. "$here/secure.sh"
for package in gcc libhiredis-dev libevent-dev libssl-dev python3-dev; do
    if dpkg -s $package >/dev/null 2>&1; then echo "$package is installed"; exit 1; fi
done
grep -qs localhost /etc/hosts || echo '127.0.0.1 localhost' >>/etc/hosts
rm -rf /try/venv
python3 -m venv /try/venv
/try/venv/bin/pip install --disable-pip-version-check --quiet --no-index --find-links "$here/wheels" fanwire
PATH=/try/venv/bin:$PATH

secure=/tmp/secure
make_authority $secure
start_secure_redis $secure 6390
trap 'kill "$(cat $secure/redis.pid)"' EXIT
export FANWIRE_URL=rediss://localhost:6390
rm -f /usr/local/share/ca-certificates/try.crt
update-ca-certificates --fresh
refuses_unknown_authority fanwire info --check
cp $secure/ca.crt /usr/local/share/ca-certificates/try.crt
update-ca-certificates
cd "$here"
prints "$(python3 --version) over TLS" "chat: hello" python3 example.python
prints "the Python package's command over TLS" '{"channel":"chat","pattern":null,"payload":"hello"}' sh -e example.sh
prints "Node $(node --version) over TLS" "chat: hello" node example.mjs
