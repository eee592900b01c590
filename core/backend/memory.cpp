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

void MemoryBackend::publish(PublishBatch& batch) {
    const Error fine;
    auto record = batch.records.begin();
    for (const CommandChunk& chunk : batch.chunks) {
        for (std::string_view rest = chunk.view(); !rest.empty(); rest.remove_prefix(record++->size)) {
            const EncodedPublish publish(rest.substr(0, record->size));
            Settled settled{record->user_data, 0};
            MessageRef shared;
            if (channels_.contains(publish.channel)) {
                listener_.on_message(TargetKind::channel, publish.channel, publish.channel, publish.payload, shared);
                ++settled.receivers;
            }
            for (const auto& [pattern, name] : patterns_) {
                if (!glob_match(pattern, publish.channel)) continue;
                listener_.on_message(TargetKind::pattern, pattern, publish.channel, publish.payload, shared);
                ++settled.receivers;
            }
            listener_.on_unqueued(1, record->size);
            listener_.on_settled(
                {record->sink ? &batch.sinks[record->sink - 1] : nullptr, batch.accepted_us, {&settled, 1}, fine});
        }
    }
    batch.clear();
}

}  // namespace fanwire::core
