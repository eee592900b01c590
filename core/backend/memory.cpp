#include "core/backend/memory.h"

#include "core/message/glob.h"

namespace fanwire::core {

void MemoryBackend::start() {
    listener_.on_publishable(true);
    listener_.on_connected();
}

void MemoryBackend::subscribe(TargetKind kind, const NameRef& name) {
    names(kind).emplace(name->view(), name);
    listener_.on_confirmed(kind, name);
}

void MemoryBackend::unsubscribe(TargetKind kind, const NameRef& name) {
    const auto found = names(kind).find(name->view());
    if (found == names(kind).end()) return;
    const NameRef keep = found->second;  // the key is a view of it
    names(kind).erase(found);
}

void MemoryBackend::publish(PublishBatch&& batch) {
    std::string_view rest = batch.bytes;
    for (const PublishRecord& record : batch.records) {
        const std::string_view command = rest.substr(0, record.size);
        rest.remove_prefix(record.size);
        const std::string_view channel = record.channel(command), payload = record.payload(command);

        Outcome outcome;
        MessageRef shared;
        if (channels_.contains(channel)) {
            listener_.on_message(TargetKind::channel, channel, channel, payload, &shared);
            ++outcome.receivers;
        }
        for (const auto& [pattern, name] : patterns_) {
            if (!glob_match(pattern, channel)) continue;
            listener_.on_message(TargetKind::pattern, pattern, channel, payload, &shared);
            ++outcome.receivers;
        }
        listener_.on_unqueued(1, record.size);
        listener_.on_settled(record, outcome);
    }
}

}  // namespace fanwire::core
