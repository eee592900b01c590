// Who has which slots of a Cluster, kept up to date: which node to ask when, and what to make of the answers. Pure:
// replies, redirects and time in; questions and maps out.
//
// A round asks one node after the other until one gives a view that is good enough: of a node that sees the cluster as
// up, not older than what is known already (by the cluster's current epoch), and of the same cluster. A view that falls
// short is used only when the round has nothing better; what is known already stays unless a view replaces it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/server_address.h"
#include "core/protocol/backoff.h"
#include "core/protocol/reply.h"
#include "core/topology/redirect.h"
#include "core/topology/slot_map.h"

namespace fanwire::core {

class ClusterTopology {
 public:
    struct Config {
        std::vector<ServerAddress> seeds;  // at least one; names are to be resolved at each question
        bool tls = false;
        TimeMs interval = 30 * 1000;  // between rounds while all is well; a tenth more or less
        TimeMs gap = 100;             // between the beginnings of two rounds, at least, and while something is wrong
        TimeMs slow_after = 60 * 1000, slow_gap = 1000;  // then something has been wrong for long
        TimeMs patience = 250;     // without an answer for so long, the next node is asked as well
        TimeMs timeout = 2000;     // of a question
        TimeMs claim_kept = 5000;  // how long a redirect is believed more than views that do not know of it yet
    };

    class Listener {
     public:
        virtual ~Listener() = default;
        // map() is a new one. The indices of `changes` are of `before` and of map(). Must not call the topology.
        virtual void map_changed(const MapChanges& changes, const SlotMap& before) = 0;
        // A round has brought nothing, and why. What was known is kept.
        virtual void round_failed(const Error& why) = 0;
    };

    // What to ask: CLUSTER INFO, whose reply goes to info(), and in the same write CLUSTER SLOTS, whose reply goes to
    // view(). With `shards` only CLUSTER SHARDS, for view().
    struct Question {
        ServerAddress address;
        bool shards;
    };

    ClusterTopology(Config config, Random random, Listener& listener);
    ClusterTopology(const ClusterTopology&) = delete;
    ClusterTopology& operator=(const ClusterTopology&) = delete;

    // The first round begins.
    void start(TimeMs now);
    // Call it when deadline() has come.
    void tick(TimeMs now);
    TimeMs deadline() const;
    // The next question that is to be asked now. Call it after each other call, until it returns nullopt.
    std::optional<Question> next_question(TimeMs now);

    // What the node at `asked` says; errors of the server as well. What was not asked, or is late, is ignored.
    void info(const ServerAddress& asked, const Reply& reply);
    void view(const ServerAddress& asked, const Reply& reply, TimeMs now);
    // It could not be asked, or its connection broke.
    void unreachable(const ServerAddress& asked, const Error& why, TimeMs now);

    // A command was answered by a redirect, which for MOVED is used at once. Returns whether the slot has another owner
    // now, after map_changed().
    bool redirected(const Redirect& redirect, const ServerAddress& by, TimeMs now);
    // A link to the node is lost; it works again. While a master is lost the map is in question.
    void node_lost(const ServerAddress& address, TimeMs now);
    void node_up(const ServerAddress& address, TimeMs now);
    // Something hints at a change: a push such as sunsubscribe or SMIGRATED, CLUSTERDOWN, TRYAGAIN.
    void suspect(TimeMs now);

    const SlotMap& map() const { return map_; }
    // Whether there is a map at all.
    bool known() const { return known_at_ != never; }
    // When a view was last accepted.
    TimeMs known_at() const { return known_at_; }
    // Why the last round failed, or that the cluster is down in the view in use; Error() while all is well.
    const Error& trouble() const { return trouble_; }
    bool is_lost(const ServerAddress& address) const { return lost_.contains(address); }

 private:
    struct Asked {
        ServerAddress address;
        TimeMs at;
        bool shards = false;
        bool handed_out = false;
        std::optional<bool> up;   // its cluster_state
        std::uint64_t epoch = 0;  // 0: it did not say
    };
    // From worst to best.
    enum class Worth : std::uint8_t { foreign, older, down, good };
    struct View {
        SlotMap map;
        ServerAddress from;
        Worth worth;
        std::uint64_t epoch;
    };
    struct Claim {
        ServerAddress owner;
        TimeMs at;
    };

    void want(TimeMs at);
    void begin_round(TimeMs now);
    std::vector<ServerAddress> candidates() const;
    Asked* find(const ServerAddress& address);
    void forget(const ServerAddress& address);
    void failed(const ServerAddress& address, const Error& why, TimeMs now);
    void check_round(TimeMs now);
    void end_round(TimeMs now);
    Worth worth_of(const Asked& asked, const SlotMap& map) const;
    void accept(View view, TimeMs now);
    void keep_claims(View& view, TimeMs now);
    bool in_trouble() const;
    Error round_error() const;

    const Config config_;
    const Random random_;
    Listener& listener_;

    SlotMap map_;
    TimeMs known_at_ = never;
    std::uint64_t epoch_ = 0;
    Error trouble_;
    TimeMs trouble_since_ = never;
    std::set<ServerAddress> lost_;
    std::map<Slot, Claim> claims_;
    std::optional<ServerAddress> prefer_;  // it knows most likely

    TimeMs next_round_ = never, last_round_ = never;
    bool in_round_ = false, again_ = false;
    std::vector<ServerAddress> to_ask_;
    std::size_t next_ = 0;
    std::size_t answered_ = 0;  // by a view of whatever worth
    TimeMs last_asked_ = never;
    std::vector<Asked> asked_;
    std::optional<View> best_;
    std::vector<Error> errors_;
};

}  // namespace fanwire::core
