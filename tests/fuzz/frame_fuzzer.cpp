// What stands in front of a payload and comes from anybody: the frames of requests and replies, and the channels that
// the replies come on.
//
// Input: a channel in Redis, a line feed, a payload. What must hold:
//  - what is read as a frame is what the writer of frames makes of its parts, and what is put into a frame comes out of
//  it;
//  - reply channels are known as a slow reading of their rule knows them;
//  - subscribers of the channel and of a pattern see the payload of a plain frame, and of a request whose address fits
//  the
//    channel, and every other payload as it is, whether it was copied or is shared; and they agree what is a request;
//  - a reply is for the published request that has its number, until that has ended, and for no other; each ends once.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/requests.h"
#include "core/fanout/fanout.h"
#include "core/message/frame.h"
#include "core/net/event_fd.h"
#include "tests/fuzz/script.h"
#include "tests/support/drained.h"
#include "tests/support/topics.h"

using namespace fanwire::core;
using fanwire::fuzz::require;

namespace {

void read_and_write(std::string_view bytes) {
    const std::optional<frame::Head> head = frame::head_of(bytes);
    if (head) {
        require(frame::begins(bytes), "a frame begins like one");
        require(head->size <= bytes.size(), "a head is no longer than the payload");
        const std::string_view rest = bytes.substr(head->size);
        switch (head->kind) {
            case frame::Kind::plain:
                require(frame::plain(rest) == bytes, "a plain frame as it would be written");
                break;
            case frame::Kind::request:
                require(frame::request(frame::address_of(bytes), rest) == bytes, "a request as it would be written");
                break;
            case frame::Kind::reply:
                require(frame::reply(frame::number_of(bytes), rest) == bytes, "a reply as it would be written");
                break;
        }
    }
    const auto comes_out = [&](const std::string& framed, frame::Kind kind, std::size_t size) {
        const std::optional<frame::Head> again = frame::head_of(framed);
        require(again && again->kind == kind && again->size == size, "a frame is known");
        require(std::string_view(framed).substr(size) == bytes, "what is put into a frame comes out of it");
    };
    comes_out(frame::plain(bytes), frame::Kind::plain, frame::plain_size);
    comes_out(frame::reply(bytes.size(), bytes), frame::Kind::reply, frame::reply_size);
    comes_out(frame::request({{}, bytes.size(), 3}, bytes), frame::Kind::request, frame::request_size);
}

// The rule, read slowly: at the end of a channel, and at its beginning or after a ':'.
bool is_reply_channel_slowly(std::string_view channel) {
    constexpr std::string_view prefix = "__fanwire:reply:";
    const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    for (std::size_t at = 0; at < channel.size(); ++at) {
        if (at > 0 && channel[at - 1] != ':') continue;
        if (!channel.substr(at).starts_with(prefix)) continue;
        const std::string_view id = channel.substr(at + prefix.size());
        if (id.size() == 32 && std::all_of(id.begin(), id.end(), is_digit)) return true;
    }
    return false;
}

void receive(const std::string& channel, std::string_view payload) {
    const std::optional<frame::Head> head = frame::head_of(payload);
    const bool is_request = head && head->kind == frame::Kind::request;
    const bool fits = is_request && frame::address_of(payload).prefix_size <= channel.size();
    const bool comes_off = head && (head->kind == frame::Kind::plain || fits);
    const std::string_view expected = comes_off ? payload.substr(head->size) : payload;

    const auto share = std::make_shared<EngineShare>();
    Topics topics;
    Fanout fanout(topics, share->metrics, 0);
    const auto inbox = std::make_shared<Inbox>(InboxLimits{}, make_event_fd);
    std::vector<Topic*> wanted;
    for (const auto kind : {TargetKind::channel, TargetKind::pattern}) {
        const std::string name = kind == TargetKind::channel ? channel : "*";
        wanted.push_back(fanout.add(make_subscription(kind, name, inbox, nullptr, share)));
        fanout.active(*wanted.back());
    }
    // As Redis sends it; as one copy for all of them (memory://); in the storage in which it was received.
    for (Topic* const topic : wanted) fanout.message(*topic, channel, payload, 0, nullptr);
    MessageRef copy;
    for (Topic* const topic : wanted) fanout.message(*topic, channel, copy ? copy->payload() : payload, 0, &copy);
    MessageRef storage = Message::make_space(channel.size() + payload.size());
    std::copy_n(payload.begin(), payload.size(), std::copy_n(channel.begin(), channel.size(), storage->space()));
    for (Topic* const topic : wanted)
        fanout.message(*topic, channel, storage->payload().substr(channel.size()), 0, &storage);
    fanout.commit();

    int seen = 0;
    const Drained drained(*inbox);
    for (const Event& event : drained.events) {
        if (event.kind != EventKind::message) continue;
        ++seen;
        require(event.message->channel() == channel, "the channel as it is", event.message->channel());
        require(event.message->payload() == expected, "the payload without its head", event.message->payload());
        require(event.message->is_request() == fits, "a request is one however it came");
        if (!fits) continue;
        require(event.message->head(frame::request_size) == payload.substr(0, frame::request_size), "the head is kept");
    }
    require(seen == 6, "each subscription sees it each time");
    fanout.remove_all({Status::CLOSED, "closed"});
    inbox->close();  // what it has of them keeps it
}

void answer(std::string_view payload) {
    const std::optional<frame::Head> head = frame::head_of(payload);
    const std::uint64_t number = head && head->kind == frame::Kind::reply ? frame::number_of(payload) : 0;
    int replies[4] = {}, ends[4] = {};
    const auto tell = [&](const std::shared_ptr<Inbox>&, Event event) {
        const auto asked = reinterpret_cast<std::uintptr_t>(event.user_data);
        if (event.kind != EventKind::reply) return void(++ends[asked]);
        ++replies[asked];
        require(asked == number, "a reply is for the request that has its number");
        require(event.message->payload() == payload.substr(head->size), "a reply without what stands in front of it");
    };
    Requests requests(
        {}, 0, 100, 10000,
        {[] {}, [] {}, [](const auto&, const auto&, const auto&, TimeMs) {}, tell,
         [&](const std::shared_ptr<Inbox>& inbox, Event event) { return tell(inbox, std::move(event)), true; }});
    const auto inbox = std::make_shared<Inbox>(InboxLimits{}, make_event_fd);
    for (std::uintptr_t i = 1; i <= 3; ++i) {
        if (i == 3) requests.lost();  // so that it is not published
        requests.open("c", "", 2, never, inbox, reinterpret_cast<void*>(i));
        requests.turn(0);
        if (i == 2) requests.confirmed();
    }
    for (int i = 0; i < 3; ++i) requests.reply(payload);
    for (std::uintptr_t i = 1; i <= 3; ++i) {
        require(replies[i] == (i == number && i < 3 ? 2 : 0),
                "a reply comes until the end, and for a request that is published");
        require(ends[i] == (i == number && i < 3 ? 1 : 0), "it ends with the last one that is expected");
    }
    requests.end_all({Status::CLOSED, "closed"});
    for (std::uintptr_t i = 1; i <= 3; ++i) require(ends[i] == 1, "each request ends once");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input = fanwire::fuzz::text_of(data, size);
    const std::size_t line = std::min(input.find('\n'), input.size());
    const std::string channel(input.substr(0, std::min<std::size_t>(line, 1024)));
    const std::string_view payload = input.substr(std::min(line + 1, input.size()));
    require(frame::is_reply_channel(channel) == is_reply_channel_slowly(channel), "reply channels and no others",
            channel);
    read_and_write(payload);
    if (!channel.empty()) receive(channel, payload);
    answer(payload);
    return 0;
}
