#include <unistd.h>

#include <string>

#include "bindings/cli/commands.h"
#include "bindings/cli/failure.h"
#include "bindings/cli/line_publisher.h"
#include "bindings/cli/output.h"
#include "bindings/cli/session.h"

namespace fanwire::cli {
namespace {

constexpr unsigned long long kCloseTimeoutMs = 1000;

Failure timed_out() {
    return runtime_error("the time limit passed");
}

int publish_one(Session& session, const std::string& channel, const std::string& message, const Deadline& deadline) {
    check(fanwire_publish_async(session.engine(), channel.data(), channel.size(), message.data(), message.size(),
                                session.inbox(), nullptr));
    bool has_outcome = false;
    Output output;
    std::vector<pollfd> none;
    while (!has_outcome && session.signals().caught() == 0) {
        if (passed(deadline)) throw timed_out();
        session.wait(none, deadline);
        session.drain([&](const fanwire_event& event) {
            if (event.kind != FANWIRE_EVENT_PUBLISHED) return;
            if (event.status != FANWIRE_OK) throw failure_of(event.status, event.text);
            has_outcome = true;
            output.add(std::to_string(event.count) + "\n");
        });
    }
    output.flush();
    return has_outcome ? kExitOk : kExitSignal + session.signals().caught();
}

int publish_lines(Session& session, const Arguments& arguments, const std::string& channel, const Deadline& deadline) {
    LinePublisher publisher(session, channel, effective_size(arguments.options(), "max_message_bytes"));
    const auto handle = [&](const fanwire_event& event) {
        if (event.kind == FANWIRE_EVENT_PUBLISHED) publisher.outcome(event);
        if (event.kind == FANWIRE_EVENT_DISCONNECTED && event.text != nullptr) say(event.text);
    };
    bool late = false;
    while (!publisher.finished() && session.signals().caught() == 0 && !late) {
        std::vector<pollfd> input;
        if (publisher.wants_input()) input.push_back({STDIN_FILENO, POLLIN, 0});
        session.wait(input, deadline);
        while (session.drain(handle)) {
        }
        if (!input.empty() && input[0].revents != 0) publisher.read_input();
        late = passed(deadline);
    }
    if (!publisher.finished()) {
        // What was accepted still goes out; what stdin holds does not.
        publisher.stop();
        fanwire_engine_close(session.engine(), kCloseTimeoutMs);
        while (session.drain(handle)) {
        }
    }
    if (!arguments.has("quiet")) say(publisher.summary());
    if (session.signals().caught() != 0) return kExitSignal + session.signals().caught();
    if (late && !publisher.finished()) throw timed_out();
    return publisher.any_failed() ? kExitFailure : kExitOk;
}

int run_pub(Arguments& arguments) {
    const std::vector<std::string>& operands = arguments.operands();
    if (operands.size() != 2) {
        throw usage_error("pub needs a CHANNEL and a MESSAGE (\"-\" for the lines of stdin), not " +
                          std::to_string(operands.size()) + " arguments; see 'fanwire pub --help'");
    }
    const Deadline deadline = deadline_in(arguments.milliseconds("timeout"));
    Session session(arguments);
    // Publishing before that would wait in the queue for a server that may not be there.
    if (!session.connect(deadline)) {
        if (session.signals().caught() != 0) return kExitSignal + session.signals().caught();
        throw timed_out();
    }
    const bool from_stdin = operands[1] == "-" && !arguments.after_dashes(1);
    if (from_stdin) return publish_lines(session, arguments, operands[0], deadline);
    return publish_one(session, operands[0], operands[1], deadline);
}

}  // namespace

const Command kPub = {
    "pub",
    "fanwire pub [OPTION]... CHANNEL MESSAGE|-",
    "publish a message, or each line of stdin",
    R"(Publishes MESSAGE to CHANNEL, waits until Redis has it and prints the number of
receivers Redis counted.

With "-" each line of stdin is one message, without its newline; a last line
without one counts too, and an empty line is an empty message. Lines may hold any
other byte. Up to 1024 are under way at once. Nothing is printed on stdout; a
summary goes to stderr, as does each line that failed, by its number.

A MESSAGE that begins with "-" goes after "--":  fanwire pub chat -- --help
There "-" is a message too.
Redis pub/sub keeps nothing: who is not subscribed at the moment gets nothing.

Examples:
  fanwire pub chat hello
  fanwire pub --url redis://user:secret@redis.example:6379/0 chat hello
  printf '%s\n' one two three | fanwire pub chat -
  tail -f app.log | fanwire pub logs -
)",
    {{"timeout", "SECONDS", "give up after this time (exit 1); default: no limit but publish_timeout_ms"},
     {"quiet", nullptr, "no summary on stderr, only errors"}},
    run_pub,
};

}  // namespace fanwire::cli
