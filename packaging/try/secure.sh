# Sourced by what tries packages in a system of its own. A Redis that takes nothing but TLS, and the README's examples.
# shellcheck shell=sh

printed=${TMPDIR:-/tmp}/printed.$$

# make_authority FOLDER: ca.crt, and server.crt and server.key for "localhost" that it signed.
make_authority() (
    mkdir -p "$1" && cd "$1" &&
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=An authority to try with' \
            -keyout ca.key -out ca.crt &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr &&
        echo 'subjectAltName=DNS:localhost' >server.ext &&
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt
)

# start_secure_redis FOLDER PORT: with the certificates of that folder. Its process is in FOLDER/redis.pid.
start_secure_redis() {
    redis-server --port 0 --tls-port "$2" --bind 127.0.0.1 --tls-cert-file "$1/server.crt" --tls-key-file "$1/server.key" \
        --tls-ca-cert-file "$1/ca.crt" --tls-auth-clients no --save '' --dir "$1" --daemonize yes --pidfile "$1/redis.pid" >/dev/null || return
    tries=0
    until redis-cli --tls --cacert "$1/ca.crt" -h localhost -p "$2" ping 2>/dev/null | grep -q PONG; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || { echo "the Redis for TLS does not answer"; return 1; }
        sleep 0.1
    done
}

# example LANGUAGE README: the text of the README's example.
example() { awk -v fence="\`\`\`$1" '$0 == fence { on = 1; next } $0 == "```" { on = 0 } on' "$2"; }

# prints WHAT LINE COMMAND...: the command has to print that line.
prints() {
    what=$1 line=$2
    shift 2
    "$@" >"$printed" 2>"$printed.2" || { echo "$what failed"; cat "$printed" "$printed.2"; return 1; }
    grep -qxF "$line" "$printed" || { echo "$what has not printed \"$line\":"; cat "$printed" "$printed.2"; return 1; }
    echo "ok: $what"
}

# refuses_unknown_authority COMMAND...: as long as the system does not trust the authority, the command has to say that.
refuses_unknown_authority() {
    if "$@" >"$printed" 2>&1; then echo "connected to a server that nobody vouches for"; return 1; fi
    grep -qi certificate "$printed" || { echo "not refused for its certificate:"; cat "$printed"; return 1; }
}
