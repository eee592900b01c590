#include "core/message/sequences.h"

#include <algorithm>
#include <limits>

namespace fanwire::core {

namespace {

constexpr std::uint64_t window = 64;

}  // namespace

Sequences::Sequences(std::size_t max, std::uint64_t seed)
    : max_(std::clamp<std::size_t>(max, 1, std::numeric_limits<Place>::max() - 1)), index_(0, Hash{KeyedHash(seed)}) {}

std::size_t Sequences::Hash::operator()(const Key& key) const {
    return hash({reinterpret_cast<const char*>(key.publisher.data()), key.publisher.size()}, key.channel);
}

Sequences::Heard Sequences::hear(std::uint64_t channel, const Envelope& envelope) {
    if (envelope.sequence == 0) return {Kind::uncounted};
    const Key key{envelope.publisher, channel};
    if (const auto found = index_.find(key); found != index_.end()) {
        take_out(found->second);
        put_first(found->second);
        return hear(pairs_[found->second], envelope.sequence);
    }
    Place place = 0;
    if (index_.size() < max_) {
        place = static_cast<Place>(pairs_.size());
        pairs_.emplace_back();
        try {
            index_.emplace(key, place);
        } catch (...) {
            pairs_.pop_back();
            throw;
        }
    } else {
        place = pairs_.front().newer;
        auto node = index_.extract(pairs_[place].key);
        node.key() = key;
        index_.insert(std::move(node));
        take_out(place);
        ++forgotten_;
    }
    pairs_[place] = {key, envelope.sequence, ~std::uint64_t{0}, 0, 0};
    put_first(place);
    return {Kind::first};
}

Sequences::Heard Sequences::hear(Pair& pair, std::uint64_t sequence) {
    if (sequence > pair.last) {
        const std::uint64_t step = sequence - pair.last, missing = step - 1;
        // The last one becomes one of those before.
        pair.before = step > window ? 0 : (step == window ? 0 : pair.before << step) | std::uint64_t{1} << (step - 1);
        pair.last = sequence;
        if (missing == 0) return {Kind::next};
        return {Kind::gap, missing};
    }
    const std::uint64_t back = pair.last - sequence;
    if (back == 0 || back > window) return {Kind::duplicate};
    const std::uint64_t bit = std::uint64_t{1} << (back - 1);
    if ((pair.before & bit) != 0) return {Kind::duplicate};
    pair.before |= bit;
    return {Kind::late};
}

void Sequences::take_out(Place place) {
    const Pair& pair = pairs_[place];
    pairs_[pair.newer].older = pair.older;
    pairs_[pair.older].newer = pair.newer;
}

void Sequences::put_first(Place place) {
    Pair& begin = pairs_.front();
    Pair& pair = pairs_[place];
    pair.newer = 0;
    pair.older = begin.older;
    pairs_[begin.older].newer = place;
    begin.older = place;
}

}  // namespace fanwire::core
