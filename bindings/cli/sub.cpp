#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/cli/commands.h"
#include "bindings/cli/failure.h"
#include "bindings/cli/line_publisher.h"
#include "bindings/cli/output.h"
#include "bindings/cli/session.h"
#include "bindings/cli/text.h"

namespace fanwire::cli {
namespace {

constexpr unsigned long long kCloseTimeoutMs = 1000;

// One channel or pattern of the command line; user_data of its subscription.
struct Wanted {
    std::string name;  // as typed, for the notes
    Handle<fanwire_subscription> subscription;
    bool confirmed_once = false;
};

class Subscriber {
 public:
    Subscriber(Arguments& arguments, const Deadline& deadline)
        : session_(arguments),
          deadline_(deadline),
          output_(deadline),
          json_(arguments.has("json")),
          quiet_(arguments.has("quiet")),
          retry_(arguments.has("retry")),
          count_(arguments.count("count")) {
        const std::vector<std::string>& channels = arguments.operands();
        const std::vector<std::string> patterns = arguments.all("pattern");
        names_shown_ = channels.size() != 1 || !patterns.empty();
        // Never grown afterwards: subscriptions point at the elements.
        wanted_.reserve(channels.size() + patterns.size());
        for (const std::string& channel : channels) add(channel, fanwire_subscribe);
        for (const std::string& pattern : patterns) add(pattern, fanwire_psubscribe);
        if (arguments.has("stdin")) {
            publisher_.emplace(session_, channels.front(), effective_size(arguments.options(), "max_message_bytes"));
        }
    }

    int run() {
        while (!enough() && session_.signals().caught() == 0) {
            if (passed(deadline_)) return timed_out();
            // stdout is watched too: POLLERR comes when its reader leaves, even if no message ever does.
            std::vector<pollfd> others = {{STDOUT_FILENO, 0, 0}};
            if (publishes() && publisher_->wants_input()) others.push_back({STDIN_FILENO, POLLIN, 0});
            session_.wait(others, deadline_);
            print_what_came();
            if ((others[0].revents & (POLLERR | POLLHUP)) != 0) throw ReaderGone{};
            if (others.size() > 1 && others[1].revents != 0) publisher_->read_input();
        }
        // A signal leaves at once, but messages that nobody took in time do not count.
        if (session_.signals().caught() == 0 && !output_.all_written()) return timed_out();
        return leave();
    }

 private:
    using Subscribe = decltype(&fanwire_subscribe);

    void add(const std::string& name, Subscribe subscribe) {
        wanted_.push_back({name, nullptr, false});
        fanwire_subscription* subscription = nullptr;
        check(subscribe(&subscription, session_.engine(), name.data(), name.size(), session_.inbox(), &wanted_.back()));
        wanted_.back().subscription.reset(subscription);
        ++unconfirmed_;
    }

    bool enough() const { return count_ && received_ >= *count_; }

    // Lines of stdin go out once everything is subscribed, so that none of them is missed here.
    bool publishes() const { return publisher_ && unconfirmed_ == 0; }

    void note(const std::string& text) {
        if (!quiet_) say(text);
    }

    void print_what_came() {
        const auto handle = [this](const fanwire_event& event) { on_event(event); };
        try {
            while (!enough() && session_.signals().caught() == 0 && !passed(deadline_) && session_.drain(handle)) {
            }
        } catch (const Failure&) {
            output_.flush();  // what came before it
            throw;
        }
        output_.flush();
    }

    void on_event(const fanwire_event& event) {
        switch (event.kind) {
            case FANWIRE_EVENT_PUBLISHED:
                publisher_->outcome(event);
                return;
            case FANWIRE_EVENT_CONNECTED:
                note(connected_once_ ? "connected again" : "connected");
                connected_once_ = true;
                last_error_.clear();
                return;
            case FANWIRE_EVENT_DISCONNECTED:
                note("disconnected: " + reason(event));
                if (!event.will_reconnect) throw failure_of(event.status, event.text);
                return;
            case FANWIRE_EVENT_ERROR:
                return on_connect_error(event);
            case FANWIRE_EVENT_RECONNECTING:
                return;  // said by the two above
            default:
                return on_subscription_event(event, *static_cast<Wanted*>(event.user_data));
        }
    }

    void on_connect_error(const fanwire_event& event) {
        if (!event.will_reconnect || (!connected_once_ && !retry_)) throw failure_of(event.status, event.text);
        // The same words at every attempt would tell nothing.
        if (reason(event) == last_error_) return;
        last_error_ = reason(event);
        note(last_error_ + "; trying again");
    }

    void on_subscription_event(const fanwire_event& event, Wanted& wanted) {
        switch (event.kind) {
            case FANWIRE_EVENT_MESSAGE:
                return print(event);
            case FANWIRE_EVENT_ACTIVE:
                confirm(wanted);
                return note("subscribed to " + wanted.name);
            case FANWIRE_EVENT_RESUMED:
                confirm(wanted);
                return note("subscribed to " + wanted.name + " again");
            case FANWIRE_EVENT_LOST:
                return note("lost " + wanted.name + ": " + reason(event));
            case FANWIRE_EVENT_GAP:
                return note("gap in " + wanted.name + ": " + gap(event));
            case FANWIRE_EVENT_FAILED:
                if (!wanted.confirmed_once && !retry_) throw failure_of(event.status, event.text);
                return note("cannot subscribe to " + wanted.name + ": " + reason(event) + "; trying again");
            default:
                return;
        }
    }

    void confirm(Wanted& wanted) {
        if (wanted.confirmed_once) return;
        wanted.confirmed_once = true;
        --unconfirmed_;
    }

    static std::string reason(const fanwire_event& event) { return failure_of(event.status, event.text).what(); }

    static std::string gap(const fanwire_event& event) {
        const std::string count =
            event.count == FANWIRE_COUNT_UNKNOWN ? "messages may be" : std::to_string(event.count) + " messages are";
        switch (event.reason) {
            case FANWIRE_GAP_OVERFLOW:
                return count + " missing, stdout is read too slowly";
            case FANWIRE_GAP_OUTPUT_BUFFER:
                return count + " missing, Redis closed the connection for its client-output-buffer-limit";
            case FANWIRE_GAP_FAILOVER:
                return count + " missing, another server has become the master";
            default:
                return count + " missing, the connection was down";
        }
    }

    void print(const fanwire_event& event) {
        if (enough()) return;
        ++received_;
        const std::string_view channel(event.channel, event.channel_size);
        const std::string_view payload(event.payload_size != 0 ? event.payload : "", event.payload_size);
        if (json_) {
            output_.add("{" + json_member("channel", channel) + ",");
            output_.add(event.pattern == nullptr
                            ? "\"pattern\":null"
                            : json_member("pattern", std::string_view(event.pattern, event.pattern_size)));
            output_.add("," + json_member("payload", payload) + "}\n");
            return;
        }
        if (names_shown_) {
            output_.add(channel);
            output_.add("\t");
        }
        output_.add(payload);
        output_.add("\n");
    }

    int timed_out() {
        leave();
        if (unconfirmed_ != 0) throw runtime_error("the time limit passed before Redis confirmed the subscription");
        if (!count_) return kExitOk;
        if (enough()) throw runtime_error("the time limit passed before stdout took all messages");
        throw runtime_error("the time limit passed after " + std::to_string(received_) + " of " +
                            std::to_string(*count_) + " messages");
    }

    int leave() {
        for (Wanted& wanted : wanted_) fanwire_unsubscribe(wanted.subscription.get());
        if (publisher_) publisher_->stop();
        fanwire_engine_close(session_.engine(), kCloseTimeoutMs);
        if (publisher_) {
            while (session_.drain([this](const fanwire_event& event) {
                if (event.kind == FANWIRE_EVENT_PUBLISHED) publisher_->outcome(event);
            })) {
            }
            note(publisher_->summary());
        }
        if (session_.signals().caught() != 0) return kExitSignal + session_.signals().caught();
        return publisher_ && publisher_->any_failed() ? kExitFailure : kExitOk;
    }

    Session session_;
    const Deadline deadline_;
    std::vector<Wanted> wanted_;
    std::optional<LinePublisher> publisher_;
    Output output_;
    const bool json_;
    const bool quiet_;
    const bool retry_;
    const std::optional<unsigned long long> count_;
    bool names_shown_ = false;
    bool connected_once_ = false;
    std::string last_error_;
    size_t unconfirmed_ = 0;
    unsigned long long received_ = 0;
};

int run_sub(Arguments& arguments) {
    const size_t channels = arguments.operands().size();
    if (channels + arguments.all("pattern").size() == 0) {
        throw usage_error("sub needs a CHANNEL or --pattern; see 'fanwire sub --help'");
    }
    if (arguments.has("stdin") && channels != 1) throw usage_error("--stdin needs exactly one CHANNEL to publish to");
    const Deadline deadline = deadline_in(arguments.milliseconds("timeout"));
    return Subscriber(arguments, deadline).run();
}

}  // namespace

const Command kSub = {
    "sub",
    "fanwire sub [OPTION]... CHANNEL... [--pattern PATTERN]...",
    "print the messages of channels and patterns",
    R"(Prints one line for each message, as they come:

  one CHANNEL, no pattern      PAYLOAD
  otherwise                    CHANNEL <tab> PAYLOAD
  --json                       {"channel":"chat","pattern":null,"payload":"hello"}

Payloads are printed byte for byte, so one that holds a newline makes two lines; with
--json it does not. There, bytes that are not UTF-8 come as "payload_base64" instead
(and "channel_base64", "pattern_base64"). A message that matches a channel and a
pattern is printed once for each.

What happens to the connection is said on stderr, a line each. Scripts wait for
"fanwire: subscribed to CHANNEL" before they publish. When the connection breaks, fanwire
connects and subscribes again by itself, for as long as it runs; what was published
meanwhile is lost, as Redis keeps nothing, and a line "gap in CHANNEL" says so.

Ctrl-C (SIGINT) and SIGTERM unsubscribe and leave with 130 and 143. When the reader of
stdout goes away ("| head -1") the command ends with 0.

Examples:
  fanwire sub chat
  fanwire sub chat news --pattern 'room:*' --json
  fanwire sub jobs --count 1 --timeout 30 || echo "no job came"
  fanwire sub chat | while read -r line; do echo "got $line"; done
  seq 3 | fanwire sub chat --stdin --count 3 --url memory://demo
)",
    {{"pattern", "PATTERN", "also subscribe to a pattern (* ? [a-z] and \\ to escape); may be repeated"},
     {"json", nullptr, "print a JSON object for each message"},
     {"count", "N", "leave with 0 after N messages"},
     {"timeout", "SECONDS",
      "leave after this time: with 0, or with 1 if not subscribed yet or --count was not reached"},
     {"stdin", nullptr, "also publish each line of stdin to CHANNEL, once subscribed"},
     {"retry", nullptr, "keep trying when the first attempt to connect or to subscribe fails"},
     {"quiet", nullptr, "no notes on stderr, only errors"}},
    run_sub,
};

}  // namespace fanwire::cli
