#include "core/net/authorities.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace fanwire::core {
namespace {

struct System {
    std::map<std::string, std::string> environment;
    std::set<std::string> files, directories;

    Authorities find(const Authorities& built_for = {"/usr/lib/ssl/cert.pem", "/usr/lib/ssl/certs"}) const {
        return find_authorities({[this](const char* name) -> const char* {
                                     const auto found = environment.find(name);
                                     return found == environment.end() ? nullptr : found->second.c_str();
                                 },
                                 [this](const std::string& path) { return files.contains(path); },
                                 [this](const std::string& path) { return directories.contains(path); }},
                                built_for);
    }
};

TEST(Authorities, TheEnvironmentIsBelieved) {
    System system{{{"SSL_CERT_FILE", "/my/ca.pem"}}, {"/etc/ssl/certs/ca-certificates.crt"}, {"/etc/ssl/certs"}};
    EXPECT_EQ(system.find().file, "/my/ca.pem");
    EXPECT_EQ(system.find().directory, "");
    system.environment = {{"SSL_CERT_DIR", "/my/cas"}};
    EXPECT_EQ(system.find().file, "");
    EXPECT_EQ(system.find().directory, "/my/cas");
    system.environment = {{"SSL_CERT_FILE", ""}, {"SSL_CERT_DIR", ""}};
    EXPECT_EQ(system.find().file, "/etc/ssl/certs/ca-certificates.crt");
}

TEST(Authorities, WhatOpenSslWasBuiltForComesFirst) {
    const System system{{}, {"/usr/lib/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt"}, {}};
    EXPECT_EQ(system.find().file, "/usr/lib/ssl/cert.pem");
}

TEST(Authorities, EachDistributionsPlaceIsFound) {
    for (const char* place : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                              "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
        const System system{{}, {place}, {}};
        EXPECT_EQ(system.find().file, place);
        EXPECT_EQ(system.find().directory, "");
    }
}

TEST(Authorities, WithoutAFileADirectoryHasToDo) {
    EXPECT_EQ((System{{}, {}, {"/usr/lib/ssl/certs", "/etc/ssl/certs"}}.find().directory), "/usr/lib/ssl/certs");
    EXPECT_EQ((System{{}, {}, {"/etc/pki/tls/certs"}}.find().directory), "/etc/pki/tls/certs");
    EXPECT_EQ((System{}.find().file), "");
    EXPECT_EQ((System{}.find().directory), "");
}

}  // namespace
}  // namespace fanwire::core
