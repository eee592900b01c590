#include "core/topology/sentinel.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/text.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

namespace {

// The value of a field in a flat list of names and values, as RESP2 writes a map.
std::string_view field(const Reply& list, std::string_view name) {
    for (std::size_t i = 0; i + 1 < list.size(); i += 2)
        if (list[i].text() == name) return list[i + 1].text();
    return {};
}

std::optional<ServerAddress> address_of(std::string_view host, std::string_view port) {
    const std::optional<std::uint16_t> number = parse_port(port);
    if (!is_host(host) || !number) return std::nullopt;
    return ServerAddress{std::string(host), *number};
}

bool has_word(std::string_view text, std::string_view word) {
    for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
        const std::size_t end = at + word.size();
        if ((at == 0 || text[at - 1] == ' ') && (end == text.size() || text[end] == ' ')) return true;
    }
    return false;
}

}  // namespace

SentinelTopology::Answer SentinelTopology::read_answer(const std::string& asked, const Reply* address) {
    Answer answer;
    if (!address) {
        answer.error = Error::of(Status::TIMEOUT, {asked, " did not answer"});
    } else if (address->is(ReplyType::nil)) {
        answer.kind = Answer::Kind::unknown;
    } else if (address->is(ReplyType::error)) {
        const std::string_view text = address->text();
        if (text.starts_with("IDONTKNOW") || text.find("No such master") != text.npos)
            answer.kind = Answer::Kind::unknown;
        else if (text.find("unknown command") != text.npos)
            answer.error = Error::of(Status::WRONG_SERVER,
                                     {asked, " is a plain Redis server, not a sentinel; its URL is redis://"});
        else
            answer.error = error_of_reply(asked + ": SENTINEL GET-MASTER-ADDR-BY-NAME", text);
    } else if (const auto found = address->is(ReplyType::array) && address->size() == 2
                                      ? address_of((*address)[0].text(), (*address)[1].text())
                                      : std::nullopt) {
        answer.kind = Answer::Kind::master;
        answer.address = *found;
    } else {
        answer.error =
            Error::of(Status::PROTOCOL_ERROR, {asked, ": SENTINEL GET-MASTER-ADDR-BY-NAME was answered by no address"});
    }
    return answer;
}

std::optional<std::uint64_t> SentinelTopology::read_epoch(const Reply* master) {
    if (!master || !master->is(ReplyType::array)) return std::nullopt;
    const std::string_view text = field(*master, "config-epoch");
    std::uint64_t epoch = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), epoch);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return epoch;
}

std::vector<ServerAddress> SentinelTopology::read_sentinels(const Reply& reply) {
    std::vector<ServerAddress> others;
    if (!reply.is(ReplyType::array)) return others;
    for (std::size_t i = 0; i < reply.size() && others.size() < sentinels_max; ++i)
        if (const auto found = address_of(field(reply[i], "ip"), field(reply[i], "port"))) others.push_back(*found);
    return others;
}

// The first is the end of a failover; the others come earlier, or where the first does not.
const std::vector<std::string_view>& SentinelTopology::signs() {
    static const std::vector<std::string_view> all{
        "+switch-master",
        "+promoted-slave",
        "+failover-state-reconf-slaves",
        "+failover-end",
        "+config-update-from",
        "+convert-to-slave",
        "+reboot",
        "+odown",
        "+reset-master",
        "-tilt",
    };
    return all;
}

SentinelTopology::SentinelTopology(std::string name, const std::vector<ServerAddress>& seeds) : name_(std::move(name)) {
    for (const ServerAddress& seed : seeds) add(seed, true, 0);
}

SentinelTopology::State* SentinelTopology::find(Id id) {
    const auto found =
        std::find_if(states_.begin(), states_.end(), [id](const State& state) { return state.id == id; });
    return found == states_.end() ? nullptr : &*found;
}

bool SentinelTopology::add(const ServerAddress& address, bool seed, TimeMs now) {
    const auto known = std::find_if(sentinels_.begin(), sentinels_.end(),
                                    [&](const Sentinel& sentinel) { return sentinel.address == address; });
    if (known != sentinels_.end()) {
        states_[static_cast<std::size_t>(known - sentinels_.begin())].seen = now;
        return false;
    }
    if (sentinels_.size() >= sentinels_max) return false;
    State state;
    state.id = next_id_;
    state.seed = seed;
    state.seen = now;
    states_.push_back(std::move(state));
    sentinels_.push_back({next_id_++, address});
    return true;
}

void SentinelTopology::remove(std::size_t index) {
    states_.erase(states_.begin() + static_cast<std::ptrdiff_t>(index));
    sentinels_.erase(sentinels_.begin() + static_cast<std::ptrdiff_t>(index));
}

void SentinelTopology::ask(State& state, TimeMs when) {
    if (!state.connected) return;
    if (state.asked)
        state.again = true;
    else
        state.due = std::min(state.due, when);
}

void SentinelTopology::ask_all(TimeMs now) {
    for (State& state : states_) ask(state, now);
}

std::optional<SentinelTopology::Id> SentinelTopology::next_to_ask(TimeMs now) {
    for (State& state : states_) {
        if (!state.connected || state.asked || state.due > now) continue;
        state.asked = true;
        state.again = false;
        state.due = never;
        return state.id;
    }
    return std::nullopt;
}

TimeMs SentinelTopology::deadline() const {
    TimeMs first = decide_at_;
    for (const State& state : states_) {
        if (state.connected && !state.asked) first = std::min(first, state.due);
        if (!state.seed && !state.connected) first = std::min(first, state.seen + forget_after);
    }
    return first;
}

void SentinelTopology::connected(Id id, TimeMs now) {
    State* const state = find(id);
    if (!state) return;
    state->connected = true;
    state->asked = false;
    state->due = now;
}

void SentinelTopology::listening(Id id, bool yes, TimeMs now) {
    State* const state = find(id);
    if (!state || state->listening == yes) return;
    state->listening = yes;
    // What it said before it reported signs may have changed in between.
    ask(*state, yes ? now : now + poll_interval);
}

void SentinelTopology::answered(Id id, Answer answer, TimeMs now) {
    State* const state = find(id);
    if (!state) return;
    state->asked = false;
    state->heard = true;
    state->seen = now;
    state->error = answer.error;
    const TimeMs interval = doubted_ || !master_ ? doubt_interval : state->listening ? ask_interval : poll_interval;
    state->due = std::exchange(state->again, false) ? now : now + interval;
    state->answer = std::move(answer);
    decide(now);
}

void SentinelTopology::failed(Id id, const Error& why, TimeMs now) {
    State* const state = find(id);
    if (!state) return;
    state->connected = state->asked = state->listening = false;
    state->due = never;
    state->heard = true;
    state->error = why;
    // What it said while it could be reached is not taken back: the others decide, and if there are none, it stands.
    decide(now);
}

// One sentinel by two names, such as a seed's host name and the address that the others know it by, has one voice.
void SentinelTopology::identified(Id id, std::string run_id, TimeMs now) {
    State* const state = find(id);
    if (!state || run_id.empty()) return;
    state->run_id = std::move(run_id);
    for (std::size_t i = 0; i < states_.size(); ++i) {
        if (states_[i].id == id || states_[i].run_id != state->run_id) continue;
        const std::size_t own = static_cast<std::size_t>(state - states_.data());
        if (states_[i].seed && state->seed) return;  // both are wanted; decide() counts them once
        remove(state->seed ? i : own);
        return decide(now);
    }
}

void SentinelTopology::introduced(const std::vector<ServerAddress>& others, TimeMs now) {
    for (const ServerAddress& other : others) add(other, false, now);
}

void SentinelTopology::sign(std::string_view channel, std::string_view payload, TimeMs now) {
    if (channel == "-tilt" || channel == "+config-update-from" || has_word(payload, name_)) ask_all(now);
}

void SentinelTopology::doubt(TimeMs now) {
    if (std::exchange(doubted_, true)) return;
    ask_all(now);
}

void SentinelTopology::tick(TimeMs now) {
    for (std::size_t i = states_.size(); i-- > 0;)
        if (!states_[i].seed && !states_[i].connected && states_[i].seen + forget_after <= now) remove(i);
    if (decide_at_ <= now) decide(now);
}

// Whether this is the first of the sentinels that are one and the same.
bool SentinelTopology::has_voice(std::size_t index) const {
    const std::string& run_id = states_[index].run_id;
    if (run_id.empty()) return true;
    const auto same = [&](const State& other) { return other.run_id == run_id; };
    return std::none_of(states_.begin(), states_.begin() + static_cast<std::ptrdiff_t>(index), same);
}

void SentinelTopology::decide(TimeMs now) {
    struct Vote {
        ServerAddress address;
        std::optional<std::uint64_t> epoch;  // the highest
        std::size_t reached = 0, all = 0;    // sentinels that say so
    };
    std::vector<Vote> votes;
    std::size_t voices = 0, reached = 0;
    bool open = false;
    for (std::size_t i = 0; i < states_.size(); ++i) {
        const State& state = states_[i];
        if (!has_voice(i)) continue;
        ++voices;
        open = open || !state.heard;
        if (!state.answer || state.answer->kind != Answer::Kind::master) continue;
        const Answer& answer = *state.answer;
        auto vote =
            std::find_if(votes.begin(), votes.end(), [&](const Vote& v) { return v.address == answer.address; });
        if (vote == votes.end()) vote = votes.insert(votes.end(), Vote{answer.address, {}, 0, 0});
        ++vote->all;
        if (!state.connected) continue;
        vote->epoch = std::max(vote->epoch, answer.epoch);  // none is below any
        ++vote->reached;
        ++reached;
    }
    // What was said by sentinels that are gone decides nothing.
    std::erase_if(votes, [](const Vote& vote) { return vote.reached == 0; });
    // An epoch below that of the decision is an old answer. Unless the master is of no use, and most of all sentinels
    // agree on another one: then the group was set up again.
    const auto outdated = [&](const Vote& vote) {
        return vote.epoch < epoch_ && !(doubted_ && votes.size() == 1 && 2 * vote.reached > voices);
    };
    if (std::all_of(votes.begin(), votes.end(), outdated)) return;
    if (!master_ && open && 2 * reached <= voices) {
        if (decide_at_ == never) decide_at_ = now + first_wait;
        if (now < decide_at_) return;
    }
    decide_at_ = never;
    const auto worse = [this](const Vote& a, const Vote& b) {
        if (a.epoch != b.epoch) return a.epoch < b.epoch;
        if (a.all != b.all) return a.all < b.all;
        return b.address == master_ && a.address != master_;  // of two that are equal, what we have
    };
    const Vote& best = *std::max_element(votes.begin(), votes.end(), worse);
    if (outdated(best)) return;
    epoch_ = best.epoch;
    master_ = best.address;
}

std::optional<Error> SentinelTopology::round_failed() {
    const auto heard = [](const State& state) { return state.heard; };
    if (master_ || decide_at_ != never || !std::all_of(states_.begin(), states_.end(), heard)) return std::nullopt;
    std::size_t unknown = 0;
    std::string texts;
    Status status = Status::CONNECT_FAILED;
    for (State& state : states_) {
        state.heard = false;
        if (state.answer && state.answer->kind == Answer::Kind::unknown && state.connected) {
            ++unknown;
            continue;
        }
        if (status == Status::CONNECT_FAILED && state.error) status = state.error.status;
        if (texts.size() < 1000 && state.error) texts += (texts.empty() ? "" : "; ") + state.error.text;
    }
    if (unknown > 0) {
        const std::string who = unknown == states_.size() ? (unknown == 1 ? "the sentinel knows" : "the sentinels know")
                                                          : "the sentinels that answer know";
        return Error::of(Status::NO_MASTER, {who, " no master named ", quote(name_), texts.empty() ? "" : "; ", texts});
    }
    return Error::of(status, {"no sentinel says where the master ", quote(name_), " is: ", texts});
}

}  // namespace fanwire::core
