#include "core/fanout/conflation.h"

#include <new>
#include <utility>

namespace fanwire::core {

void Conflation::added(const Subscription& subscription, const Message& message, std::uint64_t position) noexcept {
    // The key is a view of the message it leads to: it must not outlive that, so the former one goes first.
    const Key key{&subscription, message.channel()};
    latest_.erase(key);
    try {
        latest_.emplace(key, position);
    } catch (const std::bad_alloc&) {
    }
}

std::uint64_t Conflation::find(const Subscription& subscription, const Message& message) const {
    const auto found = latest_.find({&subscription, message.channel()});
    return found == latest_.end() ? 0 : found->second;
}

void Conflation::replaced(const Subscription& subscription, const Message& message, std::uint64_t position) {
    ++replaced_[position];
    const Key key{&subscription, message.channel()};
    auto node = latest_.extract(key);
    node.key() = key;  // the same bytes, in the new message
    latest_.insert(std::move(node));
}

void Conflation::removed(const Subscription& subscription, const Message& message, std::uint64_t position) {
    const auto found = latest_.find({&subscription, message.channel()});
    if (found != latest_.end() && found->second == position) latest_.erase(found);
}

std::uint64_t Conflation::replaced_at(std::uint64_t position) const {
    if (replaced_.empty()) return 0;
    const auto found = replaced_.find(position);
    return found == replaced_.end() ? 0 : found->second;
}

std::uint64_t Conflation::take_replaced(std::uint64_t position) {
    const auto found = replaced_.find(position);
    const std::uint64_t count = found->second;
    replaced_.erase(found);
    return count;
}

}  // namespace fanwire::core
