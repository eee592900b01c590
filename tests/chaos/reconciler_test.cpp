// The judge is judged: streams with one fault each, which it must find, and faultless ones, which it must let pass.
#include "tests/chaos/reconciler.h"

#include <gtest/gtest.h>

namespace fanwire::chaos {
namespace {

class Reconciler : public testing::Test {
 protected:
    // Publishes `count` messages of stream 0 with this fate.
    void publish(Number count, Fate fate = Fate::sent) {
        while (count-- > 0) ledger.settle(0, ledger.take(0), fate);
    }
    void sees(std::initializer_list<Number> numbers, Witness& by) {
        for (const Number number : numbers) by.message(0, number);
    }
    std::uint64_t found(Violation violation) const { return violations.count(violation); }
    void judge(Witness& each) {
        ledger.judge();
        each.judge(true);
    }

    Violations violations;
    Ledger ledger{2, violations};
    Witness strict{"strict", {0}, true, ledger, violations}, slow{"slow", {0}, false, ledger, violations};
};

TEST_F(Reconciler, AFaultlessStream) {
    publish(3);  // before it is confirmed: need not arrive
    strict.active();
    publish(3);
    sees({3, 4, 5}, strict);
    strict.lost();
    publish(2);
    strict.failed();
    strict.gap_unknown();
    strict.resumed();
    publish(2, Fate::unsent);
    publish(2, Fate::unknown);
    publish(1);
    sees({11, 12}, strict);
    strict.ended();
    judge(strict);
    EXPECT_EQ(violations.total(), 0u) << violations.texts()[0];
}

TEST_F(Reconciler, SilentLoss) {
    strict.active();
    publish(3);
    sees({0, 2}, strict);
    judge(strict);
    EXPECT_EQ(found(Violation::silent_loss), 1u);
}

TEST_F(Reconciler, AGapDoesNotExcuseWhatCameAfterIt) {
    strict.active();
    strict.lost();
    publish(2);
    strict.gap_unknown();
    strict.resumed();
    publish(3);
    sees({3, 4}, strict);  // 0 and 1 are excused, 2 is not
    judge(strict);
    EXPECT_EQ(found(Violation::silent_loss), 1u);
    EXPECT_EQ(violations.total(), 1u);
}

TEST_F(Reconciler, AGapDoesNotExcuseWhatCameBeforeTheMessageInFrontOfIt) {
    strict.active();
    publish(3);
    sees({0, 2}, strict);
    strict.lost();
    strict.gap_unknown();
    strict.resumed();
    publish(1);
    sees({3}, strict);
    judge(strict);
    EXPECT_EQ(found(Violation::silent_loss), 1u);
}

TEST_F(Reconciler, DuplicateAndReordered) {
    strict.active();
    publish(4);
    sees({0, 3, 3, 1}, strict);
    judge(strict);
    EXPECT_EQ(found(Violation::duplicate), 1u);
    EXPECT_EQ(found(Violation::reordered), 1u);
}

TEST_F(Reconciler, OfUnknownOutcomeMayComeLateButOnce) {
    strict.active();
    publish(1);
    publish(2, Fate::unknown);
    publish(1);
    sees({0, 3, 1}, strict);
    judge(strict);
    EXPECT_EQ(violations.total(), 0u);
    sees({1}, strict);
    EXPECT_EQ(found(Violation::duplicate), 1u);
}

TEST_F(Reconciler, ArrivedThoughNotSent) {
    strict.active();
    publish(1, Fate::unsent);
    sees({0}, strict);
    judge(strict);
    EXPECT_EQ(found(Violation::never_sent), 1u);
}

TEST_F(Reconciler, CountsAddUp) {
    slow.active();
    publish(10);
    slow.gap_counted(2);
    sees({2, 3}, slow);
    slow.gap_counted(3);
    sees({7}, slow);
    slow.gap_counted(1);
    sees({9}, slow);
    judge(slow);
    EXPECT_EQ(violations.total(), 0u) << violations.texts()[0];
}

TEST_F(Reconciler, ACountThatIsTooSmall) {
    slow.active();
    publish(6);
    sees({0, 1}, slow);
    slow.gap_counted(2);
    sees({5}, slow);
    judge(slow);
    EXPECT_EQ(found(Violation::wrong_count), 1u);
}

TEST_F(Reconciler, ACountThatIsTooLarge) {
    slow.active();
    publish(6);
    sees({0, 1}, slow);
    slow.gap_counted(4);
    sees({5}, slow);
    judge(slow);
    EXPECT_EQ(found(Violation::wrong_count), 1u);
}

TEST_F(Reconciler, ACountInTheWrongPlace) {
    slow.active();
    publish(4);
    sees({0, 2}, slow);  // 1 is missing here
    slow.gap_counted(1);
    sees({3}, slow);
    judge(slow);
    EXPECT_EQ(found(Violation::silent_loss), 1u);
}

TEST_F(Reconciler, Outcomes) {
    ledger.take(0);  // never settled
    publish(1);
    ledger.settle(0, 1, Fate::sent);
    ledger.judge();
    EXPECT_EQ(found(Violation::outcomes), 2u);
}

TEST_F(Reconciler, EventsOutOfPlace) {
    publish(1);
    sees({0}, strict);  // before ACTIVE
    strict.active();
    strict.resumed();       // without LOST
    strict.gap_counted(1);  // its inbox was never full
    strict.message(1, 0);   // of a channel that it did not ask for
    EXPECT_EQ(found(Violation::wrong_event), 4u);
    strict.lost();
    sees({0}, strict);
    EXPECT_EQ(found(Violation::wrong_event), 5u);
}

}  // namespace
}  // namespace fanwire::chaos
