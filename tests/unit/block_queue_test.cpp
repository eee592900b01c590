#include "core/fanout/block_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <vector>

namespace fanwire::core {
namespace {

// Counts those that there are, used or spare.
struct Counted {
    static inline std::size_t alive = 0;
    int value = 0;
    Counted() { ++alive; }
    explicit Counted(int v) : value(v) { ++alive; }
    Counted(const Counted& other) : value(other.value) { ++alive; }
    Counted& operator=(const Counted&) = default;
    ~Counted() { --alive; }
};
using Queue = BlockQueue<Counted, 4, 8>;

void fill_and_empty(Queue& queue, int count) {
    for (int i = 0; i < count; ++i) {
        const Counted value(i);
        ASSERT_EQ(queue.append(&value, 1), 1u);
    }
    for (int i = 0; i < count; ++i) ASSERT_EQ(queue.pop_front().value, i);
    ASSERT_TRUE(queue.empty());
}

TEST(BlockQueue, IsAQueue) {
    Queue queue;
    std::deque<int> expected;
    std::mt19937 random(1);
    for (int i = 0; i < 20000; ++i) {
        const bool grows = (i / 100) % 2 == 0;
        if (expected.empty() || random() % 8 < (grows ? 6u : 2u)) {
            queue.push_back(Counted(i));
            expected.push_back(i);
        } else {
            ASSERT_EQ(queue.pop_front().value, expected.front());
            expected.pop_front();
        }
        ASSERT_EQ(queue.size(), expected.size());
        if (expected.empty()) continue;
        const std::size_t somewhere = random() % expected.size();
        ASSERT_EQ(queue[somewhere].value, expected[somewhere]);
    }
}

TEST(BlockQueue, AppendsAndDropsInRows) {
    Queue queue;
    const std::vector<Counted> values(11, Counted(7));
    ASSERT_EQ(queue.append(values.data(), values.size()), values.size());
    std::size_t rows = 0;
    for (; !queue.empty(); ++rows) {
        EXPECT_EQ(queue.front().value, 7);
        queue.drop(queue.run());
    }
    EXPECT_EQ(rows, 3u);  // 4, 4 and 3
}

TEST(BlockQueue, KeepsWhatItUsedLastAndNoMore) {
    ASSERT_EQ(Counted::alive, 0u);
    {
        Queue queue;
        fill_and_empty(queue, 24);
        EXPECT_EQ(Counted::alive, 24u);  // six blocks, ready for the next burst
        fill_and_empty(queue, 24);
        EXPECT_EQ(Counted::alive, 24u);
        fill_and_empty(queue, 1);
        EXPECT_EQ(Counted::alive, 4u);
        fill_and_empty(queue, 1000);
        EXPECT_EQ(Counted::alive, 32u);                              // at most eight blocks
        for (int i = 0; i < 1000; ++i) queue.push_back(Counted(i));  // what is pushed by itself comes seldom
        while (!queue.empty()) queue.pop_front();
        EXPECT_EQ(Counted::alive, 4u);
        queue.push_back(Counted(1));
        queue.clear();
        EXPECT_EQ(Counted::alive, 0u);
        fill_and_empty(queue, 5);
        queue.push_back(Counted(1));
    }
    EXPECT_EQ(Counted::alive, 0u);
}

// Never empty, it must not keep what it has passed by.
TEST(BlockQueue, KeepsLittleWhileItIsNeverEmpty) {
    Queue queue;
    for (int i = 0; i < 100; ++i) queue.push_back(Counted(i));
    for (int i = 100; i < 100000; ++i) {
        queue.push_back(Counted(i));
        ASSERT_EQ(queue.pop_front().value, i - 100);
    }
    EXPECT_LE(Counted::alive, (100 / 4 + 3) * 4u);
}

}  // namespace
}  // namespace fanwire::core
