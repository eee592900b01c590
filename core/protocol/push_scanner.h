// Reads what nearly all bytes of a subscribed link are, ["message", channel, payload] and ["pmessage", pattern, channel,
// payload], and when many names are subscribed their acknowledgements, in place and without the reply reader. What is not exactly one of these, as Redis writes them, is left to the
// reader, which stays the only judge of what is wrong.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/message/target.h"

namespace fanwire::core {

struct PushFrame {
    TargetKind kind = TargetKind::channel;
    std::string_view target;  // the channel or the pattern
    std::string_view channel, payload;
    std::size_t size = 0;  // of the whole frame; of a part of one: the same once that is known, else 0
};

enum class PushScan { message, partial, other };

// Whether the bytes begin like a message, for certain.
bool begins_push(std::string_view bytes);

// The frame at the front of `bytes`; `partial` when all of them are the beginning of one.
PushScan scan_push(std::string_view bytes, PushFrame& frame);

// ["subscribe", channel, count] and the like: what was said of which name.
struct Acknowledgement {
    bool subscribed = false;
    TargetKind kind = TargetKind::channel;
    std::string_view name;
    std::size_t size = 0;  // of the whole
};

// The acknowledgement at the front of `bytes`. False: what is there is something else, or not the whole of one.
bool scan_acknowledgement(std::string_view bytes, Acknowledgement& acknowledgement);

// The frames of a stream, whatever the pieces it comes in.
class PushScanner {
   public:
    static constexpr std::size_t frames_max = 16;

    // Calls `take` with the whole frames, up to frames_max at once; it returns how many of them it has taken, and when
    // those are not all, that is the end. The views are valid during the call. Returns how many bytes it has used: part of
    // a frame at their end is kept. Throws std::bad_alloc.
    template <class Take>
    std::size_t scan(std::string_view bytes, Take&& take) {
        std::array<PushFrame, frames_max> frames;
        std::size_t used = 0;
        while (used < bytes.size() && !other_) {
            if (!kept_.empty()) {
                std::size_t added = 0;
                const bool whole = complete(bytes.substr(used), frames[0], added);
                used += added;
                if (!whole) continue;
                const std::size_t taken = take(std::span<const PushFrame>(frames.data(), 1));
                forget();
                if (taken == 0) break;
                continue;
            }
            PushScan found = PushScan::message;
            std::size_t count = 0;
            for (std::size_t at = used; count < frames_max && at < bytes.size(); at += frames[count++].size) {
                found = scan_push(bytes.substr(at), frames[count]);
                if (found != PushScan::message) break;
            }
            const std::size_t taken = count > 0 ? take(std::span<const PushFrame>(frames.data(), count)) : 0;
            for (std::size_t i = 0; i < taken; ++i) used += frames[i].size;
            if (taken < count || found == PushScan::other) break;
            if (found == PushScan::partial) {
                keep(bytes.substr(used), frames[count]);
                return bytes.size();
            }
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
