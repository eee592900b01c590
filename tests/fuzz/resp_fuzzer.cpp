// Both links against a server that says whatever the script wants it to, in virtual time; in the end it behaves, and
// everything must have come to rest.
// What the subscribing link tells is the same when all messages go through the reader of replies.
//
// Steps: C BITS first: how to begin (see Config). P and S: the following ones are about the publishing or the
// subscribing link. o: its connection is made; r: refused; x: broken. < BYTES: the server says this. a N: it answers N
// commands as Redis would; e TEXT: it answers one by an error; E: it sends back what we sent. m: a message for the
// first channel that Redis has, M SIZE: a large one in parts, as far as it gets. h: from now on nothing can be written,
// or again; k N: N bytes can. w/u NAME, W/U PATTERN: want or no longer; p BYTES: publish; b BYTES: probe; c USER: both
// log in otherwise; n: both links renew their connections; t MS: time passes.
#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/protocol/command.h"
#include "core/protocol/link.h"
#include "core/protocol/publish_command.h"
#include "core/protocol/publishing.h"
#include "core/protocol/subscribing.h"
#include "tests/fuzz/script.h"
#include "tests/support/topics.h"

using namespace fanwire::core;
using fanwire::fuzz::require;
using fanwire::fuzz::Script;

namespace {

constexpr std::string_view password = "hunter2!";
using Names = std::set<std::pair<TargetKind, std::string>>;

struct Config {
    explicit Config(std::uint64_t bits)
        : offline(bits & 1 ? Offline::fail : Offline::queue), linger(bits & 2 ? 0 : 300), gives_up((bits & 4) != 0) {
        link.handshake.client_name = bits & 8 ? "" : "fuzzed";
        if (bits & 16) credentials.password = password;
        if (bits & 32) credentials.username = "user";
        if (bits & 64) link.handshake.db = 7;
        link.handshake.ask_stats = (bits & 128) != 0;
        link.reconnect.max = 2000;
        link.reconnect_attempts_max = gives_up ? 3 : 0;
    }
    LinkConfig link;
    Credentials credentials;
    Offline offline;
    TimeMs linger;
    bool gives_up;
};

// One connection as the server sees it.
struct Connection {
    ReplyReader reader;
    std::deque<std::vector<std::string>> commands;  // not answered yet
    std::string taken;                              // every byte we sent
    Names subscribed;

    void take(std::string_view bytes) {
        taken += bytes;
        while (!bytes.empty()) {
            const std::string_view piece = bytes.substr(0, ReplyReader::feed_max);
            bytes.remove_prefix(piece.size());
            reader.feed(piece);
            ReplyReader::Result result;
            while ((result = reader.next()) == ReplyReader::Result::reply) {
                const Reply command = reader.reply();
                require(command.is(ReplyType::array) && command.size() > 0, "we send commands");
                auto& words = commands.emplace_back();
                for (std::size_t i = 0; i < command.size(); ++i) words.emplace_back(command[i].text());
            }
            require(result == ReplyReader::Result::more, "we speak the protocol", reader.error());
        }
    }

    std::string answer() {
        const std::vector<std::string> words = std::move(commands.front());
        commands.pop_front();
        if (words[0] == "PUBLISH") return ":1\r\n";
        if (words[0] == "PING") return subscribed.empty() ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
        if (words[0] == "INFO") {
            std::string out;
            append_bulk(out,
                        "# Stats\r\ntotal_connections_received:7\r\nclient_output_buffer_limit_disconnections:1\r\n");
            return out;
        }
        if (!words[0].ends_with("SUBSCRIBE")) return "+OK\r\n";
        const bool pattern = words[0].front() == 'P', subscribe = words[0].find("UN") == std::string::npos;
        std::string word(words[0]), out;
        for (char& c : word) c = static_cast<char>(c | 0x20);
        for (std::size_t i = 1; i < words.size(); ++i) {
            const std::pair name(pattern ? TargetKind::pattern : TargetKind::channel, words[i]);
            if (subscribe)
                subscribed.insert(name);
            else
                subscribed.erase(name);
            out += "*3\r\n";
            append_bulk(out, word);
            append_bulk(out, words[i]);
            append_count(out, ':', subscribed.size());
        }
        return out;
    }
};

// What a link reports, and what of that must hold.
struct LinkListener : Link::Listener {
    static void look_at(const Error& why) {
        require(static_cast<bool>(why), "a failure has a status", why.text);
        require(why.text.find(password) == std::string::npos, "no text has the password", why.text);
    }
    void link_ready() override {}
    void link_lost(const Error& why) override { look_at(why); }
    void link_failed(const Error& why, bool) override { look_at(why); }
    void link_retry(std::uint32_t, TimeMs delay) override {
        require(delay >= 0 && delay <= 2000, "the delay is within its limits");
    }
    void link_login_refused(const Error& why) override { look_at(why); }
};

struct PublishListener : LinkListener, Publishing::Listener {
    std::size_t probes = 0;  // asked and not answered, or forgotten

    void probe_answered(const Outcome&) override { require(probes-- > 0, "only a probe is answered"); }
};

struct SubscribeListener : LinkListener, Subscribing::Listener {
    Names wanted;
    std::uint64_t messages = 0;
    std::string heard;  // everything, in order

    void link_ready() override { heard += "ready\n"; }
    void link_lost(const Error& why) override {
        look_at(why);
        heard += "lost " + why.text + "\n";
    }
    void link_failed(const Error& why, bool) override {
        look_at(why);
        heard += "failed " + why.text + "\n";
    }
    void confirmed(Topic& topic) override {
        heard.append("+").append(topic.view()) += '\n';
        require(wanted.contains({topic.kind(), std::string(topic.view())}), "only what is wanted is confirmed",
                topic.view());
    }
    void refused(Topic& topic, const Error& why) override {
        heard.append("!").append(topic.view()) += '\n';
        require(wanted.contains({topic.kind(), std::string(topic.view())}), "only what is wanted is refused",
                topic.view());
        require(static_cast<bool>(why), "a refusal has a status", why.text);
    }
    void lost(std::span<Topic* const> topics, const Error& why) noexcept override {
        look_at(why);
        for (const Topic* const topic : topics) heard.append("-").append(topic->view()) += '\n';
    }
    void message(const PushFrame& frame, Topic* topic) override {
        ++messages;
        heard += frame.kind == TargetKind::pattern ? 'p' : 'm';
        heard += topic ? "" : "?";
        for (const std::string_view part : {frame.name, frame.channel, frame.payload}) heard.append("|").append(part);
        heard += '\n';
    }
};

// Reads every message by the reader, none in place.
class ByReader : public Subscribing {
 public:
    using Subscribing::Subscribing;

 private:
    std::size_t scan(std::string_view, TimeMs) override { return 0; }
    bool can_scan(std::string_view) const override { return false; }
};

// A link and its connection.
class Side {
 public:
    explicit Side(Link& link) : link_(link) {}

    // Does what the link wishes, as its driver would after each call.
    void attend(TimeMs now) {
        for (int turn = 0; turn < 3; ++turn) {
            switch (link_.request()) {
                case Link::Request::open:
                    opening_ = true;
                    break;
                case Link::Request::close:
                    opening_ = connected_ = false;
                    break;
                case Link::Request::none:
                    break;
            }
            if (connected_ && !held_) write(SIZE_MAX, now);
            if (link_.deadline() > now) break;
            // An attempt that ends is followed at once by one with the credentials that were set meanwhile.
            const bool next_attempt = turn == 1 && link_.state() == Link::State::waiting;
            require(turn == 0 || next_attempt, "tick() leads to a later deadline");
            link_.tick(now);
        }
        const Link::State state = link_.state();
        require(state == Link::State::stopped || link_.deadline() != never, "whoever is not at rest has a deadline");
        require(connected_ == (state == Link::State::greeting || state == Link::State::ready),
                "connected as it thinks");
    }

    void open(TimeMs now) {
        if (!std::exchange(opening_, false)) return;
        connection_ = std::make_unique<Connection>();
        connected_ = true;
        link_.opened(now);
    }
    void refuse(TimeMs now) {
        if (std::exchange(opening_, false)) link_.closed({Status::CONNECT_FAILED, "refused"}, now);
    }
    void break_off(TimeMs now) {
        if (std::exchange(connected_, false)) link_.closed({Status::CONNECTION_LOST, "reset"}, now);
    }
    void say(std::string_view bytes, TimeMs now) {
        while (connected_ && !bytes.empty()) {
            const std::span<char> room = link_.room();
            if (room.empty()) return link_.received(bytes, now);
            const std::size_t size = std::min(room.size(), bytes.size());
            std::copy_n(bytes.data(), size, room.data());
            link_.received({room.data(), size}, now);
            bytes.remove_prefix(size);
        }
    }
    void answer(std::uint64_t count, TimeMs now) {
        std::string bytes;
        for (; connected_ && count > 0 && !connection_->commands.empty(); --count) bytes += connection_->answer();
        say(bytes, now);
    }
    void answer_error(std::string_view text, TimeMs now) {
        if (!connected_ || connection_->commands.empty()) return;
        connection_->commands.pop_front();
        say("-" + std::string(text.substr(0, text.find_first_of("\r\n"))) + "\r\n", now);
    }
    void echo(TimeMs now) { say(std::exchange(connection_->taken, {}), now); }
    void send_message(TimeMs now) {
        if (!connected_ || connection_->subscribed.empty()) return;
        const auto& [kind, name] = *connection_->subscribed.begin();
        std::string bytes;
        if (kind == TargetKind::channel)
            append_command(bytes, {"message", name, "payload"});
        else
            append_command(bytes, {"pmessage", name, "channel", "payload"});
        say(bytes, now);
    }
    // One that comes in parts, the last of which an odd size leaves out.
    void send_large(std::size_t size, TimeMs now) {
        if (!connected_ || connection_->subscribed.empty()) return;
        const auto& [kind, name] = *connection_->subscribed.begin();
        std::string bytes;
        append_command(bytes, {kind == TargetKind::channel ? "message" : "pmessage", name});
        bytes[1] = kind == TargetKind::channel ? '3' : '4';
        if (kind == TargetKind::pattern) append_bulk(bytes, "channel");
        append_bulk(bytes, std::string(size, 'x'));
        if (size % 2 != 0) bytes.pop_back();
        for (std::size_t at = 0; at < bytes.size(); at += 5000) say(std::string_view(bytes).substr(at, 5000), now);
    }
    void hold(bool held) { held_ = held; }
    bool held() const { return held_; }
    void write(std::size_t size, TimeMs now) {
        if (!connected_) return;
        const std::string_view bytes = link_.output(now).substr(0, size);
        connection_->take(bytes);
        link_.wrote(bytes.size(), now);
    }
    Link& link() { return link_; }
    const Names& subscribed() const { return connection_->subscribed; }

 private:
    Link& link_;
    std::unique_ptr<Connection> connection_ = std::make_unique<Connection>();
    bool opening_ = false, connected_ = false, held_ = false;
};

class Run {
 public:
    Run(const Config& config, bool by_reader)
        : config_(config),
          publishing_(
              config.offline, publish_listener_,
              [this](const SettledRun& run) {
                  for (const Settled& publish : run.publishes) {
                      const auto number = reinterpret_cast<std::uintptr_t>(publish.user_data);
                      require(number < settled_.size() && !settled_[number], "a publish is settled once");
                      settled_[number] = true;
                      ++settled_count_;
                  }
              },
              [this](std::size_t count, std::size_t) { unqueued_ += count; }),
          made_(by_reader ? make<ByReader>() : make<Subscribing>()) {
        publish_link_.start(now_);
        subscribe_link_.start(now_);
        attend();
    }

    void step(const Script::Step& step) {
        const std::string name(step.argument.substr(0, 1024));
        switch (step.verb) {
            case 'P':
                side_ = &publish_side_;
                break;
            case 'S':
                side_ = &subscribe_side_;
                break;
            case 'o':
                side_->open(now_);
                break;
            case 'r':
                side_->refuse(now_);
                break;
            case 'x':
                side_->break_off(now_);
                break;
            case '<':
                side_->say(step.argument, now_);
                break;
            case 'a':
                side_->answer(std::max<std::uint64_t>(step.number(1000), 1), now_);
                break;
            case 'e':
                side_->answer_error(step.argument, now_);
                break;
            case 'E':
                side_->echo(now_);
                break;
            case 'm':
                side_->send_message(now_);
                break;
            case 'M':
                side_->send_large(step.number(100000), now_);
                break;
            case 'h':
                side_->hold(!side_->held());
                break;
            case 'k':
                side_->write(step.number(100000), now_);
                break;
            case 'c':
                login_.set(name, std::string(password));
                publish_link_.credentials_set(now_);
                subscribe_link_.credentials_set(now_);
                break;
            case 'n':
                publish_link_.renew({Status::CONNECTION_LOST, "renewed"}, now_);
                subscribe_link_.renew({Status::CONNECTION_LOST, "renewed"}, now_);
                break;
            case 'b':
                ++publish_listener_.probes;
                publishing_.probe("probe", step.argument);
                break;
            case 'w':
                want(TargetKind::channel, name);
                break;
            case 'W':
                want(TargetKind::pattern, name);
                break;
            case 'u':
                unwant(TargetKind::channel, name);
                break;
            case 'U':
                unwant(TargetKind::pattern, name);
                break;
            case 'p':
                publish(step.argument);
                break;
            case 't':
                pass(static_cast<TimeMs>(step.number(100000)));
                break;
            default:
                break;
        }
        attend();
    }

    // From here on the server is a good one.
    void finish() {
        for (Side* side : {&publish_side_, &subscribe_side_}) {
            side->hold(false);
            side->break_off(now_);
        }
        attend();
        for (int round = 0; !at_rest(); ++round) {
            require(round < 1000, "it comes to rest");
            for (Side* side : {&publish_side_, &subscribe_side_}) {
                side->open(now_);
                attend();
                side->answer(SIZE_MAX, now_);
            }
            attend();
            pass(100);
        }
        if (subscribe_link_.state() == Link::State::ready)
            require(subscribe_side_.subscribed() == listener_.wanted, "Redis has what is wanted");
        publishing_.fail_all({Status::CLOSED, "closed"});
        check();
        require(settled_count_ == settled_.size(), "every publish is settled in the end");
        require(unqueued_ == settled_.size(), "nothing counts as unsent in the end");
    }

    const SubscribeListener& listener() const { return listener_; }

 private:
    template <class Kind>
    std::unique_ptr<Subscribing> make() {
        return std::make_unique<Kind>(config_.linger, config_.link.reconnect.max, topics_, listener_);
    }
    bool at_rest() const {
        const bool publishing =
            publish_link_.state() == Link::State::stopped || publish_link_.state() == Link::State::ready;
        const bool subscribing = subscribe_link_.state() == Link::State::stopped ||
                                 (subscribe_link_.state() == Link::State::ready && subscribing_.tracker().settled());
        return publishing && subscribing && publishing_.queue().unsettled() == 0;
    }
    void want(TargetKind kind, const std::string& name) {
        listener_.wanted.insert({kind, name});
        subscribing_.want(topic_of(topics_, kind, name), now_);
    }
    void unwant(TargetKind kind, const std::string& name) {
        listener_.wanted.erase({kind, name});
        if (Topic* const topic = topics_.find(kind, name)) subscribing_.unwant(*topic, now_);
    }
    void publish(std::string_view payload) {
        batch_.deadline = now_ + 3000;
        batch_.add(publish_command, "", "channel", payload, nullptr, reinterpret_cast<void*>(settled_.size()));
        settled_.push_back(false);
        publishing_.publish(batch_);
    }
    // In pieces, as a driver that wakes for every deadline.
    void pass(TimeMs by) {
        for (const TimeMs end = now_ + by; now_ < end;) {
            now_ = std::min(end, std::max(now_ + 1, std::min(publish_link_.deadline(), subscribe_link_.deadline())));
            attend();
        }
    }
    void attend() {
        publish_side_.attend(now_);
        subscribe_side_.attend(now_);
        check();
    }
    void check() const {
        require(publishing_.queue().unsettled() == settled_.size() - settled_count_,
                "unsettled is what is not settled");
    }

    const Config config_;
    TimeMs now_ = 1000;
    PublishListener publish_listener_;
    SubscribeListener listener_;
    std::vector<bool> settled_;  // by the number of the publish
    std::size_t settled_count_ = 0, unqueued_ = 0;
    PublishBatch batch_;
    Login login_{config_.credentials};
    Publishing publishing_;
    Topics topics_;
    std::unique_ptr<Subscribing> made_;
    Subscribing& subscribing_ = *made_;
    Link publish_link_{config_.link, [] { return 0.5; }, login_, publishing_, publish_listener_};
    Link subscribe_link_{config_.link, [] { return 0.5; }, login_, subscribing_, listener_};
    Side publish_side_{publish_link_}, subscribe_side_{subscribe_link_};
    Side* side_ = &subscribe_side_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input = fanwire::fuzz::text_of(data, size);
    if (input.find(password) != input.npos) return 0;  // a server that knows it may say it
    const auto play = [&](bool by_reader) {
        Script script(input);
        Script::Step step;
        if (!script.next(step)) return SubscribeListener();
        Run run(Config(step.verb == 'C' ? step.number(255) : 0), by_reader);
        do {
            run.step(step);
        } while (script.next(step));
        run.finish();
        return run.listener();
    };
    const SubscribeListener heard = play(false);
    // All again by the reader, if there was anything to read in place.
    if (heard.messages > 0 || input.find("~M") != input.npos || input.find("essage") != input.npos)
        require(heard.heard == play(true).heard, "messages read in place are what the reader makes of them",
                heard.heard);
    return 0;
}
