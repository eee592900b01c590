// Reads what nearly all bytes of a subscribed link are, ["message", channel, payload] and ["pmessage", pattern,
// channel, payload], and when many names are subscribed their acknowledgements, in place and without the reply reader.
// What is not exactly one of these, as Redis writes them, is left to the reader, which stays the only judge of what is
// wrong.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/message/message.h"
#include "core/message/target.h"

namespace fanwire::core {

struct PushFrame {
    TargetKind kind = TargetKind::channel;
    std::string_view name;  // the channel or the pattern
    std::string_view channel, payload;
    Message* storage =
        nullptr;  // in which the payload lies, with a NUL behind it, and may be kept; null: it has to be copied
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
//
// A large frame that comes in parts is collected in a message, of which the one that is delivered becomes a part: its
// payload is copied once, and what is received into room() not even that.
class PushScanner {
 public:
    static constexpr std::size_t frames_max = 16;
    static constexpr std::size_t large_min = std::size_t{16} << 10;

    // `pool`: for the memory of large frames.
    explicit PushScanner(MessagePool* pool = nullptr) : pool_(pool) {}

    // Where the next bytes of a large frame belong; empty: there is none under way, or not much of it is missing. Bytes
    // that are written there, from its beginning on, and then given to scan() need not be copied. Throws
    // std::bad_alloc.
    std::span<char> room();

    // Calls `take` with the whole frames, up to frames_max at once; it returns how many of them it has taken, and when
    // those are not all, that is the end. The views are valid during the call. Returns how many bytes it has used: part
    // of a frame at their end is kept. Throws std::bad_alloc.
    template <class Take>
    std::size_t scan(std::string_view bytes, Take&& take) {
        std::array<PushFrame, frames_max> frames;
        std::size_t used = 0;
        while (used < bytes.size() && !other_) {
            if (partial()) {
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
    bool partial() const { return !kept().empty(); }
    // What was kept and has turned out not to be part of a message: it comes before the bytes that scan() has not used,
    // and scan() uses none until it is forgotten.
    std::string_view left() const { return other_ ? kept() : std::string_view(); }
    void forget();

 private:
    std::string_view kept() const { return large_ ? std::string_view(large_->space(), filled_) : kept_; }
    bool complete(std::string_view bytes, PushFrame& frame, std::size_t& taken);
    void keep(std::string_view bytes, const PushFrame& frame);
    void add(std::string_view bytes);
    void become_large();
    void make_room();

    MessagePool* const pool_;
    std::string kept_;
    MessageRef large_;        // instead of kept_, when the frame is large
    std::size_t filled_ = 0;  // of large_
    std::size_t size_ = 0;    // of the frame that is kept in part; 0: not known yet
    bool other_ = false;
};

}  // namespace fanwire::core
