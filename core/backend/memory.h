// memory://: the engine's own subscribers are all there is. No server, no links; counts receivers as Redis would for one
// client: one for the channel, one for each matching pattern.
#pragma once

#include <string_view>
#include <unordered_map>

#include "core/backend/backend.h"

namespace fanwire::core {

class MemoryBackend : public Backend {
   public:
    explicit MemoryBackend(BackendListener& listener) : listener_(listener) {}

    void start() override;
    void subscribe(TargetKind kind, const NameRef& name) override;
    void unsubscribe(TargetKind kind, const NameRef& name) override;
    void publish(PublishBatch& batch) override;
    void set_credentials(const std::string&, const std::string&) override {}
    void flush() override {}
    std::size_t unsettled() const override { return 0; }
    void stop(const Error&) override {}
    void abandon() noexcept override {}

   private:
    // Keys are views of the names they lead to.
    using Names = std::unordered_map<std::string_view, NameRef>;
    Names& names(TargetKind kind) { return kind == TargetKind::channel ? channels_ : patterns_; }

    BackendListener& listener_;
    Names channels_, patterns_;
};

}  // namespace fanwire::core
