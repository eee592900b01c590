// What callers ask of others by way of the engine: how many subscribers channels have, and requests.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "core/backend/backend.h"
#include "core/base/settings.h"
#include "core/engine/outbox.h"
#include "core/engine/questions.h"
#include "core/engine/requests.h"
#include "core/fanout/fanout.h"
#include "core/message/frame.h"
#include "core/message/names.h"

namespace fanwire::core {

class Inquiries {
 public:
    using Deadline = std::chrono::steady_clock::time_point;
    using NumsubDone = std::function<void(const Error& why, const MessageRef& answer)>;

    // `backend`: made before the first turn. `wake`: the IO thread is to call turn(); called on any thread.
    Inquiries(const Settings& settings, const Namespace& names, Fanout& fanout, Outbox& outbox,
              const std::unique_ptr<Backend>& backend, std::function<void()> wake);
    Inquiries(const Inquiries&) = delete;
    Inquiries& operator=(const Inquiries&) = delete;

    // ---- Thread: any. See Engine. ----

    void numsub(std::span<const std::string_view> channels, NumsubDone done);
    void numsub(std::span<const std::string_view> channels, std::shared_ptr<Inbox> inbox, void* user_data);
    void numsub_wait(std::span<const std::string_view> channels, std::uint64_t* counts, Deadline deadline);
    std::shared_ptr<Request> request(std::string_view channel, std::string_view payload, std::uint64_t expect,
                                     std::uint64_t timeout, std::shared_ptr<Inbox> inbox, void* user_data);
    bool cancel(const std::shared_ptr<Request>& request) noexcept;
    void reply(const Message& request, std::string_view payload);
    void shut() noexcept;

    // ---- IO thread ----

    // Takes up what is new. Throws std::bad_alloc: what is left is for the next turn.
    void turn();
    Requests& requests() { return requests_; }
    // Those that nobody has taken up fail.
    void end_questions(const Error& why) noexcept { questions_.end(why); }

 private:
    void ask(std::span<const std::string_view> channels, TimeMs deadline, NumsubDone done);
    void take_questions();
    Requests::Engine for_requests();

    const Settings& settings_;
    const Namespace& names_;
    Fanout& fanout_;
    Outbox& outbox_;
    const std::unique_ptr<Backend>& backend_;
    const std::function<void()> wake_;
    const frame::Address::Id reply_id_ = frame::random_id();
    Questions questions_;
    Requests requests_;
};

}  // namespace fanwire::core
