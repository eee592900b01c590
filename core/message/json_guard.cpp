#include "core/message/json_guard.h"

#include <array>
#include <cstring>
#include <utility>

namespace fanwire::core {

namespace {

constexpr std::array<std::string_view, 3> quoted_keys = {"\"__proto__\"", "\"constructor\"", "\"prototype\""};
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The value of a hexadecimal digit, or -1.
int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// ---- The scan --------------------------------------------------------------------------------------------

// A key either is one of quoted_keys, byte for byte, or has an escape; and the only escapes of its characters (all are
// within U+005F..U+0079) begin with \u005, \u006 or \u007. Candidates are what few other texts have: "roto" or "ucto",
// and "\u00".
constexpr std::size_t candidate_size = 4;

// Whether there may be a key where a candidate begins.
bool may_be_key(std::string_view text, std::size_t at) {
    const auto stands = [&](std::string_view key, const char* candidate) {
        const std::size_t behind = key.find(candidate);
        return at >= behind && text.substr(at - behind, key.size()) == key;
    };
    switch (text[at]) {
        case 'r':
            return stands(quoted_keys[0], "roto") || stands(quoted_keys[2], "roto");
        case 'u':
            return stands(quoted_keys[1], "ucto");
        default:
            return at + 4 < text.size() && text[at + 4] >= '5' && text[at + 4] <= '7';
    }
}

// Sixteen bytes at once; GCC and Clang make SSE2 or NEON of it.
using Block = std::uint8_t __attribute__((vector_size(16)));
using Mask = std::int8_t __attribute__((vector_size(16)));
using Words = std::uint64_t __attribute__((vector_size(16)));
constexpr std::size_t block_size = sizeof(Block);

Block load(const char* from) {
    Block block;
    std::memcpy(&block, from, sizeof block);
    return block;
}

// Whether a key may begin at, or around, one of the bytes text[at] to text[at + 15].
bool block_may_have_key(std::string_view text, std::size_t at) {
    const char* const from = text.data() + at;
    const Block first = load(from), second = load(from + 1), third = load(from + 2), fourth = load(from + 3);
    const Mask word =
        (((first == 'r') & (second == 'o')) | ((first == 'u') & (second == 'c'))) & (third == 't') & (fourth == 'o');
    const Mask escape = (first == '\\') & (second == 'u') & (third == '0') & (fourth == '0');
    const Mask candidates = word | escape;
    const Words both = reinterpret_cast<Words>(candidates);
    if ((both[0] | both[1]) == 0) return false;
    for (std::size_t i = 0; i < block_size; ++i)
        if (candidates[i] != 0 && may_be_key(text, at + i)) return true;
    return false;
}

// ---- The parser ------------------------------------------------------------------------------------------

// For each open bracket two bits: is it an object's, and has that object a member that stays?
class Brackets {
 public:
    explicit Brackets(std::vector<std::uint64_t>& deep) : deep_(deep) { deep_.clear(); }

    bool empty() const { return depth_ == 0; }
    std::size_t depth() const { return depth_; }
    bool in_object() const { return (top() & 1) != 0; }
    bool keeps_a_member() const { return (top() & 2) != 0; }

    void push(bool object) {
        if (depth_ / per_word >= inline_words && depth_ % per_word == 0) deep_.push_back(0);
        ++depth_;
        word() = (word() & ~(std::uint64_t{3} << shift())) | (std::uint64_t{object} << shift());
    }
    void pop() {
        --depth_;
        if (depth_ / per_word >= inline_words && depth_ % per_word == 0) deep_.pop_back();
    }
    void keep_a_member() { word() |= std::uint64_t{2} << shift(); }

 private:
    static constexpr std::size_t per_word = 32, inline_words = 64;

    std::size_t shift() const { return (depth_ - 1) % per_word * 2; }
    std::uint64_t& word() {
        const std::size_t at = (depth_ - 1) / per_word;
        return at < inline_words ? shallow_[at] : deep_[at - inline_words];
    }
    std::uint64_t top() const { return const_cast<Brackets*>(this)->word() >> shift(); }

    std::size_t depth_ = 0;
    std::uint64_t shallow_[inline_words] = {};
    std::vector<std::uint64_t>& deep_;  // what does not fit there
};

// Whether the inside of a string is one of the keys once its escapes are read.
bool is_forbidden(std::string_view inside) {
    for (const std::string_view quoted : quoted_keys) {
        const std::string_view key = quoted.substr(1, quoted.size() - 2);
        std::size_t at = 0, matched = 0;
        for (; at < inside.size() && matched < key.size(); ++matched) {
            int code = static_cast<unsigned char>(inside[at]);
            std::size_t size = 1;
            if (code == '\\') {
                if (inside[at + 1] != 'u') break;  // stands for no character of the keys
                code = 0;
                for (std::size_t digit = 2; digit < 6; ++digit) code = code * 16 + hex_value(inside[at + digit]);
                size = 6;
            }
            if (code != key[matched]) break;
            at += size;
        }
        if (at == inside.size() && matched == key.size()) return true;
    }
    return false;
}

// Walks through a text and tells cut(from, to), in ascending order and without overlap, what has to go. Does not call
// itself, so that no depth is too deep.
template <class Cut>
class Walk {
 public:
    Walk(std::string_view text, std::vector<std::uint64_t>& deep_brackets, Cut cut)
        : end_(text.data() + text.size()), at_(text.data()), cut_(std::move(cut)), brackets_(deep_brackets) {}

    // False if the text is not JSON; what was said of it before means nothing then.
    bool run() {
        skip_space();
        if (!value()) return false;
        while (!brackets_.empty()) {
            skip_space();
            if (at_ == end_) return false;
            const bool ended = *at_ == (brackets_.in_object() ? '}' : ']');
            member_ended(!ended && *at_ == ',');
            if (ended) {
                ++at_;
                brackets_.pop();
                value_end_ = at_;
                continue;
            }
            if (*at_ != ',') return false;
            comma_ = at_++;
            skip_space();
            if (brackets_.in_object() && !key(false)) return false;
            if (!value()) return false;
        }
        skip_space();
        return at_ == end_;
    }

 private:
    void skip_space() {
        while (at_ != end_ && is_space(*at_)) ++at_;
    }

    // One scalar, or all brackets that open here with the keys between them, up to the first scalar or closing bracket.
    bool value() {
        for (;;) {
            if (at_ == end_) return false;
            const char first = *at_;
            if (first != '{' && first != '[') {
                if (!scalar(first)) return false;
                value_end_ = at_;
                return true;
            }
            const bool object = first == '{';
            brackets_.push(object);
            ++at_;
            skip_space();
            if (at_ == end_) return false;
            if (*at_ == (object ? '}' : ']')) {
                ++at_;
                brackets_.pop();
                value_end_ = at_;
                return true;
            }
            if (object && !key(true)) return false;
        }
    }

    bool scalar(char first) {
        switch (first) {
            case '"':
                return string();
            case 't':
                return literal("true");
            case 'f':
                return literal("false");
            case 'n':
                return literal("null");
            default:
                return number();
        }
    }

    // A key, its colon, and the space before the value.
    bool key(bool first) {
        const char* const start = at_;
        if (at_ == end_ || *at_ != '"' || !string()) return false;
        if (!cutting_) {
            if (!is_forbidden({start + 1, static_cast<std::size_t>(at_ - start) - 2})) {
                brackets_.keep_a_member();
            } else {
                cutting_ = brackets_.depth();
                cut_with_comma_before_ = !first && brackets_.keeps_a_member();
                cut_from_ = cut_with_comma_before_ ? comma_ : start;
            }
        }
        skip_space();
        if (at_ == end_ || *at_ != ':') return false;
        ++at_;
        skip_space();
        return true;
    }

    // A value has ended at value_end_, and what follows stands at at_. A member goes with the comma before it when one
    // before it stays, else with the comma behind it.
    void member_ended(bool comma_follows) {
        if (cutting_ != brackets_.depth()) return;
        cutting_ = 0;
        cut_(cut_from_, comma_follows && !cut_with_comma_before_ ? at_ + 1 : value_end_);
    }

    bool string() {
        for (++at_; at_ != end_; ++at_) {
            const auto c = static_cast<unsigned char>(*at_);
            if (c == '"') {
                ++at_;
                return true;
            }
            if (c < 0x20) return false;
            if (c == '\\' && !escape()) return false;
        }
        return false;
    }

    // Moves to the escape's last character.
    bool escape() {
        if (++at_ == end_) return false;
        if (*at_ != 'u') return std::string_view("\"\\/bfnrt").find(*at_) != std::string_view::npos;
        if (end_ - at_ < 5) return false;
        for (int digit = 0; digit < 4; ++digit)
            if (hex_value(*++at_) < 0) return false;
        return true;
    }

    bool literal(std::string_view word) {
        if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word)) return false;
        at_ += word.size();
        return true;
    }

    bool digits() {
        const char* const start = at_;
        while (at_ != end_ && is_digit(*at_)) ++at_;
        return at_ != start;
    }

    bool number() {
        if (*at_ == '-') ++at_;
        if (at_ != end_ && *at_ == '0')
            ++at_;
        else if (!digits())
            return false;
        if (at_ != end_ && *at_ == '.') {
            ++at_;
            if (!digits()) return false;
        }
        if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
            ++at_;
            if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
            if (!digits()) return false;
        }
        return true;
    }

    const char* const end_;
    const char* at_;
    Cut cut_;
    Brackets brackets_;
    const char* comma_ = nullptr;      // the last one read
    const char* value_end_ = nullptr;  // of the last value read
    std::size_t cutting_ = 0;          // the depth of the object whose member is being cut; 0: none is
    const char* cut_from_ = nullptr;
    bool cut_with_comma_before_ = false;
};

// The text behind its byte order mark. TextDecoder drops that, so a browser may well parse what follows it.
std::string_view without_mark(std::string_view text) {
    return text.starts_with(byte_order_mark) ? text.substr(byte_order_mark.size()) : text;
}

// Only objects and arrays can have keys in them: most text that is not JSON need not be looked at any further.
bool opens_bracket(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size() && is_space(text[at])) ++at;
    return at < text.size() && (text[at] == '{' || text[at] == '[');
}

}  // namespace

bool json_certainly_clean(std::string_view text) {
    constexpr std::size_t needed = block_size + candidate_size - 1;
    if (text.size() < needed) {
        if (text.size() < candidate_size) return true;
        char padded[needed] = {};
        std::memcpy(padded, text.data(), text.size());
        return !block_may_have_key({padded, needed}, 0);
    }
    // The last block ends with the text, whatever it shares with the one before it.
    const std::size_t last = text.size() - needed;
    for (std::size_t at = 0; at < last; at += block_size)
        if (block_may_have_key(text, at)) return false;
    return !block_may_have_key(text, last);
}

JsonGuard::JsonGuard(std::string_view text) : text_(text), size_(text.size()) {
    const std::string_view json = without_mark(text);
    if (!opens_bracket(json) || json_certainly_clean(json)) return;
    std::size_t cut_size = 0;
    const auto count = [&](const char* from, const char* to) { cut_size += static_cast<std::size_t>(to - from); };
    if (Walk(json, deep_brackets_, count).run()) size_ -= cut_size;
}

void JsonGuard::write(char* out) noexcept {
    const char* kept = text_.data();  // what is not written yet begins here
    const auto write_until = [&](const char* to) {
        const auto size = static_cast<std::size_t>(to - kept);
        std::memmove(out, kept, size);  // never beyond `to`: what is still to be read stays as it is
        out += size;
    };
    const auto cut = [&](const char* from, const char* to) {
        write_until(from);
        kept = to;
    };
    Walk(without_mark(text_), deep_brackets_, cut).run();
    write_until(text_.data() + text_.size());
}

}  // namespace fanwire::core
