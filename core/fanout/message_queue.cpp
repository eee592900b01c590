#include "core/fanout/message_queue.h"

#include <algorithm>

namespace fanwire::core {

bool MessageQueue::fits(std::size_t cost) {
    if (messages_ >= limits_.count) return false;
    if (bytes_ + cost <= limits_.bytes) return true;
    take_released();
    return bytes_ + cost <= limits_.bytes || (messages_ == 0 && cost <= limits_.bytes);
}

std::size_t MessageQueue::append_fitting(const Delivery* deliveries, std::size_t count) noexcept {
    if (messages_ >= limits_.count) return 0;
    std::size_t fitting = 0, bytes = bytes_;
    for (const std::size_t most = std::min(count, limits_.count - messages_); fitting < most; ++fitting) {
        const std::size_t cost = deliveries[fitting].message->cost();
        if (bytes + cost > limits_.bytes) break;
        bytes += cost;
    }
    const std::size_t done = slots_.append(deliveries, fitting);
    for (std::size_t i = done; i < fitting; ++i) bytes -= deliveries[i].message->cost();
    bytes_ = bytes;
    messages_ += done;
    return done;
}

void MessageQueue::push(const Delivery& delivery) {
    slots_.push_back(delivery);
    ++messages_;
    bytes_ += delivery.message->cost();
    if (conflation_) conflation_->added(*delivery.subscription, *delivery.message, next_position() - 1);
}

MessageQueue::Replaced MessageQueue::replace(std::uint64_t position, const Delivery& delivery) {
    Message*& message = slots_[position - first_].message;
    take_released();
    // A larger one has to make room like any other, or it might push out itself.
    if (bytes_ - message->cost() + delivery.message->cost() > limits_.bytes) return Replaced::no;
    const bool first = conflation_->replaced_at(position) == 0;
    conflation_->replaced(*delivery.subscription, *delivery.message, position);
    bytes_ += delivery.message->cost();
    bytes_ -= message->cost();
    std::exchange(message, delivery.message)->release();
    return first ? Replaced::first : Replaced::again;
}

std::size_t MessageQueue::take_row(std::vector<Delivery>& to, std::size_t most) {
    most = std::min(most, slots_.run());
    const Delivery* const row = most > 0 ? &slots_.front() : nullptr;
    std::size_t count = 0;
    while (count < most && row[count].message) ++count;
    if (count == 0) return 0;
    to.insert(to.end(), row, row + count);
    slots_.drop(count);
    first_ += count;
    messages_ -= count;
    return count;
}

Message* MessageQueue::pop_message() {
    const auto [message, subscription] = slots_.pop_front();
    if (conflation_) conflation_->removed(*subscription, *message, first_);
    ++first_;
    --messages_;
    return message;
}

void MessageQueue::drop_message() {
    bytes_ -= front().message->cost();
    pop_message()->release();
}

bool MessageQueue::settle(const std::vector<Delivery>& taken) {
    if (bytes_ > limits_.bytes / 2) take_released();
    if (bytes_ <= limits_.bytes / 2) return false;
    for (const Delivery& slot : taken) bytes_ -= slot.message ? slot.message->cost() : 0;
    return true;
}

void MessageQueue::clear() {
    if (conflation_) conflation_->clear();
    MessageReleaser messages;
    while (!slots_.empty()) messages.release(slots_.pop_front().message);
    slots_.clear();
    messages_ = bytes_ = 0;
    released_bytes_.store(0, std::memory_order_relaxed);
}

}  // namespace fanwire::core
