// Names of channels and patterns: what the application calls them and what they are called in Redis.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/settings.h"

namespace fanwire::core {

// Channels are "{namespace}:{channel}" in Redis; the empty namespace adds nothing.
class Namespace {
 public:
    // Throws INVALID_OPTION when the name is too long.
    Namespace(std::string_view name, ChannelRules rules);

    // The channel's name in Redis. Throws INVALID_CHANNEL when it breaks the rules.
    std::string channel(std::string_view channel) const;
    // Only checks it: the name in Redis is channel_prefix() and then the channel.
    void check_channel(std::string_view channel) const;
    const std::string& channel_prefix() const { return channel_prefix_; }

    // channel() for a pattern. The namespace stands for itself only: its own glob characters are escaped.
    std::string pattern(std::string_view pattern) const;

    // How many bytes of such a name are ours; the application's part follows.
    size_t channel_prefix_size() const { return channel_prefix_.size(); }
    size_t pattern_prefix_size() const { return pattern_prefix_.size(); }

 private:
    std::string channel_prefix_;
    std::string pattern_prefix_;
    bool may_be_reserved_ = true;  // names with these prefixes
    ChannelRules rules_;
};

}  // namespace fanwire::core
