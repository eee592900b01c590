#!/bin/sh
# Installs the packages of its folder into a system without a compiler and uses them: the command, Python, and then, with a
# compiler, C. Runs as root in a system that is made for it.
set -eu
here=$(dirname "$0")
export DEBIAN_FRONTEND=noninteractive
if command -v gcc >/dev/null; then echo "there is a compiler here"; exit 1; fi
apt-get -q -y --no-install-recommends install "$here"/libfanwire1_*.deb "$here"/fanwire_*.deb "$here"/python3-fanwire_*.deb
fanwire --version
fanwire info | grep -E 'authorities that TLS trusts: /(etc|usr/lib)/ssl/'
man -w fanwire
ls /usr/share/bash-completion/completions/fanwire /usr/share/zsh/vendor-completions/_fanwire /usr/share/fish/vendor_completions.d/fanwire.fish
redis-server --port 6399 --bind 127.0.0.1 --save '' --daemonize yes --pidfile /run/redis-try.pid
trap 'kill "$(cat /run/redis-try.pid)"' EXIT
export FANWIRE_URL=redis://127.0.0.1:6399
fanwire sub chat --count 1 --timeout 20 2>/tmp/sub.err >/tmp/sub.out &
until grep -q 'subscribed to chat' /tmp/sub.err; do sleep 0.1; done
[ "$(fanwire pub chat hello)" = 1 ]
wait $!
[ "$(cat /tmp/sub.out)" = hello ]
echo "ok: the command"
python3 - <<'PYTHON'
import fanwire
with fanwire.Client() as bus:
    messages = bus.subscribe("chat")
    messages.wait_ready()
    assert bus.publish("chat", "hello") == 1
    assert messages.get(timeout=20).text == "hello"
PYTHON
[ "$(python3 -m fanwire --version)" = "$(fanwire --version)" ]
echo "ok: Python"
apt-get -q -y --no-install-recommends install gcc libc6-dev pkg-config "$here"/libfanwire-dev_*.deb
cat >/tmp/try.c <<'C'
#include <fanwire/fanwire.h>
#include <string.h>
int main(void) {
    uint64_t receivers = 1;
    fanwire_engine *engine = NULL;
    int status = FANWIRE_CHECK_VERSION();
    if (status == FANWIRE_OK) status = fanwire_engine_open(&engine, NULL);
    if (status == FANWIRE_OK) status = fanwire_publish_wait(engine, "chat", 4, "hello", 5, 20000, &receivers);
    fanwire_engine_destroy(&engine);
    return status != FANWIRE_OK || receivers != 0;
}
C
gcc -Wall -Werror /tmp/try.c -o /tmp/try $(pkg-config --cflags --libs fanwire)
/tmp/try
echo "ok: C, with pkg-config and neither hiredis nor libevent to compile against"
