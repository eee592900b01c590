// The hash of names that others choose.
#include "core/base/keyed_hash.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace fanwire::core {
namespace {

// Seeds of little and of much, as one cannot know what the system gives.
constexpr std::uint64_t seeds[] = {0, 1, 0x123456789abcdef, 0x123456789abcdef * 77, ~std::uint64_t{0}};
// What an attacker can know: the constants that the hash is made with, and their like.
constexpr std::uint64_t known[] = {
    0x9e3779b97f4a7c15, 0xd6e8feb86659fd93, 0xa0761d6478bd642f, 0x9e3779b97f4a7c15 ^ 0xd6e8feb86659fd93, 0,
    ~std::uint64_t{0}};

std::string bytes_of(std::uint64_t word, std::size_t size = 8) {
    char bytes[8];
    std::memcpy(bytes, &word, 8);
    return {bytes, size};
}

// A factor of zero would leave nothing of the bytes beside it.
TEST(KeyedHash, NoBytesThatAreKnownMakeNamesAlike) {
    for (const std::uint64_t seed : seeds) {
        const KeyedHash hash(seed);
        for (const std::uint64_t word : known) {
            // Beside it, before and behind, in names of two, three and four words; and its first half in short ones.
            for (int form = 0; form < 6; ++form) {
                std::set<std::uint64_t> hashes;
                const int count = 3000;
                for (int i = 0; i < count; ++i) {
                    std::string number = std::to_string(10000000 + i), name;
                    switch (form) {
                        case 0:
                            name = bytes_of(word) + number;
                            break;
                        case 1:
                            name = number + bytes_of(word);
                            break;
                        case 2:
                            name = bytes_of(word) + number + bytes_of(word);
                            break;
                        case 3:
                            name = bytes_of(word) + number + bytes_of(word) + bytes_of(word);
                            break;
                        case 4:
                            name = bytes_of(word) + number.substr(4);
                            break;
                        case 5:
                            name = bytes_of(word, 4) + number.substr(4);
                            break;
                    }
                    hashes.insert(hash(name));
                }
                EXPECT_EQ(hashes.size(), static_cast<std::size_t>(count)) << seed << ' ' << word << ' ' << form;
            }
        }
    }
}

TEST(KeyedHash, DependsOnEveryByteTheSizeTheSeedAndWhatElseThereIs) {
    for (std::size_t size = 0; size < 70; ++size) {
        const std::string name(size, 'x');
        std::set<std::uint64_t> hashes;
        for (const std::uint64_t seed : seeds)
            for (std::uint64_t with = 0; with < 3; ++with) hashes.insert(KeyedHash(seed)(name, with));
        EXPECT_EQ(hashes.size(), std::size(seeds) * 3) << size;
        const KeyedHash hash(7);
        EXPECT_EQ(hash(name), hash(std::string(size, 'x')));
        hashes = {hash(name), hash(name + '\0')};
        for (std::size_t i = 0; i < size; ++i) {
            std::string other = name;
            other[i] = 'y';
            hashes.insert(hash(other));
        }
        EXPECT_EQ(hashes.size(), size + 2);
    }
}

TEST(KeyedHash, SeedsAreOfSixtyFourBitsAndNotTwiceTheSame) {
    std::set<std::uint64_t> all, high, low;
    for (int i = 0; i < 8; ++i) {
        const std::uint64_t seed = random_seed();
        all.insert(seed);
        high.insert(seed >> 32);
        low.insert(seed & 0xffffffff);
    }
    EXPECT_EQ(all.size(), 8u);
    EXPECT_GT(high.size(), 1u);
    EXPECT_GT(low.size(), 1u);
}

}  // namespace
}  // namespace fanwire::core
