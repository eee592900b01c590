// Holes and duplicates in what publishers count.
#include "core/message/sequences.h"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <random>
#include <set>
#include <utility>

namespace fanwire::core {
namespace {

using Kind = Sequences::Kind;

Envelope counted(int publisher, std::uint64_t sequence) {
    Envelope envelope;
    envelope.publisher.fill(static_cast<unsigned char>(publisher));
    envelope.sequence = sequence;
    return envelope;
}

class Listener {
 public:
    explicit Listener(std::size_t max) : sequences(max, 1) {}
    Kind hear(int publisher, std::uint64_t sequence, std::uint64_t channel = 1) {
        const Sequences::Heard heard = sequences.hear(channel, counted(publisher, sequence));
        missing = heard.missing;
        return heard.kind;
    }
    Sequences sequences;
    std::uint64_t missing = 0;
};

TEST(Sequences, CountWhatIsMissing) {
    Listener to(8);
    EXPECT_EQ(Kind::first, to.hear(1, 5)) << "what was before is not known";
    EXPECT_EQ(Kind::next, to.hear(1, 6));
    EXPECT_EQ(Kind::gap, to.hear(1, 10));
    EXPECT_EQ(3u, to.missing);
    EXPECT_EQ(Kind::next, to.hear(1, 11));
    EXPECT_EQ(Kind::gap, to.hear(1, Envelope::number_max));
    EXPECT_EQ(Envelope::number_max - 12, to.missing);
}

TEST(Sequences, KnowWhatHasComeBefore) {
    Listener to(8);
    to.hear(1, 5);
    to.hear(1, 7);
    EXPECT_EQ(Kind::duplicate, to.hear(1, 7));
    EXPECT_EQ(Kind::duplicate, to.hear(1, 5));
    EXPECT_EQ(Kind::duplicate, to.hear(1, 4)) << "before the first";
    EXPECT_EQ(Kind::late, to.hear(1, 6));
    EXPECT_EQ(Kind::duplicate, to.hear(1, 6));
    EXPECT_EQ(Kind::next, to.hear(1, 8));
}

TEST(Sequences, RememberTheLast64) {
    for (const std::uint64_t step : {63u, 64u, 65u, 66u, 200u}) {
        SCOPED_TRACE(step);
        Listener to(8);
        to.hear(1, 1000);
        EXPECT_EQ(Kind::gap, to.hear(1, 1000 + step));
        EXPECT_EQ(step - 1, to.missing);
        EXPECT_EQ(Kind::duplicate, to.hear(1, 1000));
        EXPECT_EQ(step - 1 <= 64 ? Kind::late : Kind::duplicate, to.hear(1, 1001));
        EXPECT_EQ(Kind::late, to.hear(1, 1000 + step - 1));
    }
}

TEST(Sequences, KeepPublishersAndChannelsApart) {
    Listener to(8);
    to.hear(1, 5, 1);
    EXPECT_EQ(Kind::first, to.hear(2, 50, 1));
    EXPECT_EQ(Kind::first, to.hear(1, 500, 2));
    EXPECT_EQ(Kind::next, to.hear(1, 6, 1));
    EXPECT_EQ(Kind::next, to.hear(2, 51, 1));
    EXPECT_EQ(Kind::next, to.hear(1, 501, 2));
}

TEST(Sequences, PassWhatIsNotCounted) {
    Listener to(8);
    EXPECT_EQ(Kind::uncounted, to.hear(1, 0));
    EXPECT_EQ(0u, to.sequences.size());
}

TEST(Sequences, ForgetWhoWasSilentForLongest) {
    Listener to(2);
    to.hear(1, 1);
    to.hear(2, 1);
    to.hear(1, 2);
    EXPECT_EQ(Kind::first, to.hear(3, 1));
    EXPECT_EQ(2u, to.sequences.size());
    EXPECT_EQ(1u, to.sequences.forgotten());
    EXPECT_EQ(Kind::next, to.hear(1, 3));
    EXPECT_EQ(Kind::first, to.hear(2, 7)) << "that one was forgotten";
    EXPECT_EQ(2u, to.sequences.forgotten());
    EXPECT_EQ(Kind::first, to.hear(3, 2)) << "then the one of the third";
}

// Against a listener that keeps everything it has heard.
TEST(Sequences, AreExactWhateverComes) {
    struct Known {
        std::uint64_t first = 0, last = 0;
        std::set<std::uint64_t> heard;
    };
    for (unsigned seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        const std::size_t max = 1 + random() % 6;
        Listener to(max);
        std::map<std::pair<int, std::uint64_t>, Known> model;
        std::list<std::pair<int, std::uint64_t>> spoken;  // the last one first
        for (int i = 0; i < 400; ++i) {
            const int publisher = static_cast<int>(random() % 4);
            const std::uint64_t channel = random() % 2;
            const std::pair key(publisher, channel);
            const bool known = model.contains(key);
            Known& one = model[key];
            const std::uint64_t around = known ? one.last : 1000;
            const std::uint64_t step = random() % 8 == 0 ? random() % 150 : random() % 4;
            const std::uint64_t sequence = random() % 3 == 0 ? around - step : around + step;
            Kind expected = Kind::next;
            std::uint64_t missing = 0;
            if (!known) {
                expected = Kind::first;
                one.first = one.last = sequence;
            } else if (sequence > one.last) {
                missing = sequence - one.last - 1;
                if (missing > 0) expected = Kind::gap;
                one.last = sequence;
            } else if (sequence < one.first || one.last - sequence > 64 || one.heard.contains(sequence)) {
                expected = Kind::duplicate;
            } else {
                expected = Kind::late;
            }
            one.heard.insert(sequence);
            spoken.remove(key);
            spoken.push_front(key);
            if (spoken.size() > max) {
                model.erase(spoken.back());
                spoken.pop_back();
            }
            ASSERT_EQ(expected, to.hear(publisher, sequence, channel));
            ASSERT_EQ(missing, to.missing);
            ASSERT_EQ(model.size(), to.sequences.size());
        }
    }
}

}  // namespace
}  // namespace fanwire::core
