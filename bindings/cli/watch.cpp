#include "bindings/cli/watch.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "bindings/cli/failure.h"
#include "bindings/cli/observed.h"
#include "bindings/cli/output.h"
#include "bindings/cli/text.h"

namespace fanwire::cli {
namespace {

constexpr unsigned long long kIntervalMs = 1000;
constexpr char kUtc[] = "%Y-%m-%dT%H:%M:%SZ";  // RFC 3339

struct Rate {
    const char* name;
    uint64_t fanwire_engine_stats::*counter;
};

constexpr Rate kRates[] = {
    {"published", &fanwire_engine_stats::published}, {"received", &fanwire_engine_stats::received},
    {"delivered", &fanwire_engine_stats::delivered}, {"dropped", &fanwire_engine_stats::dropped},
    {"gaps", &fanwire_engine_stats::gaps},           {"bytes_in", &fanwire_engine_stats::bytes_in},
    {"bytes_out", &fanwire_engine_stats::bytes_out},
};

std::string number(uint64_t value) {
    return std::to_string(value);
}

std::string decimal(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.1f", value);
    return text;
}

// Two observations, and what happened in between. Before the first one there is nothing that would make a rate.
struct Interval {
    const std::optional<Observation>& earlier;
    const Observation& later;

    std::string rate(const Rate& row) const {
        if (!earlier) return "-";
        const double seconds = std::chrono::duration<double>(later.at - earlier->at).count();
        const auto happened = static_cast<double>(later.stats.*row.counter - earlier->stats.*row.counter);
        return decimal(seconds > 0 ? happened / seconds : 0);
    }
    fanwire_latency publish() const { return earlier ? since(earlier->publish, later.publish) : later.publish; }
    fanwire_latency delivery() const { return earlier ? since(earlier->delivery, later.delivery) : later.delivery; }
};

std::string or_dash(std::optional<uint64_t> value) {
    return value ? number(*value) : "-";
}

const char* up(int link) {
    return link != 0 ? "up" : "down";
}

// strftime() of now.
std::string now_as(const char* format, bool utc) {
    const std::time_t now = std::time(nullptr);
    std::tm parts = {};
    if ((utc ? gmtime_r(&now, &parts) : localtime_r(&now, &parts)) == nullptr) return "?";
    char text[64];
    return std::string(text, std::strftime(text, sizeof text, format, &parts));
}

// Redis's words as one line that cannot steer a terminal.
std::string printable(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    return text;
}

// For people at a terminal.
std::vector<std::string> as_block(const Interval& interval, const std::string& title) {
    const Observation& now = interval.later;
    std::vector<std::string> lines;
    const auto row = [&](std::string name, const std::string& rest) {
        name.resize(15, ' ');
        lines.push_back(name + rest);
    };
    const auto right = [](const std::string& text) {
        return std::string(text.size() < 14 ? 14 - text.size() : 0, ' ') + text;
    };
    const auto took = [](const char* what, const fanwire_latency& latency) {
        if (latency.count == 0) return std::string(what) + " -";
        return std::string(what) + " p50 " + or_dash(percentile(latency, 50)) + " us, p99 " +
               or_dash(percentile(latency, 99)) + " us";
    };
    lines.push_back(title + ", " + now_as("%H:%M:%S", false));
    row("health", std::string(now.verdict()) + ": " + printable(now.health.text));
    row("links", std::string("publish ") + up(now.health.publish_link) + ", subscribe " +
                     up(now.health.subscribe_link) + "; since the start " + number(now.stats.connects) + " connects, " +
                     number(now.stats.disconnects) + " breaks, " + number(now.stats.connect_errors) +
                     " failed attempts");
    row("", right("per second") + right("total"));
    for (const Rate& rate : kRates) {
        std::string name = rate.name;
        std::replace(name.begin(), name.end(), '_', ' ');
        row(name, right(interval.rate(rate)) + right(number(now.stats.*rate.counter)));
    }
    row("subscriptions", number(now.stats.subscriptions_desired) + " wanted, " +
                             number(now.stats.subscriptions_confirmed) + " confirmed, " +
                             number(now.stats.subscriptions_refused) + " refused");
    row("queues", number(now.stats.publish_queued) + " publishes without an outcome, " +
                      number(now.stats.publish_unsent) + " of them unsent; " + number(now.inbox.queued) +
                      " events in the inbox");
    row("latency", took("publish", interval.publish()) + "; " + took("delivery", interval.delivery()) + "; probe " +
                       (now.probe_us() ? number(*now.probe_us()) + " us" : "-"));
    return lines;
}

// For scripts and logs.
std::string as_line(const Interval& interval) {
    const Observation& now = interval.later;
    std::string line = "time=" + now_as(kUtc, true) + " verdict=" + now.verdict();
    const auto add = [&](const std::string& name, const std::string& value) { line += " " + name + "=" + value; };
    for (const Rate& rate : kRates) add(std::string(rate.name) + "_per_s", interval.rate(rate));
    add("publish_link", up(now.health.publish_link));
    add("subscribe_link", up(now.health.subscribe_link));
    add("subscriptions", number(now.stats.subscriptions_desired));
    add("confirmed", number(now.stats.subscriptions_confirmed));
    add("refused", number(now.stats.subscriptions_refused));
    add("publish_queued", number(now.stats.publish_queued));
    add("publish_unsent", number(now.stats.publish_unsent));
    add("inbox_queued", number(now.inbox.queued));
    add("publish_p50_us", or_dash(percentile(interval.publish(), 50)));
    add("publish_p99_us", or_dash(percentile(interval.publish(), 99)));
    add("delivery_p50_us", or_dash(percentile(interval.delivery(), 50)));
    add("delivery_p99_us", or_dash(percentile(interval.delivery(), 99)));
    add("probe_us", or_dash(now.probe_us()));
    add("text", json_string(printable(now.health.text)));
    return line;
}

// The beginning of a line that a terminal of `width` columns shows without wrapping. A cut UTF-8 character goes whole.
std::string cut(const std::string& line, size_t width) {
    if (line.size() <= width) return line;
    size_t end = width;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) --end;
    return line.substr(0, end);
}

class Watch {
 public:
    Watch(Arguments& arguments, unsigned long long interval_ms, const std::string& title)
        : deadline_(deadline_in(arguments.milliseconds("timeout"))),
          count_(arguments.count("count")),
          interval_ms_(interval_ms),
          title_(title),
          json_(arguments.has("json")),
          terminal_(::isatty(STDOUT_FILENO) == 1),
          observed_(arguments),
          output_(deadline_) {}

    int run() {
        // The first one comes as soon as there is something to say.
        const Deadline soon = deadline_in(std::min<unsigned long long>(interval_ms_, 1000));
        show(observed_.settle(deadline_ ? std::min(*deadline_, *soon) : soon));
        Deadline next = deadline_in(interval_ms_);
        while (!done()) {
            wait(next);
            if (!passed(next)) continue;
            show(observed_.observe());
            *next += std::chrono::milliseconds(interval_ms_);
            if (passed(next)) next = deadline_in(interval_ms_);  // whoever reads stdout took longer than that
        }
        const int signal = caught();
        return signal == 0 || signal == SIGINT ? kExitOk : kExitSignal + signal;
    }

 private:
    int caught() { return observed_.session().signals().caught(); }

    bool done() { return caught() != 0 || passed(deadline_) || (count_ && shown_ >= *count_); }

    void wait(const Deadline& next) {
        // POLLERR on stdout comes when its reader leaves.
        std::vector<pollfd> others = {{STDOUT_FILENO, 0, 0}};
        observed_.session().wait(others, deadline_ ? std::min(*deadline_, *next) : next);
        observed_.drain();
        if ((others[0].revents & (POLLERR | POLLHUP)) != 0) throw ReaderGone{};
    }

    void show(const Observation& now) {
        if (caught() != 0) return;
        const Interval interval{former_, now};
        if (json_) {
            const std::string object = observed_.metrics(FANWIRE_METRICS_JSON);
            output_.add("{\"time\":\"" + now_as(kUtc, true) + "\"," + object.substr(1) + "\n");
        } else if (terminal_) {
            draw(as_block(interval, title_));
        } else {
            output_.add(as_line(interval) + "\n");
        }
        output_.flush();
        former_ = now;
        ++shown_;
    }

    // Over the former block.
    void draw(const std::vector<std::string>& lines) {
        winsize size = {};
        const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
        if (shown_ != 0) output_.add("\x1b[" + number(lines.size()) + "A");
        for (const std::string& line : lines) output_.add((known ? cut(line, size.ws_col) : line) + "\x1b[K\n");
        output_.add("\x1b[J");
    }

    const Deadline deadline_;
    const std::optional<unsigned long long> count_;
    const unsigned long long interval_ms_;
    const std::string title_;
    const bool json_;
    const bool terminal_;
    Observed observed_;
    Output output_;
    std::optional<Observation> former_;
    unsigned long long shown_ = 0;
};

}  // namespace

int run_watch(Arguments& arguments) {
    const bool plain = arguments.text("watch")->empty();
    const unsigned long long interval_ms = plain ? kIntervalMs : *arguments.milliseconds("watch");
    const std::string title = std::string("fanwire ") + fanwire_version() + ", " +
                              effective(arguments.options(), "url") + ", every " +
                              decimal(static_cast<double>(interval_ms) / 1000) + " s";
    return Watch(arguments, interval_ms, printable(title)).run();
}

}  // namespace fanwire::cli
