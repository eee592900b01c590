#!/bin/sh
# Makes the keys and certificates that the tests of TLS use, in every language: certificates.sh DIRECTORY
#
# NAME.pem is a certificate, NAME.key its private key.
#   ca, other-ca        authorities; nothing below is signed by other-ca but stranger
#   server              for localhost, redis.test, 127.0.0.1 and ::1
#   wrong-name          for elsewhere.test and 192.0.2.1
#   wildcard            for *.redis.test
#   partial-wildcard    for f*.redis.test, which nobody may accept
#   common-name         for localhost by its common name alone
#   common-name-ip      for 127.0.0.1 by its common name alone
#   common-name-other   for localhost by its common name, which the name elsewhere.test overrides
#   expired, future     as server, but no longer and not yet valid
#   self-signed         as server, but signed by itself
#   client              a client's
#   stranger            a client's that other-ca has signed
#   encrypted.key       client.key under a password;   garbage.pem   no certificate
set -eu
mkdir -p "$1"
cd "$1"

cat >openssl.cnf <<'END'
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[ca]
database = index.txt
new_certs_dir = issued
rand_serial = yes
default_md = sha256
policy = policy
unique_subject = no
copy_extensions = copy
x509_extensions = leaf
[policy]
commonName = supplied
[leaf]
basicConstraints = CA:false
END
mkdir -p issued
: >index.txt
touch index.txt.attr

key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>log; }

authority() {
    key "$1"
    openssl req -x509 -new -key "$1.key" -out "$1.pem" -days 20000 -subj "/CN=$1" -config openssl.cnf \
        -extensions authority 2>log
}

# leaf NAME AUTHORITY COMMON_NAME SUBJECT_ALT_NAMES START END
leaf() {
    key "$1"
    set -- "$1" "$2" "$3" "${4:+-addext subjectAltName=$4}" "$5" "$6"
    # shellcheck disable=SC2086
    openssl req -new -key "$1.key" -out request -subj "/CN=$3" $4 -config openssl.cnf 2>log
    openssl ca -batch -notext -config openssl.cnf -name ca -keyfile "$2.key" -cert "$2.pem" -in request -out "$1.pem" \
        -startdate "$5" -enddate "$6" 2>log || { cat log >&2; exit 1; }
}

past=20200101000000Z
before=20200201000000Z
after=20990101000000Z
later=20990201000000Z
here=DNS:localhost,DNS:redis.test,IP:127.0.0.1,IP:::1

authority ca
authority other-ca
# Not the authority that signed anything here, but of its name: what making one's certificates anew leaves behind.
key same-name-ca
openssl req -x509 -new -key same-name-ca.key -out same-name-ca.pem -days 20000 -subj /CN=ca -config openssl.cnf \
    -extensions authority 2>log
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key 2>log
leaf server ca server $here $past $after
leaf wrong-name ca elsewhere DNS:elsewhere.test,IP:192.0.2.1 $past $after
leaf wildcard ca wildcard DNS:*.redis.test $past $after
leaf partial-wildcard ca partial-wildcard 'DNS:f*.redis.test' $past $after
leaf common-name ca localhost "" $past $after
leaf common-name-ip ca 127.0.0.1 "" $past $after
leaf common-name-other ca localhost DNS:elsewhere.test $past $after
leaf expired ca server $here $past $before
leaf future ca server $here $after $later
leaf client ca client "" $past $after
leaf stranger other-ca stranger "" $past $after
key self-signed
openssl req -x509 -new -key self-signed.key -out self-signed.pem -days 20000 -subj /CN=self -config openssl.cnf \
    -addext subjectAltName=$here 2>log
openssl pkey -in client.key -aes256 -passout pass:secret -out encrypted.key
echo "no certificate" >garbage.pem
rm -rf issued index.txt* request log
