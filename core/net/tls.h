// The client's side of TLS without a socket: bytes of the wire go in and come out, and so do those of the application.
// Nothing here waits, and nothing of OpenSSL is set for the whole process.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/settings.h"

struct bio_method_st;
struct ssl_ctx_st;
struct ssl_st;

namespace fanwire::core {

// Whom to trust and how to answer. Immutable; shared by all connections of an engine, whatever servers they go to.
class TlsContext {
 public:
    struct Config {
        std::string ca_file;  // empty: the system's authorities
        std::string cert_file, key_file;
        TlsVerify verify = TlsVerify::full;
    };

    // Reads the files. Throws Failure INVALID_OPTION that names the setting and the file, NO_MEMORY or SYSTEM_ERROR.
    explicit TlsContext(Config config);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    const Config& config() const { return config_; }

    // Throws Failure INVALID_OPTION if no server can be expected to have this name (TlsSession).
    void check_name(std::string_view server_name) const;

 private:
    friend class TlsSession;

    void trust();
    void use_certificate();

    const Config config_;
    ssl_ctx_st* context_ = nullptr;
    bio_method_st* wire_ = nullptr;
};

// One connection. What write() took is out of the caller's hands, as with a socket: it waits in output() at most.
class TlsSession {
 public:
    // `server_name`: the name that the server's certificate must be for: a DNS name, which is the SNI too, or an IP
    // address. Throws as TlsContext::check_name(), or std::bad_alloc.
    TlsSession(std::shared_ptr<const TlsContext> context, std::string_view server_name);
    ~TlsSession();  // says nothing to the server: after a fork the connection is another process's
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    enum class State {
        handshaking,  // advance() when something was fed
        open,
        ended,   // the server said that nothing follows
        failed,  // error() says why; output() may hold an alert for the server
    };
    State state() const { return state_; }
    const Error& error() const { return error_; }

    // Bytes from the wire. They stay the caller's and must live until hungry(), which must be so before the next ones.
    void feed(std::string_view bytes) { input_ = bytes; }
    // Whether read() and advance() can do nothing before more is fed.
    bool hungry() const { return input_.empty() && !more_; }

    // Whether anything came from the server yet.
    bool answered() const { return !first_input_; }
    // What to say of a server that answered like this.
    static std::string not_spoken(std::string_view answer);

    // Begins the handshake and goes on with it.
    void advance();
    // Bytes of the application, as many as there are and fit.
    std::size_t read(char* buffer, std::size_t size);
    // Takes all or nothing. Nothing when the connection is over, and while a message of TLS itself has come in part:
    // then again after the next read(), with the same bytes or others. Large texts should be cut, as output() holds as
    // much.
    [[nodiscard]] bool write(std::string_view bytes);
    // Says goodbye, if there is somebody to say it to.
    void finish();

    // Bytes for the wire.
    std::string_view output() const { return std::string_view(output_.data(), output_.size()).substr(sent_); }
    void sent(std::size_t size);

    // What it means that the connection ended now, for `why`.
    Error explain_end(Error why) const;

 private:
    friend class TlsContext;
    struct Callbacks;  // what OpenSSL calls

    bool expect_name();
    void judge(int result);
    void fail(Error error);
    Error error_of(unsigned long code) const;

    const std::shared_ptr<const TlsContext> context_;
    const std::string server_name_;
    ssl_st* ssl_ = nullptr;
    State state_ = State::handshaking;
    Error error_;
    Error untrusted_;          // what the verification of the certificate found
    Error unsaid_;             // why output() could not take something
    bool cert_asked_ = false;  // the server wants a certificate of ours
    bool received_ = false;    // bytes of the application came
    bool first_input_ = true;
    bool more_ = false;  // there is more to read() of what was fed
    std::string_view input_;
    std::vector<char> output_;
    std::size_t sent_ = 0;  // of output_
};

// The version of OpenSSL in use, "3.0.15"; static.
const char* openssl_version();

}  // namespace fanwire::core
