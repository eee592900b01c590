// Where a system keeps the certificates of the authorities that it trusts. OpenSSL knows the place of the system that
// it was built for; a binary that is made for all of them has to look.
#pragma once

#include <functional>
#include <string>

namespace fanwire::core {

struct Authorities {
    std::string file;       // PEM, all of them; empty: none
    std::string directory;  // by the hash of their names; empty: none
};

// What finding them needs to know of the system.
struct AuthoritiesProbe {
    std::function<const char*(const char*)> environment;       // null: not set
    std::function<bool(const std::string& path)> file_exists;  // and can be read
    std::function<bool(const std::string& path)> directory_has_files;
};

// SSL_CERT_FILE and SSL_CERT_DIR, as for OpenSSL itself; then what OpenSSL was built for; then the places of Debian,
// Fedora, Alpine and SUSE. An environment variable that is set is believed, also when there is nothing there: its name
// is then in the error of the first handshake.
Authorities find_authorities(const AuthoritiesProbe& probe, const Authorities& built_for);

// On this system, now. Thread: any.
Authorities system_authorities();

}  // namespace fanwire::core
