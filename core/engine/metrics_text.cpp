#include "core/engine/metrics_text.h"

#include <cstdio>
#include <utility>

namespace fanwire::core {

namespace {

struct Row {
    const char* name;
    bool counter;
    const char* help;
    const Counter Metrics::*member;
};

constexpr bool is_counter(std::string_view kind) {
    return kind == "counter";
}

constexpr Row rows[] = {
#define FANWIRE_METRIC(member, kind, help) {#member, is_counter(#kind), help, &Metrics::member},
#include "core/base/metrics.def"
#undef FANWIRE_METRIC
};

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

// RFC 8259, section 7. Bytes above 0x7f are passed on: texts are UTF-8 or ASCII.
std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
            out += escaped;
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string json_age(std::uint64_t value) {
    return value == Health::unknown ? "null" : number(value);
}

std::string latency_json(const LatencySnapshot& latency) {
    return "{\"count\":" + number(latency.count) + ",\"sum_us\":" + number(latency.sum_us) +
           ",\"max_us\":" + number(latency.max_us) + ",\"p50_us\":" + number(latency.quantile(0.5)) +
           ",\"p90_us\":" + number(latency.quantile(0.9)) + ",\"p99_us\":" + number(latency.quantile(0.99)) +
           ",\"p999_us\":" + number(latency.quantile(0.999)) + "}";
}

// A label's value: the exposition format escapes these three.
std::string label_value(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

// Microseconds as seconds. Not by printf, whose point is the locale's.
std::string seconds(std::uint64_t us) {
    const std::string fraction = number(us % 1000000);
    return number(us / 1000000) + "." + std::string(6 - fraction.size(), '0') + fraction;
}

class Exposition {
 public:
    explicit Exposition(std::string labels) : labels_(std::move(labels)) {}

    void head(const std::string& name, const char* type, const std::string& help) {
        text_ += "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
    }
    void sample(const std::string& name, const std::string& value, const std::string& more = "") {
        text_ += name + "{" + labels_ + more + "} " + value + "\n";
    }
    void histogram(const std::string& name, const std::string& help, const LatencySnapshot& latency) {
        head(name, "histogram", help);
        std::uint64_t below = 0;
        for (std::size_t i = 0; i + 1 < latency.buckets.size(); ++i) {
            below += latency.buckets[i];
            sample(name + "_bucket", number(below), ",le=\"" + seconds(std::uint64_t{1} << i) + "\"");
        }
        sample(name + "_bucket", number(latency.count), ",le=\"+Inf\"");
        sample(name + "_sum", seconds(latency.sum_us));
        sample(name + "_count", number(latency.count));
    }
    std::string text() && { return std::move(text_); }

 private:
    std::string labels_, text_;
};

}  // namespace

std::string metrics_json(const Metrics& metrics, const Health& health) {
    std::string out = "{\"health\":{\"verdict\":" + json_string(verdict_name(health.verdict)) +
                      ",\"status\":" + json_string(status_name(health.status)) +
                      ",\"publish_link\":" + (health.publish_link ? "true" : "false") +
                      ",\"subscribe_link\":" + (health.subscribe_link ? "true" : "false") +
                      ",\"unconfirmed\":" + number(health.unconfirmed) + ",\"refused\":" + number(health.refused) +
                      ",\"silence_ms\":" + json_age(health.silence_ms) +
                      ",\"probe_age_ms\":" + json_age(health.probe_age_ms) +
                      ",\"probe_us\":" + (health.probe_age_ms == Health::unknown ? "null" : number(health.probe_us)) +
                      ",\"text\":" + json_string(health.text) + "}";
    for (const Row& row : rows) out += ",\"" + std::string(row.name) + "\":" + number((metrics.*row.member).get());
    out += ",\"publish_latency\":" + latency_json(metrics.publish_latency.snapshot());
    out += ",\"delivery_latency\":" + latency_json(metrics.delivery_latency.snapshot());
    return out + "}";
}

std::string metrics_prometheus(const Metrics& metrics, const Health& health, std::string_view client,
                               std::string_view name_space) {
    Exposition out("client=\"" + label_value(client) + "\",namespace=\"" + label_value(name_space) + "\"");
    out.head("fanwire_health", "gauge", "1 for the present verdict, 0 for the others");
    for (const Verdict verdict : {Verdict::ok, Verdict::degraded, Verdict::down})
        out.sample("fanwire_health", verdict == health.verdict ? "1" : "0",
                   ",verdict=\"" + std::string(verdict_name(verdict)) + "\"");
    for (const Row& row : rows) {
        const std::string name = "fanwire_" + std::string(row.name) + (row.counter ? "_total" : "");
        out.head(name, row.counter ? "counter" : "gauge", row.help);
        out.sample(name, number((metrics.*row.member).get()));
    }
    out.histogram("fanwire_publish_latency_seconds", "From accepting a publish to its outcome",
                  metrics.publish_latency.snapshot());
    out.histogram("fanwire_delivery_latency_seconds", "From reading a message to draining it",
                  metrics.delivery_latency.snapshot());
    return std::move(out).text();
}

}  // namespace fanwire::core
