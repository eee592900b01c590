#include "core/backend/custom.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/message/frame.h"

namespace fanwire::core {

namespace {

using Kind = BackendEvent::Kind;

}  // namespace

CustomBackend::CustomBackend(const Settings& settings, std::unique_ptr<Broker> broker, Topics& topics,
                             BackendSink& sink, Loop& loop, std::function<void()> wake)
    : drain_wait_(settings.drain_wait_ms),
      topics_(topics),
      sink_(sink),
      broker_(std::move(broker)),
      reports_(std::make_shared<BrokerReports>(wake)),
      timer_(loop, [this, wake = std::move(wake)] {
          timer_at_ = never;
          timer_fired_ = true;
          wake();
      }) {}

CustomBackend::~CustomBackend() {
    reports_->close();
}

void CustomBackend::start() {
    broker_->start(reports_);
}

// ---- What the engine wants
// -------------------------------------------------------------------------------------------

void CustomBackend::subscribe(Topic& topic) {
    if (ready_)
        broker_->subscribe(topic.kind(), topic.view());
    else
        needed();
}

void CustomBackend::unsubscribe(Topic& topic) {
    if (topic.awaited) answered(topic);
    if (ready_) broker_->unsubscribe(topic.kind(), topic.view());
}

void CustomBackend::listen(const TopicRef& replies) {
    reply_topic_ = replies;
    subscribe(*replies);
}

void CustomBackend::needed() {
    if (!ready_) broker_->reconnect();
}

void CustomBackend::publish(PublishBatch& batch) {
    waiting_.emplace_back();  // first what needs memory
    std::swap(waiting_.back(), batch);
    if (!ready_ || held()) {
        const PublishBatch& late = waiting_.back();
        for (const PublishRecord& record : late.records) due_by(late.deadline_of(record));
    }
    if (!ready_) needed();
    send_waiting();
}

void CustomBackend::ask(std::unique_ptr<Numsub>& question) {
    const std::uint64_t id = last_id_ + 1;
    const auto entry = questions_.emplace_hint(questions_.end(), id, nullptr);
    last_id_ = id;
    entry->second = std::move(question);
    due_by(entry->second->deadline);
    if (ready_)
        ask(entry);
    else
        needed();
}

void CustomBackend::ask(Questions::iterator entry) {
    if (broker_->numsub(entry->first, entry->second->channels)) return;
    const std::unique_ptr<Numsub> question = std::move(entry->second);
    questions_.erase(entry);
    question->done(Error::of(Status::INVALID_ARGUMENT, {"this broker does not count subscribers"}));
}

std::size_t CustomBackend::unsettled() const {
    std::size_t count = sent_.size();
    for (const PublishBatch& batch : waiting_) count += batch.records.size();
    return count;
}

void CustomBackend::stop(const Error& why) {
    timer_.at(never);
    reports_->close();
    settle_waiting(why);
    settle_sent(Error::of(Status::OUTCOME_UNKNOWN, {"closed before the broker said what became of it"}));
    end_questions(why);
    ready_ = false;
    sink_.on_event({.kind = Kind::links});
    broker_->close();
}

// ---- Publishing
// ------------------------------------------------------------------------------------------------------

void CustomBackend::tell(const std::shared_ptr<OutcomeSink>* sink, std::uint64_t accepted_us, void* user_data,
                         std::uint32_t size, std::uint64_t receivers, const Error& error) {
    const Settled settled{user_data, receivers};
    sink_.on_unqueued(1, size);
    sink_.on_settled({sink && *sink ? sink : nullptr, accepted_us, {&settled, 1}, error});
}

// Hands the whole batch over. A record for which there is no memory stays in front.
bool CustomBackend::send(PublishBatch& batch) {
    std::size_t done = 0;
    bool all = true;
    for (const ByteChunk& chunk : batch.chunks) {
        for (std::string_view rest = chunk.view(); all && !rest.empty(); ++done) {
            const PublishRecord& record = batch.records[done];
            const std::uint64_t id = last_id_ + 1;
            try {
                sent_.emplace_hint(sent_.end(), id,
                                   Sent{record.sink ? batch.sinks[record.sink - 1] : nullptr, record.user_data,
                                        batch.accepted_us, record.size, batch.deadline_of(record)});
            } catch (const std::bad_alloc&) {
                all = false;
                break;
            }
            last_id_ = id;
            due_by(sent_.rbegin()->second.deadline);
            const PlainPublish::Parts publish = PlainPublish::read(rest.substr(0, record.size));
            rest.remove_prefix(record.size);
            broker_->publish(id, publish.channel, publish.payload);
        }
        if (!all) break;
    }
    if (!all) batch.drop_front(done);
    return all;
}

void CustomBackend::send_waiting() {
    if (!ready_) return;
    if (held()) return due_by(held_until_);
    while (!waiting_.empty() && send(waiting_.front())) waiting_.pop_front();
    if (!waiting_.empty()) due_by(now_ms() + 1);  // for want of memory
}

// What was not handed over in time never is; what was, and has no outcome, may have happened.
void CustomBackend::expire() {
    const TimeMs now = now_ms();
    const Error late = Error::of(Status::TIMEOUT, {"not sent in time: the broker is not connected"});
    for (PublishBatch& batch : waiting_)
        batch.take_out([&](const PublishRecord& record) {
            if (batch.deadline_of(record) > now) return false;
            tell(record.sink ? &batch.sinks[record.sink - 1] : nullptr, batch.accepted_us, record.user_data,
                 record.size, 0, late);
            return true;
        });
    std::erase_if(waiting_, [](const PublishBatch& batch) { return batch.empty(); });
    const Error unknown = Error::of(Status::OUTCOME_UNKNOWN, {"the broker has not said in time what became of it"});
    std::erase_if(sent_, [&](const auto& entry) {
        const Sent& sent = entry.second;
        if (sent.deadline > now) return false;
        tell(&sent.sink, sent.accepted_us, sent.user_data, sent.size, 0, unknown);
        return true;
    });
    const Error silent = Error::of(Status::TIMEOUT, {"the broker has not counted in time"});
    std::erase_if(questions_, [&](const auto& entry) {
        if (entry.second->deadline > now) return false;
        entry.second->done(silent);
        return true;
    });
}

void CustomBackend::settle_waiting(const Error& why) {
    for (const PublishBatch& batch : waiting_)
        for (const PublishRecord& record : batch.records)
            tell(record.sink ? &batch.sinks[record.sink - 1] : nullptr, batch.accepted_us, record.user_data,
                 record.size, 0, why);
    waiting_.clear();
}

void CustomBackend::settle_sent(const Error& why) {
    for (const auto& [id, sent] : sent_) tell(&sent.sink, sent.accepted_us, sent.user_data, sent.size, 0, why);
    sent_.clear();
}

void CustomBackend::end_questions(const Error& why) {
    for (const auto& [id, question] : questions_) question->done(why);
    questions_.clear();
}

// The timer is only moved earlier: one that fires too early finds nothing due and is set again.
void CustomBackend::due_by(TimeMs time) {
    if (time < timer_at_) timer_.at(timer_at_ = time);
}

void CustomBackend::arm_anew() {
    timer_at_ = never;
    TimeMs next = retry_at_;
    for (const PublishBatch& batch : waiting_) {
        next = std::min(next, batch.deadline);
        if (batch.timed > 0)
            for (const PublishRecord& record : batch.records) next = std::min(next, batch.deadline_of(record));
    }
    for (const auto& [id, sent] : sent_) next = std::min(next, sent.deadline);
    for (const auto& [id, question] : questions_) next = std::min(next, question->deadline);
    if (ready_ && held()) next = std::min(next, held_until_);
    due_by(next);
}

// ---- What the broker reports
// -----------------------------------------------------------------------------------------

void CustomBackend::woken() noexcept {
    try {
        if (next_ == taken_.size()) {
            taken_.clear();
            next_ = 0;
            if (reports_->take(taken_)) drops_ = true;
        }
        if (!taken_.empty()) sink_.on_bytes(taken_.size(), 0);  // now is when they were read
        while (next_ < taken_.size()) {
            take(taken_[next_]);
            ++next_;
        }
        if (std::exchange(drops_, false)) dropped();
        if (std::exchange(timer_fired_, false)) on_time();
        send_waiting();
    } catch (const std::bad_alloc&) {  // what is left has its turn soon
        due_by(now_ms() + 1);
    }
}

void CustomBackend::on_time() {
    const TimeMs now = now_ms();
    if (retry_at_ <= now) {
        retry_at_ = never;
        topics_.for_each([&](Topic& topic) {
            if (topic.refused && !topic.subscriptions().empty()) broker_->subscribe(topic.kind(), topic.view());
        });
    }
    if (held() && held_until_ <= now) held_until_ = 0;
    expire();
    arm_anew();
}

void CustomBackend::take(const Report& report) {
    switch (report.kind) {
        case Report::Kind::ready:
            return become_ready();
        case Report::Kind::lost:
            return become_lost(report.error);
        case Report::Kind::confirmed:
            return confirm(report);
        case Report::Kind::refused:
            return refuse(report);
        case Report::Kind::message:
            return deliver(report);
        case Report::Kind::settled:
            return settle(report);
        case Report::Kind::counted:
            return count(report);
    }
}

void CustomBackend::become_ready() {
    if (ready_) return;
    ready_ = true;
    subscribe_all();
    sink_.on_event({.kind = Kind::publishable});
    sink_.on_event({.kind = Kind::links, .publish = true, .subscribe = true});
    sink_.on_event({.kind = Kind::connected});
    for (auto next = questions_.begin(); next != questions_.end();) ask(next++);
}

// What was queued while it was away is for our own subscriptions, too: it waits for them, up to drain_wait_ms.
void CustomBackend::subscribe_all() {
    awaited_ = 0;
    if (reply_topic_) broker_->subscribe(reply_topic_->kind(), reply_topic_->view());
    topics_.for_each([&](Topic& topic) {
        topic.awaited = !topic.subscriptions().empty();
        if (!topic.awaited) return;
        ++awaited_;
        broker_->subscribe(topic.kind(), topic.view());
    });
    held_until_ = drain_wait_ > 0 ? now_ms() + drain_wait_ : 0;
}

void CustomBackend::become_lost(const Error& why) {
    const bool was_ready = std::exchange(ready_, false);
    awaited_ = 0;
    retry_at_ = never;
    if (!was_ready) return sink_.on_event({.kind = Kind::connect_failed, .why = why, .will_retry = true});
    sink_.on_event({.kind = Kind::unpublishable});
    {
        TopicBatch lost([&](std::span<Topic* const> topics) { sink_.on_lost(topics, why, GapReason::reconnect); });
        topics_.for_each([&](Topic& topic) {
            topic.awaited = false;
            lost.add(topic);
        });
    }
    reply_confirmed_ = false;
    if (reply_topic_) sink_.on_event({.kind = Kind::reply_channel_lost});
    settle_sent(Error::of(Status::OUTCOME_UNKNOWN, {"the connection broke before the broker answered: ", why.text}));
    sink_.on_event({.kind = Kind::links});
    sink_.on_event({.kind = Kind::disconnected, .why = why});
}

void CustomBackend::answered(Topic& topic) {
    if (!topic.awaited) return;
    topic.awaited = false;
    --awaited_;
}

void CustomBackend::confirm(const Report& report) {
    if (!ready_) return;
    if (reply_topic_ && report.target == TargetKind::channel && report.name == reply_topic_->view()) {
        if (!std::exchange(reply_confirmed_, true)) sink_.on_event({.kind = Kind::reply_channel_confirmed});
        return;
    }
    Topic* const topic = topics_.find(report.target, report.name);
    if (!topic || topic->subscriptions().empty()) return;  // nobody wants it any more
    answered(*topic);
    sink_.on_confirmed(*topic, GapReason::none);
}

void CustomBackend::refuse(const Report& report) {
    if (!ready_) return;
    if (reply_topic_ && report.target == TargetKind::channel && report.name == reply_topic_->view())
        return sink_.on_event({.kind = Kind::reply_channel_refused, .why = report.error});
    Topic* const topic = topics_.find(report.target, report.name);
    if (!topic || topic->subscriptions().empty()) return;
    answered(*topic);
    sink_.on_refused(*topic, report.error);
    retry_at_ = std::min(retry_at_, now_ms() + retry_after);
    due_by(retry_at_);
}

void CustomBackend::deliver(const Report& report) {
    if (!ready_) return;
    const std::string_view channel = report.target == TargetKind::pattern ? report.channel : report.name;
    if (frame::is_reply_channel(channel)) {  // no pattern sees it
        if (reply_topic_ && channel == reply_topic_->view()) sink_.on_reply(report.payload);
        return;
    }
    sink_.on_message(topics_.find(report.target, report.name), channel, report.payload, nullptr);
}

void CustomBackend::settle(const Report& report) {
    const auto found = sent_.find(report.id);
    if (found == sent_.end()) return;  // it has its outcome: it was too late, or the connection was lost
    const Sent sent = std::move(found->second);
    sent_.erase(found);
    tell(&sent.sink, sent.accepted_us, sent.user_data, sent.size, report.receivers, report.error);
}

void CustomBackend::count(const Report& report) {
    const auto found = questions_.find(report.id);
    if (found == questions_.end()) return;
    const std::unique_ptr<Numsub> question = std::move(found->second);
    questions_.erase(found);
    if (report.error) return question->done(report.error);
    if (report.counts.size() != question->channels.size())
        return question->done(Error::of(Status::PROTOCOL_ERROR, {"the broker has counted other channels"}));
    std::copy(report.counts.begin(), report.counts.end(), question->counts);
    question->done({});
}

// Messages came faster than they could be taken: which is not known, so each stream has a gap.
void CustomBackend::dropped() {
    if (!ready_) return;
    const Error why = Error::of(Status::QUEUE_FULL, {"the broker reports messages faster than they are taken"});
    TopicBatch confirmed([&](std::span<Topic* const> topics) {
        sink_.on_lost(topics, why, GapReason::overflow);
        for (Topic* const topic : topics) sink_.on_confirmed(*topic, GapReason::none);
    });
    topics_.for_each([&](Topic& topic) {
        if (topic.confirmed) confirmed.add(topic);
    });
}

}  // namespace fanwire::core
