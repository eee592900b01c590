// How a publish lies in a batch: as the backend that takes it wants it. The calling thread writes it, so that the IO
// thread only has to move bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace fanwire::core {

class PublishFormat {
 public:
    // Returns how many bytes write() writes for a channel and a payload of these sizes.
    virtual std::size_t size(std::size_t channel_size, std::size_t payload_size) const = 0;
    // `prefix` and `channel` together are the channel.
    virtual void write(char* to, std::string_view prefix, std::string_view channel, std::string_view payload) const = 0;

 protected:
    ~PublishFormat() = default;

    // Returns where the next bytes go.
    static char* put(char* to, std::string_view bytes) {
        if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
        return to + bytes.size();
    }
};

// For backends that look at channel and payload themselves: the channel's size, the channel, the payload.
class PlainPublish final : public PublishFormat {
 public:
    struct Parts {
        std::string_view channel, payload;
    };

    std::size_t size(std::size_t channel_size, std::size_t payload_size) const override {
        return sizeof(std::uint32_t) + channel_size + payload_size;
    }
    void write(char* to, std::string_view prefix, std::string_view channel, std::string_view payload) const override {
        const auto channel_size = static_cast<std::uint32_t>(prefix.size() + channel.size());
        std::memcpy(to, &channel_size, sizeof channel_size);
        put(put(put(to + sizeof channel_size, prefix), channel), payload);
    }
    // What write() has written.
    static Parts read(std::string_view bytes) {
        std::uint32_t channel_size;
        std::memcpy(&channel_size, bytes.data(), sizeof channel_size);
        bytes.remove_prefix(sizeof channel_size);
        return {bytes.substr(0, channel_size), bytes.substr(channel_size)};
    }
};

inline constexpr PlainPublish plain_publish{};

}  // namespace fanwire::core
