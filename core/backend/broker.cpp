#include "core/backend/broker.h"

#include <utility>

namespace fanwire::core {

void BrokerReports::add(Report report) {
    std::lock_guard lock(mutex_);
    if (!wake_) return;
    const bool always = report.kind == Report::Kind::ready || report.kind == Report::Kind::lost;
    if (!always && reports_.size() >= count_max)
        throw Failure(Status::QUEUE_FULL, std::to_string(count_max) + " reports wait for the engine");
    const bool first = reports_.empty();
    reports_.push_back(std::move(report));
    if (first) wake_();
}

void BrokerReports::lost(Error why) {
    Report report(Report::Kind::lost);
    report.error = std::move(why);
    add(std::move(report));
}

void BrokerReports::confirmed(TargetKind kind, std::string_view name) {
    Report report(Report::Kind::confirmed);
    report.target = kind;
    report.name = name;
    add(std::move(report));
}

void BrokerReports::refused(TargetKind kind, std::string_view name, Error why) {
    Report report(Report::Kind::refused);
    report.target = kind;
    report.name = name;
    report.error = std::move(why);
    add(std::move(report));
}

bool BrokerReports::message(TargetKind kind, std::string_view name, std::string_view channel,
                            std::string_view payload) {
    Report report(Report::Kind::message);
    report.target = kind;
    report.name = name;
    if (kind == TargetKind::pattern) report.channel = channel;
    report.payload = payload;
    const std::size_t size = name.size() + report.channel.size() + payload.size() + sizeof report;
    std::lock_guard lock(mutex_);
    if (!wake_) return true;
    if ((waiting_ > 0 && waiting_ + size > waiting_max) || reports_.size() >= count_max) {
        dropped_ = true;
        return false;
    }
    const bool first = reports_.empty();
    reports_.push_back(std::move(report));
    waiting_ += size;
    if (first) wake_();
    return true;
}

void BrokerReports::settled(std::uint64_t id, Error error, std::uint64_t receivers) {
    Report report(Report::Kind::settled);
    report.id = id;
    report.error = std::move(error);
    report.receivers = receivers;
    add(std::move(report));
}

void BrokerReports::counted(std::uint64_t id, Error error, std::span<const std::uint64_t> counts) {
    Report report(Report::Kind::counted);
    report.id = id;
    report.error = std::move(error);
    report.counts.assign(counts.begin(), counts.end());
    add(std::move(report));
}

bool BrokerReports::take(std::vector<Report>& reports) noexcept {
    std::lock_guard lock(mutex_);
    std::swap(reports, reports_);
    waiting_ = 0;
    return std::exchange(dropped_, false);
}

void BrokerReports::close() noexcept {
    std::lock_guard lock(mutex_);
    wake_ = nullptr;
    reports_.clear();
}

}  // namespace fanwire::core
