// URLs of several servers.
#include "core/base/topology_url.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/error.h"

namespace fanwire::core {
namespace {

std::string show(const TopologyUrl& url) {
    std::string text = url.kind == TopologyKind::cluster ? "cluster" : "ring";
    for (const ServerAddress& host : url.hosts) text += " " + host.text();
    for (const UrlPart& part : url.parts) text += " " + part.setting + "=" + part.value;
    if (url.sharded) text += " sharded";
    if (url.partitions != 0) text += " in " + std::to_string(url.partitions);
    return text;
}

std::string read(std::string_view url) {
    try {
        return show(parse_topology_url(url));
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.status(), Status::INVALID_URL) << url;
        return failure.what();
    }
}

TEST(TopologyUrl, NamesServers) {
    EXPECT_EQ(read("redis-cluster://a"), "cluster a:6379");
    EXPECT_EQ(read("redis-cluster://a,b:7000,10.0.0.1:1"), "cluster a:6379 b:7000 10.0.0.1:1");
    EXPECT_EQ(read("redis-cluster://[::1]:7000,[fe80::1%25eth0]"), "cluster [::1]:7000 [fe80::1%eth0]:6379");
    EXPECT_EQ(read("redis-ring://a,b,c"), "ring a:6379 b:6379 c:6379");
    EXPECT_EQ(read("redis-ring://a:1,a:2"), "ring a:1 a:2");
    EXPECT_EQ(read("redis-cluster://a:,b"), "cluster a:6379 b:6379");
}

TEST(TopologyUrl, HasEightSchemes) {
    for (const std::string kind : {"cluster", "ring"}) {
        EXPECT_EQ(read("redis-" + kind + "://a"), kind + " a:6379");
        EXPECT_EQ(read("valkey-" + kind + "://a"), kind + " a:6379");
        EXPECT_EQ(read("rediss-" + kind + "://a,b"), kind + " a:6379 b:6379 tls=true");
        EXPECT_EQ(read("valkeys-" + kind + "://a"), kind + " a:6379 tls=true");
        EXPECT_EQ(read("REDISS-" + kind + "://a"), kind + " a:6379 tls=true");
    }
    for (const char* url : {"redis-cluster://a", "VALKEYS-RING://a"}) EXPECT_TRUE(is_topology_url(url));
    for (const char* url : {"redis://a", "redis-sentinel://a", "redis-cluster:a", "redis-cluster", "", "unix-ring://a",
                            "redis-cluste://a", "redis-clusterx://a", "://a"}) {
        EXPECT_FALSE(is_topology_url(url)) << url;
        EXPECT_EQ(
            read(url),
            "the URL is not valid: its scheme is none of a Cluster or a ring, such as redis-cluster or redis-ring");
    }
}

TEST(TopologyUrl, HasOneLoginAndOneSetOfSettingsForAll) {
    EXPECT_EQ(read("rediss-cluster://user:p%2Cw@a,b/0?client_name=x&tls_verify=ca"),
              "cluster a:6379 b:6379 tls=true username=user password=p,w db=0 client_name=x tls_verify=ca");
    EXPECT_EQ(read("redis-ring://:secret@a,b/7"), "ring a:6379 b:6379 password=secret db=7");
    EXPECT_EQ(read("redis-ring://u,v:s,t@a"), "ring a:6379 username=u,v password=s,t");
}

TEST(TopologyUrl, MaySayHowAClusterIsUsed) {
    EXPECT_EQ(read("redis-cluster://a?sharded=true"), "cluster a:6379 sharded");
    EXPECT_EQ(read("redis-cluster://a?sharded=false"), "cluster a:6379");
    EXPECT_EQ(read("redis-cluster://a?partitions=64&sharded=true&namespace=x"),
              "cluster a:6379 namespace=x sharded in 64");
    EXPECT_EQ(read("redis-cluster://a?sharded=true&partitions=16384"), "cluster a:6379 sharded in 16384");
}

TEST(TopologyUrl, SaysWhatIsWrong) {
    const auto expect = [](std::string_view url, const std::string& what) {
        EXPECT_EQ(read(url), "the URL is not valid: " + what) << url;
    };
    for (const char* url :
         {"redis-cluster://", "redis-cluster:///0", "redis-cluster://u:p@", "redis-cluster://a,", "redis-cluster://,a",
          "redis-cluster://a,,b", "redis-cluster://:7000", "redis-cluster://a,:1"})
        expect(url, "one of its servers has no name");
    expect("redis-cluster://a,b:6379,b", "b:6379 is given twice");
    expect("redis-cluster://a:0", "the port of \"a\" must be a whole number from 1 to 65535");
    expect("redis-cluster://a,b:65536", "the port of \"b\" must be a whole number from 1 to 65535");
    expect("redis-cluster://a:x", "the port must be a whole number from 1 to 65535");
    expect("redis-cluster://a,b:1x", "the port must be a whole number from 1 to 65535");
    expect("redis-cluster://a/1", "a Cluster has no database but 0");
    expect("redis-cluster://a?db=3", "a Cluster has no database but 0");
    expect("redis-cluster://a/x", "its path must be empty or the number of a database");
    expect("redis-cluster://a?unix_path=/x", "unix_path is of one server, and this URL names several");
    expect("redis-cluster://a?host=b", "\"host\" is given twice");
    expect("redis-cluster://a?sharded=yes", "sharded must be true or false, not \"yes\"");
    expect("redis-cluster://a?sharded=true&sharded=true", "\"sharded\" is given twice");
    for (const char* count : {"0", "16385", "-1", "x", "", "1.5", "99999999999999999999"})
        expect("redis-cluster://a?sharded=true&partitions=" + std::string(count),
               "partitions must be a whole number from 1 to 16384, not \"" + std::string(count) + "\"");
    expect("redis-cluster://a?partitions=8", "partitions need sharded=true");
    expect("redis-cluster://a?sharded=false&partitions=8", "partitions need sharded=true");
    expect("redis-ring://a?sharded=true", "\"sharded\" is of a Cluster, and a ring is none");
    expect("redis-ring://a?partitions=8", "\"partitions\" is of a Cluster, and a ring is none");
    std::string many = "redis-ring://a0";
    for (int i = 1; i <= 1000; ++i) many += ",a" + std::to_string(i);
    expect(many, "it names more than 1000 servers");
    expect("redis-ring://" + std::string(8192, 'a'), "it has more than 8192 bytes");
}

// The rules of a URL of one server.
TEST(TopologyUrl, HasTheRulesOfOtherUrls) {
    for (const char* url : {"redis-cluster://a b", "redis-cluster://a#x", "redis-cluster://[::1", "redis-cluster://[x]",
                            "redis-cluster://a,::1", "redis-cluster://a%zz", "redis-cluster://u@v@a,b",
                            "redis-cluster://u:p@a,x@b", "redis-cluster://a?x", "redis-cluster://u:p/w@a,b"})
        EXPECT_TRUE(read(url).starts_with("the URL is not valid: ")) << url << ' ' << read(url);
}

TEST(TopologyUrl, NoTextHasThePassword) {
    for (const std::string url :
         {"redis-cluster://u:hunter2@a,b:x", "redis-cluster://u:hunter2@a,,b",
          "redis-cluster://u:hunter2@a,v:hunter2@b", "redis-cluster://u:hunter2/@a", "redis-cluster://a,b:hunter2",
          "redis-cluster://u:hunter2@a,a", "redis-ring://u:hunter2@a?sharded=true",
          "redis-cluster://a?password=hunter2&password=hunter2", "redis-cluster://:hunter2@a/9",
          "redis-cluster://u:hunter2@a:99999"}) {
        const std::string text = read(url);
        EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
        EXPECT_EQ(redact_topology_url(url).find("hunter2"), std::string::npos) << redact_topology_url(url);
    }
}

TEST(TopologyUrl, IsShownWithoutThePassword) {
    const auto expect = [](std::string_view url, std::string_view shown) {
        EXPECT_EQ(redact_topology_url(url), shown);
        EXPECT_EQ(show(parse_topology_url(url)).size() > 0, true);
    };
    expect("redis-cluster://a:1,b:2", "redis-cluster://a:1,b:2");
    expect("rediss-ring://u:hunter2@a:1,[::1]:2/3?client_name=x", "rediss-ring://u:***@a:1,[::1]:2/3?client_name=x");
    expect("redis-cluster://:hunter2@a,b?password_is=no", "redis-cluster://:***@a,b?password_is=***");
    expect("redis-cluster://a,b?password=hunter2&sharded=true", "redis-cluster://a,b?password=***&sharded=***");
    // What is none is hidden rather too much.
    EXPECT_EQ(redact_topology_url("redis-cluster://a,,b:1"), redact_url("redis-cluster://a,,b:1"));
}

}  // namespace
}  // namespace fanwire::core
