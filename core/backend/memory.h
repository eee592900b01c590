// memory://: the engine's own subscribers are all there is. No server, no links; counts receivers as Redis would for one
// client: one for the channel, one for each matching pattern.
#pragma once

#include "core/backend/backend.h"
#include "core/message/pattern_index.h"

namespace fanwire::core {

class MemoryBackend : public Backend {
   public:
    MemoryBackend(Topics& topics, BackendListener& listener) : topics_(topics), listener_(listener) {}

    void start() override;
    void subscribe(Topic& topic) override;
    void unsubscribe(Topic& topic) override;
    void publish(PublishBatch& batch) override;
    void set_credentials(const std::string&, const std::string&) override {}
    void flush() override {}
    std::size_t unsettled() const override { return 0; }
    void stop(const Error&) override { patterns_.clear(); }
    void abandon() noexcept override {}

   private:
    Topics& topics_;
    BackendListener& listener_;
    PatternIndex patterns_;
};

}  // namespace fanwire::core
