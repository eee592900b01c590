// What the tests of requests and NUMSUB share, on memory:// and on a running Redis: asking, answering, gathering.
#pragma once

#include <set>

#include "support.h"

namespace capi_test {

using Request = Owned<fanwire_request, fanwire_request_destroy>;
using Payloads = std::multiset<std::string>;

inline int ask(Request& request, fanwire_engine* engine, std::string_view channel, std::string_view payload,
               fanwire_inbox* inbox, std::uint64_t expect = 0, std::uint64_t timeout_ms = deadline_ms,
               void* user_data = nullptr) {
    fanwire_request_args args{};
    args.channel = channel.data();
    args.channel_size = channel.size();
    args.payload = payload.data();
    args.payload_size = payload.size();
    args.expect = expect;
    args.timeout_ms = timeout_ms;
    args.inbox = inbox;
    args.user_data = user_data;
    request.reset();  // the one before it, if there was one
    return fanwire_request_open(request.out(), engine, &args, sizeof args);
}

// Answers each request by a name and its payload, on a thread of its own. A reply that is refused is left out: that the
// connection is lost at that moment is what some tests are about.
class Responder {
 public:
    Responder(fanwire_engine* engine, std::string_view channel, std::string name, int times = 1)
        : engine_(engine), name_(std::move(name)), times_(times) {
        EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_create(inbox_.out(), nullptr));
        EXPECT_STATUS(FANWIRE_OK, fanwire_inbox_dispatch(inbox_, see, this));
        EXPECT_STATUS(FANWIRE_OK,
                      fanwire_subscribe(subscription_.out(), engine, channel.data(), channel.size(), inbox_, nullptr));
        EXPECT_STATUS(FANWIRE_OK, fanwire_subscription_wait_active(subscription_, deadline_ms));
    }

    std::atomic<bool> resumed{false};

 private:
    static void see(void* data, const fanwire_event* event) {
        Responder& self = *static_cast<Responder*>(data);
        if (event->kind == FANWIRE_EVENT_RESUMED) self.resumed = true;
        if (event->kind != FANWIRE_EVENT_MESSAGE || !fanwire_message_is_request(event->message)) return;
        const std::string payload = self.name_ + std::string(event->payload, event->payload_size);
        for (int i = 0; i < self.times_; ++i)
            fanwire_reply(self.engine_, event->message, payload.data(), payload.size());
    }

    fanwire_engine* engine_;
    std::string name_;
    int times_;
    Subscription subscription_;
    Owned<fanwire_inbox, fanwire_inbox_destroy> inbox_;  // destroyed first
};

// The payloads of all replies; `done`: the end.
inline Payloads replies(Inbox& inbox, Seen& done) {
    Payloads all;
    while (true) {
        done = inbox.next();
        if (done.kind != FANWIRE_EVENT_REPLY) {
            EXPECT_EQ(FANWIRE_EVENT_REQUEST_DONE, done.kind);
            return all;
        }
        EXPECT_EQ("", done.channel);
        all.insert(done.payload);
    }
}

// Names as the C functions take them.
struct Names {
    std::vector<std::string> names;
    std::vector<const char*> data;
    std::vector<std::size_t> sizes;
    explicit Names(std::vector<std::string> of) : names(std::move(of)) {
        for (const std::string& name : names) {
            data.push_back(name.data());
            sizes.push_back(name.size());
        }
    }
};

using Counts = std::vector<std::uint64_t>;

inline Counts numsub(fanwire_engine* engine, const std::vector<std::string>& channels) {
    const Names names(channels);
    Counts counts(channels.size(), 99);
    EXPECT_STATUS(FANWIRE_OK, fanwire_numsub(engine, names.data.data(), names.sizes.data(), channels.size(),
                                             counts.data(), deadline_ms));
    return counts;
}

inline int numsub_async(fanwire_engine* engine, const std::vector<std::string>& channels, fanwire_inbox* inbox,
                        void* user_data = nullptr) {
    const Names names(channels);
    return fanwire_numsub_async(engine, names.data.data(), names.sizes.data(), channels.size(), inbox, user_data);
}

}  // namespace capi_test
