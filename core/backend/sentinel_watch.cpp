#include "core/backend/sentinel_watch.h"

#include <algorithm>
#include <new>
#include <optional>
#include <span>
#include <utility>

#include "core/message/topic.h"
#include "core/protocol/command.h"
#include "core/protocol/querying.h"
#include "core/protocol/subscribing.h"

namespace fanwire::core {

namespace {

// A sentinel that comes back is needed soon: the next failover may be near.
constexpr TimeMs reconnect_max = 2000;
// Longest that a sentinel may think about a question.
constexpr TimeMs answer_max = 2000;

LinkConfig link_config(const Settings& settings) {
    LinkConfig config;
    config.handshake.client_name = settings.client_name;
    config.connect_timeout = settings.connect_timeout_ms;
    config.reconnect = {std::min<TimeMs>(settings.reconnect_delay_ms, reconnect_max),
                        std::min<TimeMs>(settings.max_reconnect_delay_ms, reconnect_max), settings.reconnect_factor,
                        settings.reconnect_jitter};
    config.heartbeat_interval = settings.heartbeat_interval_ms;
    config.heartbeat_timeout = settings.heartbeat_timeout_ms;
    config.reply_max = std::size_t{1} << 20;
    return config;
}

}  // namespace

// One sentinel.
class SentinelWatch::Watcher {
 public:
    Watcher(SentinelWatch& watch, const SentinelTopology::Sentinel& sentinel);
    ~Watcher() {
        ask_driver_.stop();
        listen_driver_.stop();
    }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    SentinelTopology::Id id() const { return id_; }
    void start();
    void retry();
    void ask();
    void flush();
    void close_inherited() noexcept;

 private:
    struct AskSide : Link::Listener {
        explicit AskSide(Watcher& w) : watcher(w) {}
        void link_ready() override { watcher.topology().connected(watcher.id_, watcher.now()); }
        void link_lost(const Error& why) override { watcher.failed(why); }
        void link_failed(const Error& why, bool) override { watcher.failed(why); }
        void link_retry(std::uint32_t, TimeMs) override {}
        Watcher& watcher;
    };
    struct ListenSide : Link::Listener, Subscribing::Listener {
        explicit ListenSide(Watcher& w) : watcher(w) {}
        void link_ready() override {}
        void link_lost(const Error&) override { watcher.listening(false); }
        void link_failed(const Error&, bool) override {}
        void link_retry(std::uint32_t, TimeMs) override {}
        void message(const PushFrame& frame, Topic*) override {
            watcher.topology().sign(frame.channel, frame.payload, watcher.now());
        }
        void confirmed(Topic&) override { watcher.listening(true); }
        // The documented user of clients may not SUBSCRIBE: this sentinel is asked more often.
        void refused(Topic&, const Error&) override {}
        void lost(std::span<Topic* const>, const Error&) noexcept override {}  // link_lost() says it
        Watcher& watcher;
    };

    TimeMs now() const { return watch_.network_.now(); }
    SentinelTopology& topology() { return watch_.topology_; }
    void failed(const Error& why);
    void listening(bool yes) { topology().listening(id_, yes, now()); }
    void answered(const Reply* master);

    SentinelWatch& watch_;
    const SentinelTopology::Id id_;
    const std::string name_;  // of the sentinel, for texts
    Endpoint endpoint_;
    AskSide ask_side_{*this};
    ListenSide listen_side_{*this};
    Querying querying_;
    Topics topics_;
    Subscribing subscribing_;
    Link ask_link_, listen_link_;
    LinkDriver ask_driver_, listen_driver_;
    std::optional<SentinelTopology::Answer> answer_;  // its first half
    bool identified_ = false;
};

SentinelWatch::Watcher::Watcher(SentinelWatch& watch, const SentinelTopology::Sentinel& sentinel)
    : watch_(watch),
      id_(sentinel.id),
      name_("sentinel " + sentinel.address.text()),
      endpoint_(watch.endpoint_),
      subscribing_(0, reconnect_max, topics_, listen_side_),
      ask_link_(link_config(watch.settings_), watch.random_, watch.login_, querying_, ask_side_),
      listen_link_(link_config(watch.settings_), watch.random_, watch.login_, subscribing_, listen_side_),
      ask_driver_(
          watch.network_, endpoint_, ask_link_, [](std::size_t, std::size_t) {}, [&watch] { watch.turn_end(); }),
      listen_driver_(
          watch.network_, endpoint_, listen_link_, [](std::size_t, std::size_t) {}, [&watch] { watch.turn_end(); }) {
    endpoint_.host = sentinel.address.host;
    endpoint_.port = sentinel.address.port;
    if (watch.settings_.tls_server_name.empty()) endpoint_.tls_name = endpoint_.host;
    for (const std::string_view sign : SentinelTopology::signs())
        subscribing_.want(topics_.intern(Topic::make(TargetKind::channel, sign, 0)), now());
}

void SentinelWatch::Watcher::start() {
    ask_driver_.start();
    listen_driver_.start();
}

void SentinelWatch::Watcher::retry() {
    ask_link_.retry(now());
    listen_link_.retry(now());
    flush();
}

void SentinelWatch::Watcher::flush() {
    ask_driver_.flush();
    listen_driver_.flush();
}

void SentinelWatch::Watcher::close_inherited() noexcept {
    ask_driver_.close_inherited();
    listen_driver_.close_inherited();
}

void SentinelWatch::Watcher::failed(const Error& why) {
    answer_.reset();
    topology().failed(id_, Error::of(why.status, {name_, ": ", why.text}), now());
}

// What is asked first says the most. What was asked on a connection that broke is asked again on the next one, whose
// questions follow: each answer is a true one, if perhaps the same twice.
void SentinelWatch::Watcher::ask() {
    const TimeMs deadline = now() + answer_max;
    const auto question = [&](std::string_view what, bool of_group, Querying::Answer answer) {
        std::string command;
        if (of_group)
            append_command(command, {"SENTINEL", what, watch_.settings_.master});
        else
            append_command(command, {"SENTINEL", what});
        return querying_.ask("SENTINEL " + std::string(what), std::move(command), deadline, std::move(answer));
    };
    Error refused = question("GET-MASTER-ADDR-BY-NAME", true, [this](const Reply* reply, const Error&) {
        answer_ = SentinelTopology::read_answer(name_, reply);
    });
    if (!refused) refused = question("MASTER", true, [this](const Reply* reply, const Error&) { answered(reply); });
    if (refused) return topology().failed(id_, refused, now());
    if (!std::exchange(identified_, true))
        question("MYID", false, [this](const Reply* reply, const Error&) {
            if (reply && reply->is(ReplyType::string)) topology().identified(id_, std::string(reply->text()), now());
        });
    question("SENTINELS", true, [this](const Reply* reply, const Error&) {
        if (reply) topology().introduced(SentinelTopology::read_sentinels(*reply), now());
    });
}

void SentinelWatch::Watcher::answered(const Reply* master) {
    if (!answer_) return;
    SentinelTopology::Answer answer = *std::exchange(answer_, std::nullopt);
    answer.epoch = SentinelTopology::read_epoch(master);
    topology().answered(id_, std::move(answer), now());
}

SentinelWatch::SentinelWatch(const Settings& settings, const Endpoint& endpoint, Network& network, Random random,
                             Owner& owner)
    : settings_(settings),
      endpoint_(endpoint),
      network_(network),
      random_(std::move(random)),
      owner_(owner),
      login_({settings.sentinel_username, settings.sentinel_password}),
      topology_(settings.master, parse_addresses(settings.nodes, sentinel_port).value_or(std::vector<ServerAddress>{})),
      timer_(network.make_timer([this] { settle(); })) {}

SentinelWatch::~SentinelWatch() = default;

void SentinelWatch::start() {
    if (std::exchange(running_, true)) return;
    timer_->at(network_.now());
}

void SentinelWatch::retry() {
    for (const auto& watcher : watchers_) watcher->retry();
}

void SentinelWatch::stop() {
    running_ = false;
    timer_->at(never);
    for (const auto& watcher : watchers_) topology_.failed(watcher->id(), {Status::CLOSED, "stopped"}, network_.now());
    watchers_.clear();
}

void SentinelWatch::doubt() {
    topology_.doubt(network_.now());
    turn_end();
}

void SentinelWatch::trust() {
    topology_.trust();
}

void SentinelWatch::close_inherited() noexcept {
    for (const auto& watcher : watchers_) watcher->close_inherited();
}

// From within a connection's call, which goes on afterwards.
void SentinelWatch::turn_end() {
    if (running_) timer_->at(network_.now());
}

void SentinelWatch::settle() {
    topology_.tick(network_.now());
    try {
        adjust();
    } catch (const std::bad_alloc&) {  // the next time
    }
    while (const std::optional<SentinelTopology::Id> id = topology_.next_to_ask(network_.now())) {
        const auto whose = [id](const auto& watcher) { return watcher->id() == *id; };
        const auto watcher = std::find_if(watchers_.begin(), watchers_.end(), whose);
        if (watcher == watchers_.end()) continue;
        (*watcher)->ask();
        (*watcher)->flush();
    }
    timer_->at(topology_.deadline());
    if (const ServerAddress* const master = topology_.master(); master && *master != reported_) {
        reported_ = *master;
        owner_.master_decided(*master);
    } else if (const std::optional<Error> why = topology_.round_failed()) {
        owner_.no_master(*why);
    }
    owner_.watch_turn_end();
}

// Connections to those that are to be connected to, and to no others.
void SentinelWatch::adjust() {
    const std::vector<SentinelTopology::Sentinel>& wanted = topology_.sentinels();
    std::erase_if(watchers_, [&](const auto& watcher) {
        return std::none_of(wanted.begin(), wanted.end(),
                            [&](const SentinelTopology::Sentinel& one) { return one.id == watcher->id(); });
    });
    for (const SentinelTopology::Sentinel& one : wanted) {
        if (std::any_of(watchers_.begin(), watchers_.end(),
                        [&](const auto& watcher) { return watcher->id() == one.id; }))
            continue;
        watchers_.push_back(std::make_unique<Watcher>(*this, one));
        watchers_.back()->start();
    }
}

}  // namespace fanwire::core
