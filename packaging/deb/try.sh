#!/bin/sh
# Installs the packages of its folder into a system without a compiler and uses them, over TLS that the system's authorities
# vouch for: the command, Python, and then, with a compiler, C and C++. Runs as root in a system that is made for it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=packaging/try/secure.sh
. "$here/secure.sh"
export DEBIAN_FRONTEND=noninteractive
if command -v gcc >/dev/null; then echo "there is a compiler here"; exit 1; fi
apt-get -q -y --no-install-recommends install "$here"/libfanwire1_*.deb "$here"/fanwire_*.deb "$here"/python3-fanwire_*.deb
fanwire --version
fanwire info | grep -E 'authorities that TLS trusts: /(etc|usr/lib)/ssl/'
man -w fanwire
ls /usr/share/bash-completion/completions/fanwire /usr/share/zsh/vendor-completions/_fanwire /usr/share/fish/vendor_completions.d/fanwire.fish

grep -qs localhost /etc/hosts || echo '127.0.0.1 localhost' >>/etc/hosts
secure=/tmp/secure
make_authority $secure
start_secure_redis $secure 6390
trap 'kill "$(cat $secure/redis.pid)"' EXIT
export FANWIRE_URL=rediss://localhost:6390
refuses_unknown_authority fanwire info --check
cp $secure/ca.crt /usr/local/share/ca-certificates/try.crt
update-ca-certificates
fanwire info --check
cd /tmp
for language in sh python c cpp; do example $language "$here/README.md" >example.$language; done
prints "the command, over TLS" '{"channel":"chat","pattern":null,"payload":"hello"}' sh -e example.sh
prints "Python, over TLS" "chat: hello" python3 example.python
[ "$(python3 -m fanwire --version)" = "$(fanwire --version)" ]

apt-get -q -y --no-install-recommends install gcc g++ libc6-dev pkg-config "$here"/libfanwire-dev_*.deb
for package in libhiredis-dev libevent-dev libssl-dev; do
    if dpkg -s $package >/dev/null 2>&1; then echo "$package is installed, though nothing needs it"; exit 1; fi
done
cp example.c example_c.c
gcc -std=c99 -Wall -Wextra -Werror example_c.c -o example_c $(pkg-config --cflags --libs fanwire)
prints "C, over TLS, with pkg-config and neither hiredis nor libevent to compile against" "chat: hello" ./example_c
g++ -std=c++17 -Wall -Wextra -Werror example.cpp -o example_cpp $(pkg-config --cflags --libs fanwire) -pthread
prints "C++, over TLS, likewise" "chat: hello" ./example_cpp
