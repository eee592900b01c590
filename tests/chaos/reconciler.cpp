#include "tests/chaos/reconciler.h"

#include <algorithm>

namespace fanwire::chaos {

namespace {
constexpr std::uint8_t arrived_bit = 0x80;
constexpr std::size_t texts_max = 30;
Fate fate_of(std::uint8_t byte) {
    return static_cast<Fate>(byte & ~arrived_bit);
}
}  // namespace

const char* name_of(Violation violation) {
    switch (violation) {
        case Violation::silent_loss:
            return "silent losses";
        case Violation::duplicate:
            return "duplicates";
        case Violation::reordered:
            return "reordered";
        case Violation::never_sent:
            return "arrived, though reported as not sent";
        case Violation::wrong_count:
            return "gaps with a wrong count";
        case Violation::wrong_event:
            return "events out of place";
        case Violation::outcomes:
            return "publishes without exactly one outcome";
        case Violation::not_recovered:
            return "not recovered";
        case Violation::count:
            break;
    }
    return "";
}

void Violations::add(Violation violation, const std::string& text) {
    std::lock_guard lock(mutex_);
    ++counts_[static_cast<std::size_t>(violation)];
    if (texts_.size() < texts_max) texts_.push_back(std::string(name_of(violation)) + ": " + text);
}

std::uint64_t Violations::count(Violation violation) const {
    std::lock_guard lock(mutex_);
    return counts_[static_cast<std::size_t>(violation)];
}

std::uint64_t Violations::total() const {
    std::lock_guard lock(mutex_);
    std::uint64_t total = 0;
    for (const std::uint64_t count : counts_) total += count;
    return total;
}

std::vector<std::string> Violations::texts() const {
    std::lock_guard lock(mutex_);
    return texts_;
}

// ---- What was published ----------------------------------------------------------------------------------

Ledger::Ledger(std::size_t streams, Violations& violations) : violations_(violations) {
    for (std::size_t i = 0; i < streams; ++i) streams_.push_back(std::make_unique<Stream>());
}

Number Ledger::take(StreamId id) {
    Stream& stream = *streams_[id];
    std::lock_guard lock(stream.mutex);
    ++stream.pending;
    stream.fates.push_back(static_cast<std::uint8_t>(Fate::pending));
    return static_cast<Number>(stream.fates.size() - 1);
}

void Ledger::settle(StreamId id, Number number, Fate fate) {
    Stream& stream = *streams_[id];
    std::lock_guard lock(stream.mutex);
    if (number >= stream.fates.size() || fate_of(stream.fates[number]) != Fate::pending)
        return violations_.add(Violation::outcomes,
                               "a second outcome for " + std::to_string(id) + ":" + std::to_string(number));
    --stream.pending;
    stream.fates[number] =
        static_cast<std::uint8_t>((stream.fates[number] & arrived_bit) | static_cast<std::uint8_t>(fate));
}

void Ledger::arrived(StreamId id, Number number) {
    Stream& stream = *streams_[id];
    std::lock_guard lock(stream.mutex);
    if (number < stream.fates.size()) {
        stream.fates[number] |= arrived_bit;
        return;
    }
    violations_.add(Violation::wrong_event, "nobody published " + std::to_string(id) + ":" + std::to_string(number));
}

std::vector<Number> Ledger::positions() const {
    std::vector<Number> all;
    all.reserve(streams_.size());
    for (const auto& stream : streams_) {
        std::lock_guard lock(stream->mutex);
        all.push_back(static_cast<Number>(stream->fates.size()));
    }
    return all;
}

Ledger::Sum Ledger::sum(StreamId id, Number first, Number end) const {
    const Stream& stream = *streams_[id];
    std::lock_guard lock(stream.mutex);
    Sum sum;
    for (Number i = first; i < end; ++i) {
        const Fate fate = fate_of(stream.fates[i]);
        sum.sent += fate == Fate::sent ? 1 : 0;
        sum.unknown += fate == Fate::unknown ? 1 : 0;
    }
    return sum;
}

std::uint64_t Ledger::pending() const {
    std::uint64_t pending = 0;
    for (const auto& stream : streams_) {
        std::lock_guard lock(stream->mutex);
        pending += stream->pending;
    }
    return pending;
}

void Ledger::judge() const {
    for (std::size_t id = 0; id < streams_.size(); ++id) {
        const Stream& stream = *streams_[id];
        std::lock_guard lock(stream.mutex);
        for (std::size_t i = 0; i < stream.fates.size(); ++i) {
            const Fate fate = fate_of(stream.fates[i]);
            const std::string at = std::to_string(id) + ":" + std::to_string(i);
            if (fate == Fate::pending) violations_.add(Violation::outcomes, "no outcome for " + at);
            if (fate == Fate::unsent && (stream.fates[i] & arrived_bit)) violations_.add(Violation::never_sent, at);
        }
    }
}

// ---- What one subscription saw ---------------------------------------------------------------------------

Witness::Witness(std::string name, std::vector<StreamId> streams, bool strict, Ledger& ledger, Violations& violations)
    : name_(std::move(name)), strict_(strict), ledger_(ledger), violations_(violations) {
    for (const StreamId stream : streams) progress_[stream].mine = true;
}

std::string Witness::at(StreamId stream, Number number) const {
    return name_ + ", stream " + std::to_string(stream) + ", message " + std::to_string(number);
}

void Witness::message(StreamId stream, Number number) {
    if (state_ != State::active)
        violations_.add(Violation::wrong_event, "a message while not confirmed: " + at(stream, number));
    const auto found = progress_.find(stream);
    if (found == progress_.end()) {
        violations_.add(Violation::wrong_event, "not subscribed to it: " + at(stream, number));
        return;
    }
    ledger_.arrived(stream, number);
    Progress& progress = found->second;
    const auto gaps = static_cast<std::uint32_t>(gaps_.size());
    if (number < progress.next) {
        const bool was_missing = std::any_of(missing_.begin(), missing_.end(), [&](const Missing& missing) {
            return missing.stream == stream && missing.first <= number && number < missing.end;
        });
        if (was_missing && late_.insert({stream, number}).second) return;
        violations_.add(Violation::duplicate, at(stream, number) + " after " + std::to_string(progress.next - 1));
        return;
    }
    if (number > progress.next) missing_.push_back({stream, progress.next, number, progress.gaps, gaps});
    progress.next = number + 1;
    progress.gaps = gaps;
}

Number Witness::seen_to(StreamId stream) const {
    const auto found = progress_.find(stream);
    return found == progress_.end() ? 0 : found->second.next;
}

void Witness::state_is(State now, std::initializer_list<State> from, const char* event) {
    const bool right =
        state_ != State::ended && (!strict_ || std::find(from.begin(), from.end(), state_) != from.end());
    if (!right) violations_.add(Violation::wrong_event, std::string(event) + " out of place: " + name_);
    state_ = now;
}

void Witness::unknown_gap() {
    gaps_.push_back({unknown, ledger_.positions()});
}

void Witness::active() {
    state_is(State::active, {State::pending, State::failed}, "ACTIVE");
    unknown_gap();
}
void Witness::lost() {
    state_is(State::lost, {State::active}, "LOST");
}
void Witness::resumed() {
    state_is(State::active, {State::gapped}, "RESUMED");
}
void Witness::failed() {
    state_is(State::failed, {State::pending, State::lost, State::failed}, "FAILED");
}
void Witness::ended() {
    if (state_ == State::ended) violations_.add(Violation::wrong_event, "ENDED twice: " + name_);
    state_ = State::ended;
}

void Witness::gap_unknown() {
    if (strict_) state_is(State::gapped, {State::lost, State::failed}, "GAP(reconnect)");
    unknown_gap();
}

void Witness::gap_counted(std::uint64_t count) {
    if (strict_) violations_.add(Violation::wrong_event, "GAP(overflow) of an inbox that never was full: " + name_);
    gaps_.push_back({count, {}});
}

void Witness::judge(bool closed) const {
    for (const auto& [stream, number] : late_)
        if (ledger_.sum(stream, number, number + 1).unknown == 0)
            violations_.add(Violation::reordered, at(stream, number));
    // Segments lie between unknown gaps; segment_of[i] is that of gap i, counting the unknown gaps before it.
    struct Segment {
        std::uint64_t counted = 0, sent = 0, perhaps = 0;
    };
    std::vector<std::size_t> segment_of(gaps_.size() + 1, 0);
    std::size_t last = 0;
    for (std::size_t i = 0; i < gaps_.size(); ++i) {
        segment_of[i] = last;
        if (gaps_[i].count == unknown) ++last;
    }
    segment_of[gaps_.size()] = last;
    std::vector<Segment> segments(last + 1);
    for (std::size_t i = 0; i < gaps_.size(); ++i)
        if (gaps_[i].count != unknown) segments[segment_of[i]].counted += gaps_[i].count;

    for (const Missing& missing : missing_) {
        std::size_t unknown_at = missing.gaps_end;  // the last unknown gap in its place
        bool is_unknown = false, counted_after = false;
        while (unknown_at > missing.gaps_begin && !is_unknown) {
            --unknown_at;
            is_unknown = gaps_[unknown_at].count == unknown;
            counted_after = counted_after || !is_unknown;
        }
        // What no unknown gap excuses.
        Number from = missing.first;
        if (is_unknown) from = std::clamp(gaps_[unknown_at].positions[missing.stream], missing.first, missing.end);
        const Ledger::Sum strictly = ledger_.sum(missing.stream, from, missing.end);
        if (strictly.sent > 0 && !counted_after)
            violations_.add(Violation::silent_loss, std::to_string(strictly.sent) + " of " + at(missing.stream, from) +
                                                        " to " + std::to_string(missing.end - 1));
        const std::size_t first_segment = segment_of[missing.gaps_begin], last_segment = segment_of[missing.gaps_end];
        if (counted_after) segments[last_segment].sent += strictly.sent;
        const Ledger::Sum all = ledger_.sum(missing.stream, missing.first, missing.end);
        for (std::size_t i = first_segment; i <= last_segment; ++i) segments[i].perhaps += all.sent + all.unknown;
    }
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const Segment& segment = segments[i];
        const bool open_end = !closed && i + 1 >= segments.size();
        // Of an unclosed one the messages behind the last seen are not known to be missing.
        const bool too_many = closed && segment.counted > segment.perhaps;
        if (segment.counted < segment.sent || (too_many && !open_end))
            violations_.add(Violation::wrong_count, name_ + ": gaps count " + std::to_string(segment.counted) +
                                                        ", missing are " + std::to_string(segment.sent) + " to " +
                                                        std::to_string(segment.perhaps));
    }
}

}  // namespace fanwire::chaos
