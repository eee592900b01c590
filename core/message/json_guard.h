// Takes the keys "__proto__", "constructor" and "prototype" out of JSON before a JavaScript program parses it: merged
// into another object there, they change what all objects inherit (CWE-1321, prototype pollution).
//
// Valid JSON (RFC 8259, which is what JSON.parse takes; after a byte order mark, too) loses each member of such a key,
// at any depth and however the key is spelled (JSON can write any of its characters as \uXXXX), with its value and one
// comma. All other bytes stay, and what is left is valid JSON. Strings that are not keys stay. What is not valid JSON
// stays byte for byte: JSON.parse refuses it anyhow.
//
// Bytes need not be UTF-8. A decoder (WHATWG's, Node's, Python's) turns each ASCII byte into its character whatever
// stands around it, and bytes above 0x7f into characters above U+007F, one or several or, for a byte order mark at the
// very beginning, none. Such characters are no part of JSON's syntax and are allowed in any string; and the three keys
// and all their spellings are ASCII. So no decoder can make a key, or valid JSON, out of bytes that are none here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fanwire::core {

// True: there certainly is no such key. One pass over the bytes, no allocation. False: there may be one.
bool json_certainly_clean(std::string_view text);

class JsonGuard {
 public:
    // Looks at `text`, which must outlive this: one pass if it is certainly clean, else two. Memory beyond that: two
    // bits for each open bracket, none of it from the heap up to a depth of 2048. There is no limit of depth, as
    // JSON.parse has none. Throws std::bad_alloc.
    explicit JsonGuard(std::string_view text);

    // Whether there is something to take out.
    bool changes() const { return size_ < text_.size(); }
    // How many bytes stay.
    std::size_t size() const { return size_; }

    // Writes what stays to `out`, which has room for size() bytes and may be where the text itself begins. Only if
    // there is something to take out.
    void write(char* out) noexcept;

 private:
    std::string_view text_;
    std::size_t size_;
    std::vector<std::uint64_t> deep_brackets_;  // kept, so that write() allocates nothing
};

}  // namespace fanwire::core
