// A question: how many subscribers Redis counts for each of these channels.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/message/message.h"

namespace fanwire::core {

struct Numsub {
    static constexpr std::size_t channels_max = 1024;

    // There is memory for the answer from the beginning, so that giving it cannot fail. Throws std::bad_alloc.
    explicit Numsub(std::vector<std::string> wire_names)
        : channels(std::move(wire_names)),
          space_(Message::make_space((channels.size() + 1) * sizeof(std::uint64_t))),
          counts(aligned(space_->space())),
          answer(Message::make_sharing(
              {}, space_, {reinterpret_cast<const char*>(counts), channels.size() * sizeof(std::uint64_t)})) {}

    const std::vector<std::string> channels;  // as Redis knows them

 private:
    static std::uint64_t* aligned(char* bytes) {
        const auto address = reinterpret_cast<std::uintptr_t>(bytes);
        return reinterpret_cast<std::uint64_t*>(bytes + (sizeof(std::uint64_t) - address % sizeof(std::uint64_t)));
    }
    MessageRef space_;

 public:
    std::uint64_t* const counts;  // one for each channel
    const MessageRef answer;      // whose payload they are
    TimeMs deadline = never;
    // Called once, on the IO thread, with counts filled in when there is no error. Throws nothing.
    std::function<void(const Error& why)> done;

    // About how much memory it has.
    std::size_t size() const {
        std::size_t sum = sizeof *this + channels.size() * (sizeof(std::string) + sizeof(std::uint64_t));
        for (const std::string& channel : channels) sum += channel.size();
        return sum;
    }
};

}  // namespace fanwire::core
