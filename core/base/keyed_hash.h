// A hash of bytes that others choose: without the seed nobody can foresee it, nor find bytes whose hashes are alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace fanwire::core {

// A seed from the system, of which nothing else is made. Throws what std::random_device throws.
std::uint64_t random_seed();

class KeyedHash {
 public:
    explicit KeyedHash(std::uint64_t seed)
        : start_(fold(seed ^ 0xa0761d6478bd642f, odd)), mask_(fold(seed ^ 0xd6e8feb86659fd93, odd)) {}

    // `with`: what else it depends on, and of which others choose no more than that it is one of a few.
    std::uint64_t operator()(std::string_view bytes, std::uint64_t with = 0) const {
        std::uint64_t hash = start_;
        const char* at = bytes.data();
        std::size_t left = bytes.size();
        for (; left > 16; at += 16, left -= 16) hash = fold(load(at, 8) ^ mask_, load(at + 8, 8) ^ hash);
        // The last bytes, some of them perhaps again: two loads of a known size cost less than one of an unknown.
        if (left >= 8)
            hash = fold(load(at, 8) ^ mask_, load(at + left - 8, 8) ^ hash);
        else if (left >= 4)
            hash = fold(load(at, 4) ^ mask_, load(at + left - 4, 4) ^ hash);
        else
            hash = fold(load(at, left) ^ mask_, hash);
        // Not where bytes could make up for it.
        return fold(hash ^ with * odd, odd ^ bytes.size());
    }

 private:
    static constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
    __extension__ using Wide = unsigned __int128;

    // Both halves of the product, folded: no difference of two inputs survives it at a place that can be foreseen
    // without the seed. But a factor of zero leaves nothing of the other: both depend on the seed wherever bytes are
    // chosen.
    static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
        const Wide product = static_cast<Wide>(a) * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }
    static std::uint64_t load(const char* bytes, std::size_t size) {
        std::uint64_t word = 0;
        if (size > 0) std::memcpy(&word, bytes, size);
        return word;
    }

    std::uint64_t start_, mask_;  // secret both
};

}  // namespace fanwire::core
