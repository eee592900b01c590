#include "core/fanout/staging.h"

#include <algorithm>
#include <new>
#include <utility>

namespace fanwire::core {

Staging::~Staging() {
    while (spare_) delete std::exchange(spare_, spare_->next);
}

// The outlet's stage with room for one more. Returns null when there is no memory for a stage.
Stage* Staging::make_room(Outlet& outlet) noexcept {
    Stage* const stage = outlet.stage;
    if (!stage) return begin(outlet);
    if (stage->block || blocks_ == blocks_max || !grow(*stage)) push(*stage);
    return stage;
}

bool Staging::grow(Stage& stage) noexcept {
    stage.block.reset(new (std::nothrow) Delivery[Stage::many]);
    if (!stage.block) return false;
    ++blocks_;
    std::copy_n(stage.own.data(), stage.count, stage.block.get());
    stage.deliveries = stage.block.get();
    stage.capacity = Stage::many;
    return true;
}

Stage* Staging::begin(Outlet& outlet) noexcept {
    Stage* stage = spare_;
    if (stage) {
        spare_ = stage->next;
        --spares_;
    } else if (stage = new (std::nothrow) Stage; !stage) {
        return nullptr;
    }
    stage->outlet = OutletRef::share(&outlet);
    stage->next = nullptr;
    (first_ ? last_->next : first_) = stage;
    last_ = stage;
    Stage*& bucket = by_sink_[bucket_of(outlet.inbox.get())];
    stage->next_of_bucket = std::exchange(bucket, stage);
    return outlet.stage = stage;
}

void Staging::flush(const OutcomeSink& sink) noexcept {
    for (Stage* stage = by_sink_[bucket_of(&sink)]; stage; stage = stage->next_of_bucket)
        if (stage->outlet->inbox.get() == &sink) push(*stage);
}

void Staging::push(Stage& stage) noexcept {
    if (stage.count == 0) return;
    const std::shared_ptr<Inbox>& inbox = stage.outlet->inbox;
    if (inbox->push(stage.deliveries, std::exchange(stage.count, 0))) wake_later(inbox);
}

void Staging::push_now(Subscription& subscription, Message* message) noexcept {
    const Delivery delivery{message, &subscription};
    if (subscription.inbox()->push(&delivery, 1)) wake_later(subscription.inbox());
}

void Staging::wake_later(const std::shared_ptr<OutcomeSink>& sink) noexcept {
    try {
        to_wake_.push_back(sink);
    } catch (const std::bad_alloc&) {
        sink->signal();
    }
}

void Staging::commit() noexcept {
    while (first_) {
        Stage& stage = *first_;
        push(stage);
        first_ = stage.next;
        end(stage);
    }
    for (const std::shared_ptr<OutcomeSink>& sink : to_wake_) sink->signal();
    to_wake_.clear();
}

void Staging::end(Stage& stage) noexcept {
    by_sink_[bucket_of(stage.outlet->inbox.get())] = nullptr;  // the others of the bucket end as well
    stage.outlet->stage = nullptr;
    stage.outlet = nullptr;
    if (spares_ == spares_max) {
        blocks_ -= stage.block ? 1u : 0u;
        delete &stage;
        return;
    }
    stage.next = std::exchange(spare_, &stage);
    ++spares_;
}

}  // namespace fanwire::core
