#include "core/topology/cluster.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace fanwire::core {

namespace {

// The value of a line "name:value" of INFO.
std::string_view field_of(std::string_view info, std::string_view name) {
    while (!info.empty()) {
        std::string_view line = info.substr(0, info.find('\n'));
        info.remove_prefix(std::min(line.size() + 1, info.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
            return line.substr(name.size() + 1);
    }
    return {};
}

// Errors by which a server says that it does not do or allow this one command of CLUSTER.
bool is_refusal_of_slots(std::string_view error) {
    return error.starts_with("NOPERM") || error.find("nknown subcommand") != std::string_view::npos;
}

void add(std::vector<ServerAddress>& to, const ServerAddress& address) {
    if (address.known() && std::find(to.begin(), to.end(), address) == to.end()) to.push_back(address);
}

}  // namespace

ClusterTopology::ClusterTopology(Config config, Random random, Listener& listener)
    : config_(std::move(config)), random_(std::move(random)), listener_(listener) {}

void ClusterTopology::start(TimeMs now) {
    next_round_ = now;
    tick(now);
}

void ClusterTopology::tick(TimeMs now) {
    while (true) {
        const auto late = std::find_if(asked_.begin(), asked_.end(),
                                       [&](const Asked& one) { return now - one.at >= config_.timeout; });
        if (late == asked_.end()) break;
        const ServerAddress address = late->address;
        failed(address, Error::of(Status::TIMEOUT, {address.text(), " did not say in time who has which slots"}), now);
    }
    if (!in_round_ && next_round_ <= now) begin_round(now);
}

TimeMs ClusterTopology::deadline() const {
    if (!in_round_) return next_round_;
    TimeMs next = never;
    for (const Asked& one : asked_) next = std::min(next, one.at + config_.timeout);
    if (next_ < to_ask_.size()) next = asked_.empty() ? last_round_ : std::min(next, last_asked_ + config_.patience);
    return next;
}

std::optional<ClusterTopology::Question> ClusterTopology::next_question(TimeMs now) {
    if (!in_round_) return std::nullopt;
    for (Asked& one : asked_)
        if (!one.handed_out) {
            one.handed_out = true;
            return Question{one.address, one.shards};
        }
    if (next_ >= to_ask_.size()) return std::nullopt;
    if (!asked_.empty() && now - last_asked_ < config_.patience) return std::nullopt;
    last_asked_ = now;
    asked_.push_back({to_ask_[next_++], now, false, true, std::nullopt, 0});
    return Question{asked_.back().address, false};
}

void ClusterTopology::info(const ServerAddress& asked, const Reply& reply) {
    Asked* one = find(asked);
    if (!one || !reply.is(ReplyType::string)) return;
    const std::string_view state = field_of(reply.text(), "cluster_state");
    if (!state.empty()) one->up = state == "ok";
    const std::string_view epoch = field_of(reply.text(), "cluster_current_epoch");
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(epoch.data(), epoch.data() + epoch.size(), number);
    if (error == std::errc() && end == epoch.data() + epoch.size()) one->epoch = number;
}

void ClusterTopology::view(const ServerAddress& asked, const Reply& reply, TimeMs now) {
    Asked* one = find(asked);
    if (!one) return;
    if (!one->shards && reply.is(ReplyType::error) && is_refusal_of_slots(reply.text())) {
        one->shards = true;
        one->handed_out = false;
        return;
    }
    View view{{}, asked, Worth::good, one->epoch};
    const Error error =
        one->shards ? view.map.read_shards(reply, asked, config_.tls) : view.map.read_slots(reply, asked);
    if (error) return failed(asked, error, now);
    if (view.map.covered() == 0)
        return failed(asked,
                      Error::of(Status::REDIS_ERROR,
                                {asked.text(), " is a node of a Cluster that has no slots: none is given to any node"}),
                      now);
    view.worth = worth_of(*one, view.map);
    const auto is_seed = [&] {
        return std::find(config_.seeds.begin(), config_.seeds.end(), asked) != config_.seeds.end();
    };
    // Which cluster it is, the seeds say.
    if (view.worth == Worth::foreign && !is_seed())
        return failed(asked, Error::of(Status::REDIS_ERROR, {asked.text(), " is a node of another Cluster now"}), now);
    forget(asked);
    ++answered_;
    if (view.worth == Worth::good) {
        accept(std::move(view), now);
        return end_round(now);
    }
    if (!best_ || view.worth > best_->worth || (view.worth == best_->worth && view.epoch > best_->epoch))
        best_ = std::move(view);
    check_round(now);
}

void ClusterTopology::unreachable(const ServerAddress& asked, const Error& why, TimeMs now) {
    if (!find(asked)) return;
    failed(asked, why, now);
}

bool ClusterTopology::redirected(const Redirect& redirect, const ServerAddress& by, TimeMs now) {
    if (redirect.kind != Redirect::Kind::moved) return false;
    suspect(now);
    const ServerAddress& to = redirect.address;
    if (!to.known() || !known() || to == by) return false;  // a node that redirects to itself is of no help
    prefer_ = to;
    const std::size_t owner = map_.owner(redirect.slot);
    claims_[redirect.slot] = {to, now};
    if (owner != SlotMap::nobody && map_.nodes()[owner].address == to) return false;
    const SlotMap before = map_;
    map_.move(redirect.slot, to);
    if (map_.owner(redirect.slot) == owner) return false;
    MapChanges changes;  // known without comparing all slots
    const std::size_t now_owner = map_.owner(redirect.slot);
    changes.moved.push_back({redirect.slot, redirect.slot, owner, now_owner});
    if (now_owner == before.nodes().size())
        changes.added.push_back(now_owner);
    else
        changes.roles = !before.nodes()[now_owner].master;
    listener_.map_changed(changes, before);
    return true;
}

void ClusterTopology::node_lost(const ServerAddress& address, TimeMs now) {
    if (lost_.insert(address).second) suspect(now);
}

void ClusterTopology::node_up(const ServerAddress& address, TimeMs now) {
    if (lost_.erase(address) != 0) suspect(now);
}

void ClusterTopology::suspect(TimeMs now) {
    // The answers under way may have been made before.
    if (in_round_)
        again_ = true;
    else
        want(now);
}

// Not before the gap after the last one is over.
void ClusterTopology::want(TimeMs at) {
    if (last_round_ != never) at = std::max(at, last_round_ + config_.gap);
    next_round_ = std::min(next_round_, at);
}

void ClusterTopology::begin_round(TimeMs now) {
    to_ask_ = candidates();
    in_round_ = true;
    again_ = false;
    next_ = answered_ = 0;
    asked_.clear();
    best_.reset();
    errors_.clear();
    last_round_ = now;
    next_round_ = never;
    check_round(now);
}

// Whoever was named by a redirect, masters, replicas, the seeds; and last those to which there is no connection. Where
// several are alike, begins with any of them, so that a fleet does not ask one node.
std::vector<ServerAddress> ClusterTopology::candidates() const {
    std::vector<ServerAddress> all;
    if (prefer_ && !is_lost(*prefer_)) all.push_back(*prefer_);
    for (const bool master : {true, false}) {
        std::vector<ServerAddress> some;
        for (const ClusterNode& node : map_.nodes())
            if (node.master == master && !is_lost(node.address)) add(some, node.address);
        if (some.size() > 1) {
            const auto first = static_cast<std::size_t>(random_() * static_cast<double>(some.size()));
            std::rotate(some.begin(), some.begin() + static_cast<std::ptrdiff_t>(std::min(first, some.size() - 1)),
                        some.end());
        }
        for (const ServerAddress& address : some) add(all, address);
    }
    for (const bool lost : {false, true})
        for (const ServerAddress& seed : config_.seeds)
            if (is_lost(seed) == lost) add(all, seed);
    for (const ClusterNode& node : map_.nodes()) add(all, node.address);
    return all;
}

ClusterTopology::Asked* ClusterTopology::find(const ServerAddress& address) {
    for (Asked& one : asked_)
        if (one.address == address) return &one;
    return nullptr;
}

void ClusterTopology::forget(const ServerAddress& address) {
    std::erase_if(asked_, [&](const Asked& one) { return one.address == address; });
}

void ClusterTopology::failed(const ServerAddress& address, const Error& why, TimeMs now) {
    forget(address);
    errors_.push_back(why);
    check_round(now);
}

ClusterTopology::Worth ClusterTopology::worth_of(const Asked& asked, const SlotMap& map) const {
    if (!known()) return asked.up.value_or(true) ? Worth::good : Worth::down;
    // An address may have been given to a node of another cluster.
    if (map.has_ids() && map_.has_ids() && !map.shares_nodes_with(map_)) return Worth::foreign;
    if (asked.epoch != 0 && asked.epoch < epoch_) return Worth::older;
    return asked.up.value_or(true) ? Worth::good : Worth::down;
}

void ClusterTopology::check_round(TimeMs now) {
    if (!in_round_ || next_ < to_ask_.size() || !asked_.empty()) return;
    if (best_) {
        // An older view is of a node that the others have left behind, unless most agree.
        if (best_->worth != Worth::older || 2 * answered_ > to_ask_.size()) {
            View view = *std::exchange(best_, std::nullopt);
            accept(std::move(view), now);
            return end_round(now);
        }
        errors_.push_back(Error::of(Status::REDIS_ERROR, {best_->from.text(), " knows less than is known already"}));
    }
    trouble_ = round_error();
    end_round(now);
    listener_.round_failed(trouble_);
}

void ClusterTopology::end_round(TimeMs now) {
    in_round_ = false;
    asked_.clear();
    best_.reset();
    if (claims_.empty()) prefer_.reset();
    next_round_ = never;
    if (!in_trouble()) {
        trouble_since_ = never;
        if (again_) return want(now);
        const auto interval = static_cast<double>(config_.interval);
        next_round_ = now + static_cast<TimeMs>(interval * (0.9 + 0.2 * random_()));
        return;
    }
    if (trouble_since_ == never) trouble_since_ = now;
    const bool slow = !again_ && now - trouble_since_ >= config_.slow_after;
    next_round_ = std::max(now, last_round_ + (slow ? config_.slow_gap : config_.gap));
}

void ClusterTopology::keep_claims(View& view, TimeMs now) {
    std::erase_if(claims_, [&](const auto& entry) {
        const auto& [slot, claim] = entry;
        if (now - claim.at >= config_.claim_kept || view.from == claim.owner) return true;
        const std::size_t owner = view.map.owner(slot);
        if (owner != SlotMap::nobody && view.map.nodes()[owner].address == claim.owner) return true;
        // A node that the view does not have at all, and nobody can be asked about.
        if (view.map.find(claim.owner) == SlotMap::nobody && is_lost(claim.owner)) return true;
        view.map.move(slot, claim.owner);
        return false;
    });
}

void ClusterTopology::accept(View view, TimeMs now) {
    keep_claims(view, now);
    if (known()) view.map.inherit_places(map_);
    const MapChanges changes = changes_between(map_, view.map);
    const SlotMap before = std::exchange(map_, std::move(view.map));
    known_at_ = now;
    if (view.epoch != 0 || view.worth == Worth::foreign) epoch_ = view.epoch;
    trouble_ = {};
    if (view.worth == Worth::down)
        trouble_ = Error::of(Status::REDIS_ERROR, {view.from.text(), " says that the Cluster is down (cluster_state)"});
    std::erase_if(lost_, [&](const ServerAddress& address) {
        return map_.find(address) == SlotMap::nobody &&
               std::find(config_.seeds.begin(), config_.seeds.end(), address) == config_.seeds.end();
    });
    if (changes.any()) listener_.map_changed(changes, before);
}

bool ClusterTopology::in_trouble() const {
    if (trouble_ || !map_.complete() || !claims_.empty()) return true;
    const std::vector<std::size_t> masters = map_.masters();
    return std::any_of(masters.begin(), masters.end(), [&](std::size_t i) { return is_lost(map_.nodes()[i].address); });
}

// What servers say stands before what connections do: it says more about what is wrong.
Error ClusterTopology::round_error() const {
    constexpr std::size_t shown = 3;
    std::vector<const Error*> sorted;
    for (const bool said : {true, false})
        for (const Error& error : errors_) {
            const bool by_server = error.status == Status::REDIS_ERROR || error.status == Status::NO_PERMISSION ||
                                   error.status == Status::PROTOCOL_ERROR || error.status == Status::AUTH_FAILED;
            if (by_server == said) sorted.push_back(&error);
        }
    std::string text = "no node says who has which slots of the Cluster: ";
    for (std::size_t i = 0; i < std::min(sorted.size(), shown); ++i) text += (i != 0 ? "; " : "") + sorted[i]->text;
    if (sorted.size() > shown) text += "; and " + std::to_string(sorted.size() - shown) + " more";
    if (sorted.empty()) return {Status::INVALID_OPTION, "no node of the Cluster is given"};
    return {sorted.front()->status, std::move(text)};
}

}  // namespace fanwire::core
