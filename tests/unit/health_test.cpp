// The verdict on an engine, and its numbers as texts.
#include "core/engine/health.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/engine/metrics_text.h"

namespace fanwire::core {
namespace {

HealthFacts well() {
    HealthFacts facts;
    facts.publish_link = facts.subscribe_link = true;
    facts.desired = facts.confirmed = 3;
    facts.now = 100000;
    facts.received_at = 99500;
    facts.heartbeat_timeout = 4000;
    return facts;
}

TEST(Health, IsOkWhenEverythingIs) {
    const Health health = judge(well());
    EXPECT_EQ(health.verdict, Verdict::ok);
    EXPECT_EQ(health.status, Status::OK);
    EXPECT_EQ(health.silence_ms, 500u);
    EXPECT_EQ(health.probe_age_ms, Health::unknown);
    EXPECT_EQ(health.text, "connected, everything confirmed");
}

TEST(Health, IsDownWithoutALinkAndSaysWhy) {
    HealthFacts facts = well();
    facts.subscribe_link = false;
    facts.connection = {Status::CONNECT_FAILED, "127.0.0.1:6379: Connection refused"};
    EXPECT_EQ(judge(facts).verdict, Verdict::down);
    EXPECT_EQ(judge(facts).status, Status::CONNECT_FAILED);
    EXPECT_EQ(judge(facts).text, "the subscribe link is down: 127.0.0.1:6379: Connection refused");
    facts.publish_link = false;
    facts.connection = {};
    EXPECT_EQ(judge(facts).status, Status::NOT_CONNECTED);
    EXPECT_EQ(judge(facts).text, "not connected");
    facts.closed = true;
    EXPECT_EQ(judge(facts).status, Status::CLOSED);
}

TEST(Health, IsDownWhenTheIoThreadHasNotNoticedASilence) {
    HealthFacts facts = well();
    facts.received_at = facts.now - 8000;
    EXPECT_EQ(judge(facts).verdict, Verdict::ok);
    facts.received_at = facts.now - 8001;
    EXPECT_EQ(judge(facts).verdict, Verdict::down);
    EXPECT_EQ(judge(facts).status, Status::SYSTEM_ERROR);
    facts.has_links = false;  // nothing ever comes in
    EXPECT_EQ(judge(facts).verdict, Verdict::ok);
}

TEST(Health, IsDegradedWhileSomethingIsNotConfirmed) {
    HealthFacts facts = well();
    facts.confirmed = 1;
    EXPECT_EQ(judge(facts).verdict, Verdict::degraded);
    EXPECT_EQ(judge(facts).unconfirmed, 2u);
    EXPECT_EQ(judge(facts).text, "2 of 3 channels and patterns are not confirmed by Redis yet");
    facts.unseen = 1;  // subscribed just now
    EXPECT_EQ(judge(facts).text, "3 of 4 channels and patterns are not confirmed by Redis yet");
    facts.unseen = 0;
    facts.refused = 1;
    facts.refusal = {Status::NO_PERMISSION, "SUBSCRIBE \"x\": NOPERM"};
    EXPECT_EQ(judge(facts).status, Status::NO_PERMISSION);
    EXPECT_EQ(judge(facts).text, "1 of 3 channels and patterns are refused by Redis: SUBSCRIBE \"x\": NOPERM");
}

TEST(Health, BelievesOnlyAProbeOfThePresentLinks) {
    HealthFacts facts = well();
    facts.probe_interval = 1000;
    facts.probe_deadline = 4000;
    EXPECT_EQ(judge(facts).verdict, Verdict::degraded);
    facts.probe_at = facts.now - 300;  // of the links before
    EXPECT_EQ(judge(facts).verdict, Verdict::degraded);
    facts.probe_returned = true;
    facts.probe_us = 120;
    EXPECT_EQ(judge(facts).verdict, Verdict::ok);
    EXPECT_EQ(judge(facts).probe_age_ms, 300u);
    EXPECT_EQ(judge(facts).text, "connected, everything confirmed, the last probe took 120 us");
    facts.probe_at = facts.now - 9001;
    EXPECT_EQ(judge(facts).verdict, Verdict::degraded);
    EXPECT_EQ(judge(facts).status, Status::TIMEOUT);
    facts.probe_refusal = {Status::NO_PERMISSION, "NOPERM"};
    EXPECT_EQ(judge(facts).status, Status::NO_PERMISSION);
}

TEST(Latency, SortsIntoPowersOfTwo) {
    Latency latency;
    for (std::uint64_t us = 0; us < 6; ++us) latency.add(us);
    latency.add(std::uint64_t{1} << 40, 2);
    const LatencySnapshot now = latency.snapshot();
    EXPECT_EQ(now.count, 8u);
    EXPECT_EQ(now.buckets[0], 2u);
    EXPECT_EQ(now.buckets[1], 1u);
    EXPECT_EQ(now.buckets[2], 2u);
    EXPECT_EQ(now.buckets[3], 1u);
    EXPECT_EQ(now.buckets[27], 2u);
    EXPECT_EQ(now.max_us, std::uint64_t{1} << 40);
    EXPECT_EQ(now.quantile(0.375), 2u) << "the third of eight is the last one of its bucket";
    EXPECT_EQ(now.quantile(0.5), 4u);
    EXPECT_EQ(now.quantile(1), std::uint64_t{1} << 40);
    EXPECT_EQ(LatencySnapshot().quantile(0.5), 0u);
}

TEST(MetricsText, IsJsonWithEveryRow) {
    Metrics metrics;
    metrics.published.add(7);
    metrics.publish_latency.add(100);
    Health health = judge(well());
    health.text = "a \"quoted\"\n\\ text";
    const auto json = nlohmann::json::parse(metrics_json(metrics, health));
    EXPECT_EQ(json["health"]["verdict"], "ok");
    EXPECT_EQ(json["health"]["text"], health.text);
    EXPECT_EQ(json["health"]["probe_age_ms"], nullptr);
    EXPECT_EQ(json["publish_latency"]["p99_us"], 100);
#define FANWIRE_METRIC(member, kind, help) EXPECT_EQ(json[#member], metrics.member.get());
#include "core/base/metrics.def"
#undef FANWIRE_METRIC
}

TEST(MetricsText, IsPrometheus) {
    Metrics metrics;
    metrics.published.add(7);
    metrics.delivery_latency.add(3, 2);
    const std::string text = metrics_prometheus(metrics, judge(well()), "a\"b\\c", "ws\n");
    EXPECT_NE(text.find("# TYPE fanwire_published_total counter\n"
                        "fanwire_published_total{client=\"a\\\"b\\\\c\",namespace=\"ws\\n\"} 7\n"),
              text.npos)
        << text;
    EXPECT_NE(text.find("fanwire_health{client=\"a\\\"b\\\\c\",namespace=\"ws\\n\",verdict=\"ok\"} 1\n"), text.npos);
    EXPECT_NE(text.find("# TYPE fanwire_connected gauge\nfanwire_connected{"), text.npos);
    EXPECT_NE(text.find("le=\"0.000002\"} 0\n"), text.npos);
    EXPECT_NE(text.find("le=\"0.000004\"} 2\n"), text.npos);
    EXPECT_NE(text.find("le=\"+Inf\"} 2\n"), text.npos);
    EXPECT_NE(text.find("fanwire_delivery_latency_seconds_sum{client=\"a\\\"b\\\\c\",namespace=\"ws\\n\"} 0.000006\n"),
              text.npos);
    EXPECT_EQ(text.back(), '\n');
}

}  // namespace
}  // namespace fanwire::core
