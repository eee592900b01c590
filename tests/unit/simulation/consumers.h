// The consumers of the simulation: what each subscription must see next, held against what the model of Redis has
// executed; and what their two inboxes must hold of it, counted by other means.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/fanout/inbox.h"
#include "core/net/event_fd.h"
#include "core/protocol/push_scanner.h"
#include "tests/support/drained.h"
#include "tests/support/topics.h"
#include "tests/unit/simulation/journal.h"
#include "tests/unit/simulation/model_redis.h"

namespace fanwire::core::simulation {

constexpr std::size_t large_min = PushScanner::large_min;

// One subscription and what it must see next.
struct Watched {
    SubscriptionRef subscription;
    ModelRedis::Target target;
    std::size_t inbox = 0;
    Overflow overflow = Overflow::drop_oldest;
    std::size_t next =
        0;  // index into Redis's log: nothing before it may come, once `known` nothing may be passed over
    bool known = false;
    bool active = false, ended = false;
    std::size_t activations = 0, seen_activations = 0, begins_at = 0;
    // With conflate the order is that of each channel, and what is told adds up.
    bool adds_up = false;
    std::map<std::string, std::size_t> last;  // of each channel: behind the last message
    std::uint64_t told = 0;                   // messages, and those that GAPs count
    // In which of its activations each message came in that is not seen yet: from one to the next there is a GAP.
    std::map<std::uint64_t, std::size_t> came_in;
    std::size_t seen_of = 1;
    bool seen_break = false;  // such a GAP, since the last message
    // What a program does with the events: it fetches at ACTIVE and RESUMED, and at a GAP while it is fresh; it is
    // stale from LOST, FAILED or the GAP of a break on.
    bool fresh = false;
    std::size_t shown = 0;  // index into Redis's log: it knows all before that

    bool conflates() const { return overflow == Overflow::conflate; }
    void activated(std::size_t at) {
        ++activations;
        begins_at = at;
    }
};

class Consumers {
 public:
    using Limits = std::array<InboxLimits, 2>;

    Consumers(const Limits& limits, const ModelRedis& redis, Coverage& coverage, const Trace& trace)
        : limits_(limits), redis_(redis), coverage_(coverage), trace_(trace) {
        for (std::size_t i = 0; i < limits.size(); ++i) inboxes_[i] = std::make_shared<Inbox>(limits[i], make_event_fd);
    }

    Watched& add(TargetKind kind, const std::string& name, std::size_t inbox,
                 const std::shared_ptr<EngineShare>& share) {
        auto fresh = std::make_unique<Watched>();
        fresh->target = {kind, name};
        fresh->inbox = inbox;
        fresh->overflow = limits_[inbox].overflow;
        fresh->subscription = make_subscription(kind, name, inboxes_[inbox], fresh.get(), share);
        return *watched_.emplace_back(std::move(fresh));
    }
    const std::vector<std::unique_ptr<Watched>>& all() const { return watched_; }
    void unsubscribed(const Watched& one) { accounts_[one.inbox].passes_over = true; }

    // The fan-out is about to give that message to the subscriptions of `topic`.
    // `stored`: in a large message that may be kept.
    void expect(const Topic& topic, std::string_view channel, std::string_view payload, bool stored) {
        if (!topic.confirmed) {
            if (stored) coverage_("large, and nobody wants it any more");
            return;
        }
        for (const Subscription* const subscription : topic.subscriptions()) {
            Watched& one = *static_cast<Watched*>(subscription->user_data());
            one.came_in[number_of(payload)] = one.activations;
            Account& account = accounts_[one.inbox];
            ++account.count;
            account.bytes += cost(one, channel, payload.size());
            account.large |= payload.size() >= large_min;
        }
        if (stored) shared_[{number_of(payload), {topic.kind(), std::string(topic.view())}}].payload = payload.data();
    }

    // What the inbox has, up to `capacity` events of it.
    void drain(std::size_t which, std::size_t capacity) {
        Inbox& inbox = *inboxes_[which];
        Account& account = accounts_[which];
        const InboxStats before = inbox.stats();
        check_account(account, limits_[which], before);
        ++drains_;
        std::size_t count = 0, bytes = 0;
        {
            const Drained drained(inbox, capacity);
            EXPECT_LE(drained.events.size(), capacity);
            for (const Event& event : drained.events) {
                Watched& one = *static_cast<Watched*>(event.user_data);
                see(one, event);
                if (event.kind != EventKind::message) continue;
                ++count;
                bytes += cost(one, event.message->channel(), event.message->payload().size());
            }
        }
        const InboxStats after = inbox.stats();
        if (!account.passes_over) {
            EXPECT_EQ(before.queued_bytes - after.queued_bytes, bytes) << "what was drained is not what was counted";
        }
        account.count -= count;
        account.bytes -= bytes;
        if (after.queued > 0) return;
        EXPECT_EQ(after.queued_bytes, 0u) << "an empty inbox counts bytes";
        account = {};
        account.dropped = after.dropped;
    }
    void close() {
        for (const auto& inbox : inboxes_) inbox->close();
    }

    // All that was to come has come.
    void check_end(const Watched& one) {
        EXPECT_TRUE(one.fresh) << one.target.second << ": stale at the end, though it is subscribed";
        check_shown(one, redis_.log.size());
        if (!one.conflates()) {
            for (std::size_t at = one.next; one.known && at < redis_.log.size(); ++at)
                EXPECT_FALSE(is_for(one, at))
                    << one.target.second << ": " << redis_.log[at].number << " is missing at the end";
            return;
        }
        if (!one.adds_up) return;
        std::uint64_t all = 0;
        for (std::size_t at = one.begins_at; at < redis_.log.size(); ++at) all += is_for(one, at) ? 1u : 0u;
        EXPECT_EQ(one.told, all) << one.target.second << ": conflated messages do not add up";
        coverage_("conflated, adds up");
    }
    // A message is what it was as long as somebody keeps it.
    void check_kept() {
        for (const MessageRef& message : kept_) {
            EXPECT_TRUE(is_payload(message->payload(), number_of(message->payload())))
                << "a message that was kept has changed";
            coverage_("large, kept to the end");
        }
    }

 private:
    // What an inbox must hold.
    struct Account {
        std::size_t count = 0, bytes = 0;
        bool known = true;         // nothing was pushed out since it was empty
        bool passes_over = false;  // it may have messages of a subscription that was given up
        bool large = false;        // large messages have come since it was empty
        std::uint64_t dropped = 0;
    };
    // A large message that was delivered where it was received.
    struct Shared {
        const char* payload = nullptr;
        bool seen[2] = {};
        std::uint64_t first_seen = 0;  // at which drain
    };

    static std::size_t cost(const Watched& one, std::string_view channel, std::size_t payload) {
        const bool pattern = one.target.first == TargetKind::pattern;
        return sizeof(Message) + payload + channel.size() + (pattern ? one.target.second.size() : 0);
    }
    bool is_for(const Watched& one, std::size_t at) const {
        return goes_to(one.target.first, one.target.second, redis_.log[at].channel);
    }

    // Whether states may stand for others that were before them.
    bool folds(const Watched& one) const { return limits_[one.inbox].count < 1000; }

    // Something was dropped when, and only when, there was more than the limits allow.
    void check_account(Account& account, const InboxLimits& limits, const InboxStats& stats) {
        EXPECT_LE(stats.queued_bytes, limits.bytes);
        if (account.passes_over || !account.known) return;
        const bool fits = account.count <= limits.count && account.bytes <= limits.bytes;
        EXPECT_EQ(stats.dropped == account.dropped, fits) << stats.dropped - account.dropped << " were dropped of "
                                                          << account.count << " of " << account.bytes << " bytes";
        account.known = fits;
        if (fits) {
            EXPECT_EQ(stats.queued_bytes, account.bytes);
            if (account.large) coverage_("large, and the inbox counts its bytes");
        } else if (account.large && account.count <= limits.count) {
            coverage_("full of large messages' bytes");
        }
    }

    // A fresh program knows all that was executed for it before that place in the log, with conflate of that channel.
    void check_shown(const Watched& one, std::size_t at, const std::string* channel = nullptr) {
        for (std::size_t i = one.shown; i < at; ++i) {
            if (!is_for(one, i)) continue;
            const std::string& its = redis_.log[i].channel;
            if (channel && its != *channel) continue;
            const auto last = one.last.find(its);
            if (one.conflates() && last != one.last.end() && i < last->second) continue;
            ADD_FAILURE() << one.target.second << ": fresh without " << redis_.log[i].number;
            return;
        }
    }
    void fetch(Watched& one) {
        one.fresh = true;
        one.shown = redis_.log.size();
    }

    void pass(Watched& one, std::uint64_t count) {
        for (; count > 0; ++one.next) {
            ASSERT_LT(one.next, redis_.log.size()) << one.target.second << ": a GAP counts more than there was";
            if (!is_for(one, one.next)) continue;
            --count;
            if (redis_.log[one.next].size >= large_min)
                coverage_(one.overflow == Overflow::drop_oldest ? "large, dropped as the oldest"
                                                                : "large, dropped as the newest");
        }
    }
    void see(Watched& one, const Event& event) {
        ASSERT_FALSE(one.ended) << "an event after ENDED";
        const std::string& name = one.target.second;
        switch (event.kind) {
            case EventKind::active:
            case EventKind::resumed:
                trace_("sees ACTIVE", name);
                if (!folds(one)) {
                    EXPECT_FALSE(one.active) << name << ": active, and active again";
                }
                one.active = true;
                fetch(one);
                // Nothing was folded and nothing more has happened: here the stream begins, with exactly this message.
                if (++one.seen_activations == one.activations && inboxes_[one.inbox]->stats().dropped == 0) {
                    one.next = std::max(one.next, one.begins_at);
                    one.known = one.adds_up = true;
                    one.told = 0;
                    coverage_(event.kind == EventKind::active ? "ACTIVE, exact" : "RESUMED, exact");
                }
                break;
            case EventKind::lost:
            case EventKind::failed:
                trace_("sees LOST or FAILED", name);
                if (!folds(one) && event.kind == EventKind::failed) {
                    EXPECT_FALSE(one.active) << name << ": FAILED without LOST";
                }
                one.active = one.fresh = false;
                break;
            case EventKind::ended:
                one.ended = true;
                break;
            case EventKind::gap:
                trace_("sees GAP of", event.count == count_unknown ? "unknown size" : std::to_string(event.count),
                       name);
                if (event.count == count_unknown) {
                    EXPECT_EQ(event.reason, GapReason::reconnect);
                    one.known = one.adds_up = false;
                    one.seen_break = true;
                    one.fresh = false;
                    coverage_(one.active ? "GAP of a break whose LOST was folded" : "GAP of unknown size");
                } else {
                    EXPECT_EQ(event.reason, GapReason::overflow);
                    EXPECT_GT(event.count, 0u);
                    one.told += event.count;
                    if (one.fresh) fetch(one);
                    if (one.known && !one.conflates()) {
                        pass(one, event.count);
                        coverage_("GAP counted");
                    }
                }
                break;
            case EventKind::message:
                see_message(one, event.message);
                break;
            default:
                FAIL() << "an event of another kind";
        }
    }
    void see_message(Watched& one, const MessageRef& message) {
        const std::string& name = one.target.second;
        const std::string_view payload = message->payload();
        const std::uint64_t number = number_of(payload);
        trace_("sees", number, name);
        const auto place = redis_.place.find(number);
        ASSERT_TRUE(place != redis_.place.end()) << name << ": a message that nobody has published";
        const std::size_t at = place->second;
        ASSERT_TRUE(is_for(one, at)) << name << ": a message of " << redis_.log[at].channel;
        ASSERT_EQ(message->channel(), redis_.log[at].channel);
        ASSERT_EQ(message->has_pattern(), one.target.first == TargetKind::pattern);
        ASSERT_TRUE(!message->has_pattern() || message->pattern() == name);
        ASSERT_EQ(payload.size(), redis_.log[at].size) << name << ": " << number;
        ASSERT_TRUE(is_payload(payload, number)) << name << ": " << number << " has other bytes";
        ASSERT_EQ(payload.data()[payload.size()], '\0');
        ASSERT_TRUE(one.active) << name << ": a message while it is not subscribed: " << number;
        ASSERT_TRUE(one.fresh) << name << ": " << number << " follows a GAP without RESUMED";
        check_shown(one, at, one.conflates() ? &redis_.log[at].channel : nullptr);
        if (!one.conflates()) one.shown = std::max(one.shown, at + 1);
        const auto came_in = one.came_in.find(number);
        ASSERT_TRUE(came_in != one.came_in.end()) << name << ": " << number << " was not delivered, or is seen twice";
        if (came_in->second != one.seen_of) {
            ASSERT_TRUE(one.seen_break) << name << ": " << number << " came after a break, and stands in front of it";
            coverage_(one.conflates() ? "after a break, with conflate" : "after a break");
        }
        one.seen_of = came_in->second;
        one.seen_break = false;
        one.came_in.erase(came_in);
        if (payload.size() >= large_min) see_large(one, message, number);
        ++one.told;
        if (one.conflates()) {
            std::size_t& last = one.last[redis_.log[at].channel];
            ASSERT_GE(at, last) << name << ": out of order, or twice: " << number;
            for (std::size_t i = std::max(last, one.begins_at); one.adds_up && i < at; ++i)
                if (redis_.log[i].size >= large_min && redis_.log[i].channel == redis_.log[at].channel)
                    coverage_("large, conflated");
            last = at + 1;
            return;
        }
        ASSERT_GE(at, one.next) << name << ": out of order, or twice: " << number;
        while (one.known && one.next < at) {
            ASSERT_FALSE(is_for(one, one.next))
                << name << ": " << redis_.log[one.next].number << " is missing without a GAP, before " << number;
            ++one.next;
        }
        if (one.known) coverage_(one.target.first == TargetKind::pattern ? "message by pattern" : "message");
        one.next = at + 1;
        one.known = true;
    }
    void see_large(const Watched& one, const MessageRef& message, std::uint64_t number) {
        if (number % 4 == 0) kept_.push_back(message);
        const auto found = shared_.find({number, one.target});
        if (found == shared_.end()) return coverage_("large, copied");
        Shared& shared = found->second;
        ASSERT_TRUE(message->payload().data() == shared.payload)
            << one.target.second << ": " << number << " was copied";
        coverage_("large, where it was received");
        if (message->payload().size() > std::size_t{1} << 20) coverage_("larger than its memory at first");
        if (!shared.seen[0] && !shared.seen[1]) shared.first_seen = drains_;
        if (!std::exchange(shared.seen[one.inbox], true) && shared.seen[1 - one.inbox])
            coverage_(drains_ - shared.first_seen > 1 ? "shared by two inboxes, of which one was drained long before"
                                                      : "shared by two inboxes");
    }

    const Limits limits_;
    const ModelRedis& redis_;
    Coverage& coverage_;
    const Trace& trace_;
    std::array<std::shared_ptr<Inbox>, 2> inboxes_;
    std::array<Account, 2> accounts_;
    std::vector<std::unique_ptr<Watched>> watched_;
    std::map<std::pair<std::uint64_t, ModelRedis::Target>, Shared> shared_;
    std::vector<MessageRef> kept_;
    std::uint64_t drains_ = 0;
};

}  // namespace fanwire::core::simulation
