#include "core/backend/memory.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/message/frame.h"

namespace fanwire::core {

namespace {

using Kind = BackendEvent::Kind;

constexpr std::size_t letters_kept_max = 1024;

}  // namespace

MemoryBackend::MemoryBackend(Topics& topics, BackendSink& sink, Loop& loop, std::string_view name,
                             std::function<void()> wake)
    : topics_(topics), sink_(sink), room_timer_(loop, wake) {
    if (!name.empty()) member_.emplace(name, std::move(wake));
}

void MemoryBackend::start() {
    sink_.on_event({.kind = Kind::publishable});
    sink_.on_event({.kind = Kind::connected});
}

void MemoryBackend::subscribe(Topic& topic) {
    const bool pattern = topic.kind() == TargetKind::pattern;
    if (pattern) patterns_.add(topic);
    if (member_) {
        try {
            member_->add(topic, letters_);
        } catch (...) {
            if (pattern) patterns_.remove(topic);
            throw;
        }
        deliver_letters();  // of before
    }
    sink_.on_confirmed(topic, GapReason::none);
}

void MemoryBackend::unsubscribe(Topic& topic) {
    if (topic.kind() == TargetKind::pattern) patterns_.remove(topic);
    if (member_) member_->remove(topic);
}

void MemoryBackend::listen(const TopicRef& replies) {
    if (member_) {
        member_->add(*replies, letters_);
        deliver_letters();
    }
    reply_topic_ = replies;
    sink_.on_event({.kind = Kind::reply_channel_confirmed});
}

std::uint64_t MemoryBackend::deliver_reply(std::string_view channel, std::string_view payload) {
    if (!reply_topic_ || channel != reply_topic_->view()) return 0;
    sink_.on_reply(payload);
    return 1;
}

// To our own subscribers; returns how many. `shared`: what the payload lies in; null: it becomes the message that has
// the copy.
[[gnu::always_inline]] inline std::uint64_t MemoryBackend::deliver(std::string_view channel, std::string_view payload,
                                                                   MessageRef& shared) {
    std::uint64_t receivers = 0;
    const bool lies_there = static_cast<bool>(shared);
    Topic* const exact = topics_.find(TargetKind::channel, channel);
    if (exact && exact->confirmed) {
        sink_.on_message(exact, channel, payload, &shared);
        ++receivers;
    }
    if (frame::is_reply_channel(channel)) return receivers + deliver_reply(channel, payload);  // no pattern sees it
    patterns_.for_each_match(channel, [&](Topic& pattern) {
        sink_.on_message(&pattern, channel, shared && !lies_there ? shared->payload() : payload, &shared);
        ++receivers;
    });
    return receivers;
}

void MemoryBackend::deliver_letters() noexcept {
    for (MemoryBus::Letter& letter : letters_) {
        MessageRef shared = letter.storage;
        deliver(letter.channel(), letter.payload(), shared);
    }
    letters_.clear();
    if (letters_.capacity() > letters_kept_max) MemoryBus::Letters().swap(letters_);
}

void MemoryBackend::woken() noexcept {
    if (!member_) return;
    member_->take(letters_);
    deliver_letters();
    if (waiting_.empty()) return;
    try {
        try_waiting();
    } catch (const std::bad_alloc&) {  // soon again
        room_timer_.at(now_ms() + 1);
    }
}

// False: the others have no room for it yet, and nobody has it.
[[gnu::always_inline]] inline bool MemoryBackend::publish(const PlainPublish::Parts& publish,
                                                          std::uint64_t& receivers) {
    receivers = 0;
    if (member_) {
        if (!member_->post(publish.channel, publish.payload, receivers, letters_)) return false;
        deliver_letters();
    }
    MessageRef shared;
    receivers += deliver(publish.channel, publish.payload, shared);
    return true;
}

[[gnu::always_inline]] inline void MemoryBackend::settle(const PublishBatch& batch, const PublishRecord& record,
                                                         std::uint64_t receivers, const Error& error) {
    const Settled settled{record.user_data, receivers};
    sink_.on_unqueued(1, record.size);
    sink_.on_settled({record.sink ? &batch.sinks[record.sink - 1] : nullptr, batch.accepted_us, {&settled, 1}, error});
}

// False: the others have no room for the first one that is left in the batch.
[[gnu::always_inline]] inline bool MemoryBackend::try_publish(PublishBatch& batch) {
    const Error fine;
    std::size_t done = 0;
    try {
        for (const ByteChunk& chunk : batch.chunks) {
            for (std::string_view rest = chunk.view(); !rest.empty(); rest.remove_prefix(batch.records[done++].size)) {
                const PublishRecord& record = batch.records[done];
                std::uint64_t receivers;
                if (!publish(PlainPublish::read(rest.substr(0, record.size)), receivers)) {
                    batch.drop_front(done);
                    return false;
                }
                settle(batch, record, receivers, fine);
            }
        }
    } catch (...) {
        batch.drop_front(done);
        throw;
    }
    batch.clear();
    return true;
}

// What finds no room waits, and all that follows behind it.
void MemoryBackend::publish(PublishBatch& batch) {
    if (waiting_.empty() && try_publish(batch)) return;
    waiting_.push_back(std::move(batch));
    batch = PublishBatch();
    expire_waiting();
}

void MemoryBackend::try_waiting() {
    while (!waiting_.empty() && try_publish(waiting_.front())) waiting_.pop_front();
    expire_waiting();
}

void MemoryBackend::expire_waiting() noexcept {
    const TimeMs now = now_ms();
    const Error late = Error::of(Status::TIMEOUT, {"not delivered in time: another engine of the bus takes nothing"});
    TimeMs next = never;
    for (PublishBatch& batch : waiting_)
        batch.take_out([&](const PublishRecord& record) {
            const TimeMs deadline = batch.deadline_of(record);
            if (deadline <= now)
                settle(batch, record, 0, late);
            else
                next = std::min(next, deadline);
            return deadline <= now;
        });
    std::erase_if(waiting_, [](const PublishBatch& batch) { return batch.empty(); });
    room_timer_.at(next);
}

void MemoryBackend::settle_waiting(const Error& why) noexcept {
    for (const PublishBatch& batch : waiting_)
        for (const PublishRecord& record : batch.records) settle(batch, record, 0, why);
    waiting_.clear();
}

std::size_t MemoryBackend::unsettled() const {
    std::size_t count = 0;
    for (const PublishBatch& batch : waiting_) count += batch.records.size();
    return count;
}

void MemoryBackend::ask(std::unique_ptr<Numsub>& question) {
    for (std::size_t i = 0; i < question->channels.size(); ++i) {
        const std::string& channel = question->channels[i];
        const Topic* const own = topics_.find(TargetKind::channel, channel);
        question->counts[i] = (own && own->confirmed ? 1 : 0) + (member_ ? member_->count(channel) : 0);
    }
    std::exchange(question, nullptr)->done({});
}

void MemoryBackend::stop(const Error& why) {
    settle_waiting(why);
    patterns_.clear();
    if (member_) member_->leave();
    room_timer_.at(never);
}

}  // namespace fanwire::core
