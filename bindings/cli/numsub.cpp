#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "bindings/cli/commands.h"
#include "bindings/cli/failure.h"
#include "bindings/cli/output.h"
#include "bindings/cli/session.h"
#include "bindings/cli/text.h"

namespace fanwire::cli {
namespace {

std::vector<uint64_t> counts_of(const fanwire_event& event) {
    std::vector<uint64_t> counts(static_cast<size_t>(event.count));
    if (!counts.empty()) std::memcpy(counts.data(), event.payload, event.payload_size);
    return counts;
}

int run_numsub(Arguments& arguments) {
    const std::vector<std::string>& channels = arguments.operands();
    if (channels.empty()) throw usage_error("numsub needs a CHANNEL; see 'fanwire numsub --help'");
    const Deadline deadline = deadline_in(arguments.milliseconds("timeout"));
    Session session(arguments);
    if (!session.connect(deadline)) {
        if (session.signals().caught() != 0) return kExitSignal + session.signals().caught();
        throw runtime_error("the time limit passed");
    }
    std::vector<const char*> names;
    std::vector<size_t> sizes;
    for (const std::string& channel : channels) {
        names.push_back(channel.data());
        sizes.push_back(channel.size());
    }
    check(
        fanwire_numsub_async(session.engine(), names.data(), sizes.data(), channels.size(), session.inbox(), nullptr));
    Output output;
    std::vector<pollfd> none;
    bool answered = false;
    while (!answered && session.signals().caught() == 0) {
        if (passed(deadline)) throw runtime_error("the time limit passed");
        session.wait(none, deadline);
        session.drain([&](const fanwire_event& event) {
            if (event.kind != FANWIRE_EVENT_NUMSUB) return;
            if (event.status != FANWIRE_OK) throw failure_of(event.status, event.text);
            answered = true;
            const std::vector<uint64_t> counts = counts_of(event);
            for (size_t i = 0; i < counts.size(); ++i) {
                const std::string count = std::to_string(counts[i]);
                if (arguments.has("json"))
                    output.add("{" + json_member("channel", channels[i]) + ",\"subscribers\":" + count + "}\n");
                else
                    output.add((channels.size() > 1 ? channels[i] + "\t" : "") + count + "\n");
            }
        });
    }
    output.flush();
    return answered ? kExitOk : kExitSignal + session.signals().caught();
}

}  // namespace

const Command kNumsub = {
    "numsub",
    "fanwire numsub [OPTION]... CHANNEL...",
    "print how many subscribers channels have",
    R"(Asks Redis how many connections are subscribed to each CHANNEL, at most 1024 of them, and
prints a line for each:

  one CHANNEL      COUNT
  otherwise        CHANNEL <tab> COUNT
  --json           {"channel":"chat","subscribers":2}

Connections that are subscribed to a pattern are not counted. A user of Redis with few
rights needs +pubsub|numsub.

Examples:
  fanwire numsub chat
  until test $(fanwire numsub jobs) -ge 3; do sleep 1; done
)",
    {{"json", nullptr, "print a JSON object for each channel"},
     {"timeout", "SECONDS", "give up after this time (exit 1); default: no limit but publish_timeout_ms"}},
    run_numsub,
};

}  // namespace fanwire::cli
