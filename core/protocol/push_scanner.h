// Reads what nearly all bytes of a subscribed link are, ["message", channel, payload] and ["pmessage", pattern, channel,
// payload], in place and without the reply reader. What is not exactly one of these, as Redis writes them, is left to the
// reader, which stays the only judge of what is wrong.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fanwire::core {

struct PushFrame {
    bool by_pattern = false;
    std::string_view target;  // the channel or the pattern
    std::string_view channel, payload;
    std::size_t size = 0;  // of the whole frame; of a part of one: the same once that is known, else 0
};

enum class PushScan { message, partial, other };

// Whether the bytes begin like a message, for certain.
bool begins_push(std::string_view bytes);

// The frame at the front of `bytes`; `partial` when all of them are the beginning of one.
PushScan scan_push(std::string_view bytes, PushFrame& frame);

// The frames of a stream, whatever the pieces it comes in.
class PushScanner {
   public:
    // Calls `message` with each whole frame, until it returns false; its views are valid during the call. Returns how
    // many bytes it has used: part of a frame at their end is kept. Throws std::bad_alloc.
    template <class Message>
    std::size_t scan(std::string_view bytes, Message&& message) {
        std::size_t used = 0;
        PushFrame frame;
        while (used < bytes.size() && !other_) {
            const std::string_view rest = bytes.substr(used);
            if (!kept_.empty()) {
                std::size_t taken = 0;
                const bool whole = complete(rest, frame, taken);
                used += taken;
                if (!whole) continue;
                const bool go_on = message(frame);
                forget();
                if (!go_on) break;
                continue;
            }
            const PushScan found = scan_push(rest, frame);
            if (found == PushScan::other) break;
            if (found == PushScan::partial) {
                keep(rest, frame);
                return bytes.size();
            }
            used += frame.size;
            if (!message(frame)) break;
        }
        return used;
    }

    // Whether part of a frame is kept.
    bool partial() const { return !kept_.empty(); }
    // What was kept and has turned out not to be part of a message: it comes before the bytes that scan() has not used,
    // and scan() uses none until it is forgotten.
    std::string_view left() const { return other_ ? std::string_view(kept_) : std::string_view(); }
    void forget();

   private:
    bool complete(std::string_view bytes, PushFrame& frame, std::size_t& taken);
    void keep(std::string_view bytes, const PushFrame& frame);

    std::string kept_;
    std::size_t size_ = 0;  // of the frame that kept_ is the beginning of; 0: not known yet
    bool other_ = false;
};

}  // namespace fanwire::core
