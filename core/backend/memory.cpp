#include "core/backend/memory.h"

namespace fanwire::core {

void MemoryBackend::start() {
    listener_.on_publishable(true);
    listener_.on_connected();
}

void MemoryBackend::subscribe(Topic& topic) {
    if (topic.kind() == TargetKind::pattern) patterns_.add(topic);
    listener_.on_confirmed(topic);
}

void MemoryBackend::unsubscribe(Topic& topic) {
    if (topic.kind() == TargetKind::pattern) patterns_.remove(topic);
}

void MemoryBackend::publish(PublishBatch& batch) {
    const Error fine;
    auto record = batch.records.begin();
    for (const CommandChunk& chunk : batch.chunks) {
        for (std::string_view rest = chunk.view(); !rest.empty(); rest.remove_prefix(record++->size)) {
            const EncodedPublish publish(rest.substr(0, record->size));
            Settled settled{record->user_data, 0};
            MessageRef shared;
            Topic* const exact = topics_.find(TargetKind::channel, publish.channel);
            if (exact && exact->confirmed) {
                listener_.on_message(exact, publish.channel, publish.payload, &shared);
                ++settled.receivers;
            }
            patterns_.for_each_match(publish.channel, [&](Topic& pattern) {
                listener_.on_message(&pattern, publish.channel, shared ? shared->payload() : publish.payload, &shared);
                ++settled.receivers;
            });
            listener_.on_unqueued(1, record->size);
            listener_.on_settled(
                {record->sink ? &batch.sinks[record->sink - 1] : nullptr, batch.accepted_us, {&settled, 1}, fine});
        }
    }
    batch.clear();
}

}  // namespace fanwire::core
