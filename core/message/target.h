// What one subscribes to: a channel, or all channels that match a pattern.
#pragma once

namespace fanwire::core {

enum class TargetKind { channel, pattern };

}  // namespace fanwire::core
