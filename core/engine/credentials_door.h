// The door for credentials, from any thread to the IO thread: the newest that it has not taken yet.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/fanout/engine_state.h"
#include "core/protocol/login.h"

namespace fanwire::core {

class CredentialsDoor {
 public:
    // Thread: any. Throws Failure CLOSED or std::bad_alloc, and then has changed nothing.
    void set(std::string username, std::string password) {
        auto fresh = std::make_unique<Credentials>(Credentials{std::move(username), std::move(password)});
        std::lock_guard lock(mutex_);
        if (closed_) throw Failure(closed_error);
        newest_.swap(fresh);
    }
    // None are accepted any more. Thread: any.
    void shut() noexcept {
        std::lock_guard lock(mutex_);
        closed_ = true;
    }

    // Returns null when there are none. IO thread, as what follows.
    std::unique_ptr<Credentials> take() noexcept {
        std::lock_guard lock(mutex_);
        return std::move(newest_);
    }
    // They could not be used for want of memory. Newer ones go before them.
    void put_back(std::unique_ptr<Credentials> credentials) noexcept {
        std::lock_guard lock(mutex_);
        if (!newest_) newest_ = std::move(credentials);
    }

 private:
    std::mutex mutex_;
    std::unique_ptr<Credentials> newest_;
    bool closed_ = false;
};

}  // namespace fanwire::core
