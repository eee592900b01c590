#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/cli/commands.h"
#include "bindings/cli/failure.h"
#include "bindings/cli/output.h"
#include "bindings/cli/session.h"
#include "bindings/cli/text.h"

namespace fanwire::cli {
namespace {

// What is left of the time; 0: what the library takes if nothing is said.
uint64_t milliseconds_left(const Deadline& deadline) {
    if (!deadline) return 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
    return static_cast<uint64_t>(std::max<decltype(left)>(left, 1));
}

// Whatever the end was, how it is said.
std::string summary(const fanwire_event& done) {
    std::string text = std::to_string(done.count) + (done.count == 1 ? " reply" : " replies");
    if (done.missing == FANWIRE_COUNT_UNKNOWN)
        text += ", and nobody knows how many are missing";
    else
        text += ", " + std::to_string(done.missing) + " missing";
    if (done.status != FANWIRE_OK && done.text != nullptr) text += std::string(": ") + done.text;
    return text;
}

int run_request(Arguments& arguments) {
    const std::vector<std::string>& operands = arguments.operands();
    if (operands.size() != 2)
        throw usage_error("request needs a CHANNEL and a PAYLOAD, not " + std::to_string(operands.size()) +
                          " arguments; see 'fanwire request --help'");
    const Deadline deadline = deadline_in(arguments.milliseconds("timeout"));
    const bool json = arguments.has("json");
    Session session(arguments);
    if (!session.connect(deadline)) {
        if (session.signals().caught() != 0) return kExitSignal + session.signals().caught();
        throw runtime_error("the time limit passed");
    }
    fanwire_request_args args{};
    args.channel = operands[0].data();
    args.channel_size = operands[0].size();
    args.payload = operands[1].data();
    args.payload_size = operands[1].size();
    args.expect = arguments.count("expect").value_or(0);
    args.timeout_ms = milliseconds_left(deadline);
    args.inbox = session.inbox();
    fanwire_request* opened = nullptr;
    check(fanwire_request_open(&opened, session.engine(), &args, sizeof args));
    const Handle<fanwire_request> request(opened);

    Output output;
    bool done = false;
    int code = kExitFailure;
    while (!done && session.signals().caught() == 0) {
        std::vector<pollfd> others = {{STDOUT_FILENO, 0, 0}};  // POLLERR comes when its reader leaves
        session.wait(others, std::nullopt);
        session.drain([&](const fanwire_event& event) {
            if (event.kind == FANWIRE_EVENT_REPLY) {
                const std::string_view payload(event.payload_size != 0 ? event.payload : "", event.payload_size);
                if (json) {
                    output.add("{" + json_member("payload", payload) + "}");
                } else {
                    output.add(payload);
                }
                output.add("\n");
            } else if (event.kind == FANWIRE_EVENT_REQUEST_DONE) {
                done = true;
                code = event.status == FANWIRE_OK ? kExitOk : exit_code_of(event.status);
                if (code != kExitOk || !arguments.has("quiet")) say(summary(event));
            }
        });
        output.flush();
        if ((others[0].revents & (POLLERR | POLLHUP)) != 0) throw ReaderGone{};
    }
    return done ? code : kExitSignal + session.signals().caught();
}

}  // namespace

const Command kRequest = {
    "request",
    "fanwire request [OPTION]... CHANNEL PAYLOAD",
    "publish a request and print the replies",
    R"(Publishes PAYLOAD to CHANNEL as a request and prints one line for each reply, as they come.
Subscribers that use fanwire answer it: message.reply() in Python and Node,
fanwire_reply() in C.

It waits for --expect replies, or for as many as Redis counts receivers. The receivers
that do not answer (fanwire sub, redis-cli) are counted too: their replies are missing
when the time is over. How many came and how many are missing is said on stderr. The exit
code is 0 when none is missing, and 1 when some are or when it failed.

A PAYLOAD that begins with "-" goes after "--". Replies are printed byte for byte; with
--json each is an object: {"payload":"hello"}, or "payload_base64" for bytes that are not
UTF-8.

Examples:
  fanwire request services ping --timeout 1
  fanwire request jobs status --expect 1 || echo "nobody knows"
)",
    {{"expect", "N", "end with the Nth reply; default: as many as Redis counts receivers"},
     {"timeout", "SECONDS", "the longest all of it may take; default: publish_timeout_ms once connected"},
     {"json", nullptr, "print a JSON object for each reply"},
     {"quiet", nullptr, "say nothing on stderr when no reply is missing"}},
    run_request,
};

}  // namespace fanwire::cli
