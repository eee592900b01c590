#include "core/net/authorities.h"

#include <dirent.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace fanwire::core {

namespace {

constexpr const char* files[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Fedora, RHEL, CentOS
    "/etc/pki/tls/certs/ca-bundle.crt",                   // the same, older ones
    "/etc/ssl/ca-bundle.pem",                             // SUSE
    "/etc/ssl/cert.pem",                                  // Alpine, macOS
};
constexpr const char* directories[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};

bool has_files(const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), closedir);
    if (!directory) return false;
    while (const dirent* entry = readdir(directory.get()))
        if (entry->d_name[0] != '.') return true;
    return false;
}

}  // namespace

Authorities find_authorities(const AuthoritiesProbe& probe, const Authorities& built_for) {
    Authorities found;
    const char* const file = probe.environment("SSL_CERT_FILE");
    const char* const directory = probe.environment("SSL_CERT_DIR");
    if (file && *file) found.file = file;
    if (directory && *directory) found.directory = directory;
    if (!found.file.empty() || !found.directory.empty()) return found;

    if (probe.file_exists(built_for.file)) found.file = built_for.file;
    for (const char* place : files)
        if (found.file.empty() && probe.file_exists(place)) found.file = place;
    if (!found.file.empty()) return found;  // what is in the directory is in the file, too

    if (probe.directory_has_files(built_for.directory)) found.directory = built_for.directory;
    for (const char* place : directories)
        if (found.directory.empty() && probe.directory_has_files(place)) found.directory = place;
    return found;
}

Authorities system_authorities() {
    const AuthoritiesProbe probe{
        [](const char* name) -> const char* { return std::getenv(name); },
        [](const std::string& path) { return access(path.c_str(), R_OK) == 0; },
        has_files,
    };
    return find_authorities(probe, {X509_get_default_cert_file(), X509_get_default_cert_dir()});
}

}  // namespace fanwire::core
