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

void MemoryBackend::publish(PublishBatch&& batch) {
    std::string_view rest = batch.bytes;
    for (const PublishRecord& record : batch.records) {
        const std::string_view command = rest.substr(0, record.size);
        rest.remove_prefix(record.size);
        const std::string_view channel = record.channel(command), payload = record.payload(command);

        Outcome outcome;
        MessageRef shared;
        const Topic* const exact = topics_.find(TargetKind::channel, channel);
        if (exact && exact->confirmed) {
            listener_.on_message(TargetKind::channel, channel, channel, payload, shared);
            ++outcome.receivers;
        }
        patterns_.for_each_match(channel, [&](const Topic& pattern) {
            listener_.on_message(TargetKind::pattern, pattern.view(), channel, payload, shared);
            ++outcome.receivers;
        });
        listener_.on_unqueued(1, record.size);
        listener_.on_settled(record, outcome);
    }
}

}  // namespace fanwire::core
