// A publish as Redis reads it: PUBLISH channel payload.
#pragma once

#include "core/message/publish_format.h"

namespace fanwire::core {

class PublishCommand final : public PublishFormat {
 public:
    std::size_t size(std::size_t channel_size, std::size_t payload_size) const override;
    void write(char* to, std::string_view prefix, std::string_view channel, std::string_view payload) const override;
};

inline constexpr PublishCommand publish_command{};

}  // namespace fanwire::core
