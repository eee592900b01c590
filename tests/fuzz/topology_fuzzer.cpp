// What nodes of a Cluster answer, in whatever order and however wrong: the slot map stays whole, what is said to have
// changed has, and deadlines lie ahead; in the end the nodes behave, and their map is the one that is known.
//
// Steps: A N: the following ones are about the node N of 8, of which the first two are the seeds. s BYTES, h BYTES: it
// answers CLUSTER SLOTS, CLUSTER SHARDS by these bytes; i BYTES: CLUSTER INFO; x: it cannot be reached; r TEXT: it
// redirects by this error; l, u: the links to it are lost, are back; p: a hint at a change; t MS: time passes.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/topology/cluster.h"
#include "core/topology/placement.h"
#include "tests/fuzz/script.h"
#include "tests/support/cluster_replies.h"

using namespace fanwire::core;
using fanwire::fuzz::require;
using fanwire::fuzz::Script;

namespace {

ServerAddress node(std::uint64_t number) {
    return {"10.0.0." + std::to_string(number), 6379};
}

void look_at(const SlotMap& map) {
    std::size_t covered = 0;
    std::set<std::size_t> owners;
    for (std::size_t slot = 0; slot < slot_count; ++slot) {
        const std::size_t owner = map.owner(static_cast<Slot>(slot));
        if (owner == SlotMap::nobody) continue;
        ++covered;
        owners.insert(owner);
        require(owner < map.nodes().size(), "an owner is a node");
        require(map.nodes()[owner].master, "an owner is a master");
    }
    require(covered == map.covered(), "the slots that have an owner are counted");
    const std::vector<std::size_t> masters = map.masters();
    require(std::set(masters.begin(), masters.end()) == owners && masters.size() == owners.size(),
            "the masters are the owners");
    std::set<std::string_view> places, ids;
    for (std::size_t i = 0; i < map.nodes().size(); ++i) {
        const ClusterNode& one = map.nodes()[i];
        require(!one.has_master || (!one.master && one.copies < map.nodes().size() && one.copies != i),
                "a replica copies another node");
        require(one.id.empty() || ids.insert(one.id).second, "an id is one node's", one.id);
        if (owners.contains(i) && !one.place_key.empty())
            require(places.insert(one.place_key).second, "a place is one master's", one.place_key);
        require(one.address.host.empty() || is_host(one.address.host), "a host can be one", one.address.host);
    }
}

// What is said to have changed is what has.
void look_at(const MapChanges& changes, const SlotMap& before, const SlotMap& after) {
    require(changes.any(), "a change is one");
    std::vector<bool> moved(slot_count);
    for (const SlotMove& move : changes.moved) {
        require(move.first <= move.last && move.last < slot_count, "a range of slots is one");
        for (std::size_t slot = move.first; slot <= move.last; ++slot) {
            require(!moved[slot], "a slot moves once");
            moved[slot] = true;
            require(before.owner(static_cast<Slot>(slot)) == move.from, "it was where it is said to have been");
            require(after.owner(static_cast<Slot>(slot)) == move.to, "it is where it is said to be");
        }
    }
    for (std::size_t slot = 0; slot < slot_count; ++slot) {
        const std::size_t from = before.owner(static_cast<Slot>(slot)), to = after.owner(static_cast<Slot>(slot));
        if (moved[slot]) continue;
        require((from == SlotMap::nobody) == (to == SlotMap::nobody), "what did not move has an owner as before");
        if (to == SlotMap::nobody) continue;
        // By id or, as long as one of them has none, by address.
        require(is_same_node(before.nodes()[from], after.nodes()[to]), "what did not move has the same owner");
    }
}

class Fuzzed : ClusterTopology::Listener {
 public:
    Fuzzed()
        : topology_(
              config(), [] { return 0.5; }, *this) {
        topology_.start(now_);
    }

    void run(std::string_view text) {
        Script script(text);
        attend();
        for (Script::Step step; script.next(step);) {
            take(step);
            attend();
        }
    }

    // The nodes behave: whatever was, it comes to rest with what they say.
    void rest() {
        std::vector<fanwire::test::SaidRange> ranges;
        for (int i = 0; i < 4; ++i)
            ranges.push_back(
                {i * 4096, i * 4096 + 4095, {{"good" + std::to_string(i), node(static_cast<std::uint64_t>(i)).host}}});
        const std::string slots = fanwire::test::slots_reply(ranges), info = fanwire::test::info_reply(UINT64_MAX);
        now_ += 10 * 1000;  // redirects are not believed for ever
        attend();
        for (int turn = 0; turn < 20 && !is_good(); ++turn) {
            for (const ServerAddress& address : std::set<ServerAddress>(asked_)) {
                asked_.erase(address);
                const bool good = address.port == 6379 && address.host.starts_with("10.0.0.") &&
                                  address.host.size() == 8 && address.host.back() < '4';
                if (!good) {
                    topology_.unreachable(address, {Status::CONNECT_FAILED, "refused"}, now_);
                    continue;
                }
                topology_.node_up(address, now_);
                topology_.info(address, fanwire::test::resp::Read(info).reply());
                topology_.view(address, fanwire::test::resp::Read(slots).reply(), now_);
            }
            now_ = std::max(now_, std::min(topology_.deadline(), now_ + 40 * 1000));
            attend();
        }
        require(is_good(), "with good nodes all is known and well", topology_.trouble().text);
    }

 private:
    bool is_good() const {
        const SlotMap& map = topology_.map();
        if (!topology_.known() || topology_.trouble() || !map.complete() || map.nodes().size() != 4) return false;
        for (std::size_t i = 0; i < 4; ++i) {
            const std::size_t owner = map.find_id("good" + std::to_string(i));
            for (std::size_t slot = i * 4096; slot < (i + 1) * 4096; ++slot)
                if (map.owner(static_cast<Slot>(slot)) != owner) return false;
        }
        return true;
    }

    static ClusterTopology::Config config() {
        ClusterTopology::Config config;
        config.seeds = {node(0), node(1)};
        return config;
    }

    void map_changed(const MapChanges& changes, const SlotMap& before) override {
        look_at(topology_.map());
        look_at(changes, before, topology_.map());
    }
    void round_failed(const Error& why) override {
        require(static_cast<bool>(why) && !why.text.empty(), "a failure has a status and a text");
        require(why.text.size() < 4096, "which is no book");
    }

    // As a driver would after each call.
    void attend() {
        for (int turn = 0; topology_.deadline() <= now_; ++turn) {
            require(turn < 100, "tick() leads to a later deadline");
            topology_.tick(now_);
            ask();
        }
        ask();
        require(topology_.deadline() != never, "it always looks again");
    }
    void ask() {
        while (const auto question = topology_.next_question(now_)) {
            require(question->address.known(), "a question goes somewhere");
            asked_.insert(question->address);
        }
    }

    void take(const Script::Step& step) {
        const ServerAddress address = node(about_);
        switch (step.verb) {
            case 'A':
                about_ = step.number(7);
                break;
            case 's':
            case 'h':
            case 'i':
                answer(address, step.verb, step.argument);
                break;
            case 'x':
                asked_.erase(address);
                topology_.unreachable(address, {Status::CONNECT_FAILED, "refused"}, now_);
                break;
            case 'r':
                if (const auto redirect = redirect_of(step.argument, address)) {
                    require(redirect->slot < slot_count, "a redirect is about a slot");
                    const bool changed = topology_.redirected(*redirect, address, now_);
                    const std::size_t owner = topology_.map().owner(redirect->slot);
                    require(!changed || topology_.map().nodes()[owner].address == redirect->address,
                            "a redirect is followed");
                }
                break;
            case 'l':
                topology_.node_lost(address, now_);
                break;
            case 'u':
                topology_.node_up(address, now_);
                break;
            case 'p':
                topology_.suspect(now_);
                break;
            case 't':
                now_ += static_cast<TimeMs>(step.number(100 * 1000));
                break;
            default:
                break;
        }
        if (topology_.known()) require(topology_.known_at() <= now_, "what is known was heard");
    }

    void answer(const ServerAddress& address, char verb, std::string_view bytes) {
        ReplyReader reader;
        reader.feed(bytes.substr(0, ReplyReader::feed_max));
        if (reader.next() != ReplyReader::Result::reply) return;
        if (verb == 'i') return topology_.info(address, reader.reply());
        // Also by itself, whether or not it was asked.
        SlotMap map;
        const Error error =
            verb == 's' ? map.read_slots(reader.reply(), address) : map.read_shards(reader.reply(), address, true);
        if (!error) look_at(map);
        asked_.erase(address);
        topology_.view(address, reader.reply(), now_);
    }

    ClusterTopology topology_;
    TimeMs now_ = 1000;
    std::uint64_t about_ = 0;
    std::set<ServerAddress> asked_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Fuzzed fuzzed;
    fuzzed.run(fanwire::fuzz::text_of(data, size));
    fuzzed.rest();
    return 0;
}
