#include "core/protocol/subscribing.h"

#include <algorithm>
#include <utility>

#include "core/protocol/command.h"
#include "core/protocol/link.h"

namespace fanwire::core {

namespace {

constexpr const char* unasked = "the server sent a reply that answers nothing we asked";

// Names that are not the same mostly differ at their ends.
bool same_name(const PushFrame& a, const PushFrame& b) {
    return a.kind == b.kind && a.name.size() == b.name.size() &&
           (a.name.empty() || (a.name.back() == b.name.back() && a.name == b.name));
}

}  // namespace

std::string_view Subscribing::output(TimeMs now) {
    // Commands are made as the connection takes them, so that replaying a million channels needs no buffer for them.
    std::string& words = link().words();
    while (words.size() < SubscriptionTracker::batch_bytes_max && tracker_.next_command(words)) {
    }
    if (tracker_.under_way()) link().expecting(now);
    return link().words_left();
}

void Subscribing::wrote(std::size_t size, TimeMs) {
    link().wrote_words(size);
}

std::size_t Subscribing::scan(std::string_view bytes, TimeMs now) {
    bool any = false;
    std::size_t used = 0;
    while (link().state() == Link::State::ready) {
        used += scanner_.scan(bytes.substr(used), [&](std::span<const PushFrame> frames) {
            any = true;
            return take(frames);
        });
        if (scanner_.partial()) break;
        const std::size_t before = used;
        Acknowledgement acknowledgement;
        while (link().state() == Link::State::ready && scan_acknowledgement(bytes.substr(used), acknowledgement)) {
            used += acknowledgement.size;
            if (!take(acknowledgement, now)) link().protocol_error(unasked, now);
        }
        if (used == before) break;
        any = true;
    }
    if (any && link().state() == Link::State::ready) link().worked();
    if (!any && used > 0 && link().state() == Link::State::ready) on_partial(now);
    return used;
}

bool Subscribing::can_scan(std::string_view bytes) const {
    Acknowledgement acknowledgement;
    return begins_push(bytes) || scan_acknowledgement(bytes, acknowledgement);
}

bool Subscribing::take(const Acknowledgement& acknowledgement, TimeMs now) {
    const auto& [subscribed, kind, name, size] = acknowledgement;
    if (tracker_.acknowledged(subscribed, kind, name, now)) return true;
    return !subscribed && listener_.revoked(kind == TargetKind::channel ? "unsubscribe" : "punsubscribe", name);
}

// Each look-up leads to memory that no cache may hold, so that of all frames is fetched at once. Frames of one channel
// in a row are looked up once.
std::size_t Subscribing::take(std::span<const PushFrame> frames) {
    std::array<std::uint32_t, PushScanner::frames_max> hashes;
    std::array<std::uint8_t, PushScanner::frames_max> other;  // which have another name than the one before
    std::array<Topic*, PushScanner::frames_max> topics;
    const std::size_t count = frames.size();
    std::size_t others = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0 && same_name(frames[i], frames[i - 1])) continue;
        hashes[others] = topics_.begin_find(frames[i].kind, frames[i].name);
        other[others++] = static_cast<std::uint8_t>(i);
    }
    for (std::size_t k = 0; k < others; ++k) topics_.prefetch(hashes[k]);
    for (std::size_t k = 0; k < others; ++k) {
        const PushFrame& frame = frames[other[k]];
        Topic* const topic = topics_.find(hashes[k], frame.kind, frame.name);
        if (topic) topic->prefetch_subscription();
        const std::size_t end = k + 1 < others ? other[k + 1] : count;
        for (std::size_t i = other[k]; i < end; ++i) topics[i] = topic;
    }
    std::size_t taken = 0;
    while (taken < count && link().state() == Link::State::ready) {
        listener_.message(frames[taken], topics[taken]);
        ++taken;
    }
    return taken;
}

std::string Subscribing::scan_left() {
    if (scanner_.left().empty()) return {};
    std::string left(scanner_.left());
    scanner_.forget();
    return left;
}

void Subscribing::on_reply(const Reply& reply, TimeMs now) {
    if (!take(reply, now))
        link().protocol_error(unasked, now);
    else if (link().state() == Link::State::ready && !reply.is(ReplyType::error))
        link().worked();
}

bool Subscribing::take(const Reply& reply, TimeMs now) {
    if (reply.is(ReplyType::error)) return tracker_.refused(reply.text(), now);
    if (reply.is(ReplyType::status)) return reply.text() == "PONG" && tracker_.ponged();
    // While subscribed, a RESP2 server answers PING by the array ["pong", ""].
    if (reply.size() < 2) return false;
    const std::string_view what = reply[0].text();
    if (what == "pong") return tracker_.ponged();
    if (reply.size() < 3) return false;

    if (what == "message") {
        take(PushFrame{TargetKind::channel, reply[1].text(), reply[1].text(), reply[2].text()});
        return true;
    }
    if (what == "pmessage" && reply.size() == 4) {
        take(PushFrame{TargetKind::pattern, reply[1].text(), reply[2].text(), reply[3].text()});
        return true;
    }
    const std::string_view name = reply[1].text();
    const bool pattern = what == "psubscribe" || what == "punsubscribe";
    const bool subscribed = what == "subscribe" || what == "psubscribe";
    const bool unsubscribed = what == "unsubscribe" || what == "punsubscribe";
    const TargetKind kind = pattern ? TargetKind::pattern : TargetKind::channel;
    if ((subscribed || unsubscribed) && tracker_.acknowledged(subscribed, kind, name, now)) return true;
    return (unsubscribed || what == "sunsubscribe") && listener_.revoked(what, name);
}

// The count of killed clients has grown since the last connection began, in the same life of the server, and that
// connection was closed at the other end. It may have been another client's; Redis says no more than that.
void Subscribing::on_ready(TimeMs) {
    const ServerStats& now = link().server_stats();
    output_buffer_killed_ = closed_by_server_ && now.output_buffer_kills && stats_.output_buffer_kills &&
                            *now.output_buffer_kills > *stats_.output_buffer_kills &&
                            now.connections.value_or(0) >= stats_.connections.value_or(0);
    closed_by_server_ = false;
    stats_ = now;
    scanner_.forget();
    tracker_.begin();
}

void Subscribing::on_down(const Error& why, TimeMs) {
    closed_by_server_ = link().closed_by_peer();
    scanner_.forget();
    tracker_.end(why);
}

// Redis lets no subscribed connection log in again, and keeps one that has logged in whatever becomes of its password.
void Subscribing::login_proven(TimeMs now) {
    if (link().session().of_another_user())
        link().renew(Error::of(Status::CONNECTION_LOST, {"connecting again as another user"}), now);
}

void Subscribing::send_ping(TimeMs) {
    append_command(link().words(), {"PING"});
    tracker_.pinged();
}

void Subscribing::tick(TimeMs now) {
    if (link().state() == Link::State::ready) tracker_.tick(now);
}

TimeMs Subscribing::deadline() const {
    return link().state() == Link::State::ready ? tracker_.deadline() : never;
}

}  // namespace fanwire::core
