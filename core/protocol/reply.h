// Replies of a Redis server, read incrementally from bytes (RESP2,
// https://redis.io/docs/latest/develop/reference/protocol-spec/).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fanwire::core {

enum class ReplyType : std::uint8_t { string, status, error, integer, nil, array };

class ReplyReader;

// One reply, or one element of an array; valid until the reader's next call.
class Reply {
 public:
    ReplyType type() const;
    bool is(ReplyType wanted) const { return type() == wanted; }
    std::int64_t integer() const;           // 0 unless an integer
    std::string_view text() const;          // of strings, statuses and errors; else empty
    std::size_t size() const;               // of arrays; else 0
    Reply operator[](std::size_t i) const;  // takes longer the larger i is

    // The elements in their order, each in the same time.
    class Iterator {
     public:
        Reply operator*() const { return Reply(reader_, node_); }
        Iterator& operator++();
        bool operator!=(const Iterator& other) const { return left_ != other.left_; }

     private:
        friend class Reply;
        Iterator(const ReplyReader* reader, std::size_t node, std::size_t left)
            : reader_(reader), node_(node), left_(left) {}
        const ReplyReader* reader_;
        std::size_t node_, left_;
    };
    Iterator begin() const;
    Iterator end() const { return Iterator(reader_, 0, 0); }

 private:
    friend class ReplyReader;
    Reply(const ReplyReader* reader, std::size_t node) : reader_(reader), node_(node) {}
    const ReplyReader* reader_;
    std::size_t node_;
};

class ReplyReader {
 public:
    enum class Result { reply, more, broken };

    ReplyReader();
    ~ReplyReader();
    ReplyReader(const ReplyReader&) = delete;
    ReplyReader& operator=(const ReplyReader&) = delete;

    // Appends bytes. Give it at most feed_max at a time and take the replies in between: hiredis moves what is left
    // of its buffer after each reply.
    static constexpr std::size_t feed_max = 16 * 1024;
    void feed(std::string_view bytes);

    // Redis's own limit for a string (proto-max-bulk-len may raise it, for nobody's good); for a status, an error or a
    // number, and for the size of something else; for the elements of a reply, those of nested arrays included, unless
    // limit_elements() says otherwise.
    static constexpr std::size_t string_max = std::size_t{512} << 20, line_max = 64 * 1024, elements_max = 4096;
    // A reply of more bytes breaks the stream, as does one that only announces them. Until the next reset(), which
    // leaves room for any string.
    void limit(std::size_t bytes) { limit_ = bytes; }
    // For good. Large Clusters whose slots are in pieces need more than usual: a range of slots with two nodes takes up
    // to 22.
    void limit_elements(std::size_t count) { elements_limit_ = count; }

    // Whether it holds nothing: what is fed next begins a reply.
    bool idle() const;
    // What was fed and belongs to no reply so far: nothing, if one has begun. Valid until the next call that changes
    // it.
    std::string_view unread() const;
    // Forgets that; how many bytes.
    std::size_t drop_unread();
    // Gives back the memory of large replies, when it is idle and what they said has been used up.
    void trim() noexcept;

    Result next();
    // The reply that next() announced.
    Reply reply() const { return Reply(this, 0); }
    // What is wrong, after `broken`; the stream is lost then.
    const std::string& error() const { return error_; }

    // Forgets everything, for a new connection.
    void reset();

 private:
    friend class Reply;
    friend struct ReplyFunctions;
    struct Node {
        ReplyType type;
        std::int64_t integer;         // or the number of elements
        std::size_t text_at;          // into text_; of an array: its last child so far
        std::size_t text_size;        // of an array: how deep it is nested
        std::size_t first_child = 0;  // 0: none (the root is nobody's child)
        std::size_t next_sibling = 0;
    };
    struct Hiredis;
    std::string excess() const;
    // Why a callback made hiredis stop, which it can only report as out of memory.
    enum class Refusal : std::uint8_t { none, memory, elements, nesting };

    std::unique_ptr<Hiredis> hiredis_;
    std::vector<Node> nodes_;
    std::string text_;
    std::string error_;
    Refusal refusal_ = Refusal::none;
    std::size_t fed_ = 0;  // bytes since it was trimmed, and so at least what its buffers hold
    static constexpr std::size_t usual_limit = string_max + line_max;
    std::size_t limit_ = usual_limit;
    std::size_t elements_limit_ = elements_max;
    std::size_t begun_ = 0;  // bytes of the reply under way, and of what was fed behind it
};

// The version of hiredis that this was compiled against, "0.14.1"; static.
const char* hiredis_version();

}  // namespace fanwire::core
