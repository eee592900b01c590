#include "core/net/tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <new>
#include <utility>

#include "core/base/text.h"
#include "core/net/authorities.h"

namespace fanwire::core {

namespace {

constexpr std::size_t output_max = 1024 * 1024;  // no honest server makes us answer that much
constexpr std::size_t names_shown = 8;           // of a certificate

// Leaves the error queue of a thread that is not ours as it was found.
class ErrorMark {
 public:
    ErrorMark() { ERR_set_mark(); }
    ~ErrorMark() { ERR_pop_to_mark(); }
    ErrorMark(const ErrorMark&) = delete;
    ErrorMark& operator=(const ErrorMark&) = delete;
};

template <class T, void (*destroy)(T*)>
struct Freed {
    void operator()(T* object) const { destroy(object); }
};
using Bytes = std::unique_ptr<BIO, Freed<BIO, BIO_free_all>>;
using Names = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES, GENERAL_NAMES_free>>;

std::string reason_of(unsigned long code) {
    const char* reason = ERR_reason_error_string(code);
    if (reason) return reason;
    if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
    return "error " + std::to_string(code) + " of OpenSSL";
}

bool is_ip_address(const std::string& name) {
    in6_addr address;
    return inet_pton(AF_INET, name.c_str(), &address) == 1 || inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

// As certificates and the SNI have it: no root's dot, no zone of an IPv6 address.
std::string certificate_name(std::string_view name) {
    if (name.find(':') != std::string_view::npos) name = name.substr(0, name.find('%'));
    if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
    return std::string(name);
}

// An empty name would mean that any will do, and one with a dot before it any of a domain.
bool is_usable_name(const std::string& name) {
    return !name.empty() && name.front() != '.' && name.find('\0') == std::string::npos;
}

// ---- Certificates as text -----------------------------------------------------------------------------------------

std::string text_of(const X509_NAME* name) {
    const Bytes bytes(BIO_new(BIO_s_mem()));
    if (!bytes) throw std::bad_alloc();
    X509_NAME_print_ex(bytes.get(), name, 0, XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
    char* text = nullptr;
    const long size = BIO_get_mem_data(bytes.get(), &text);
    return quote({text, static_cast<std::size_t>(size)}, 128);
}

std::string text_of(const ASN1_TIME* time) {
    std::tm parts{};
    char text[64];
    if (ASN1_TIME_to_tm(time, &parts) != 1) return "a time that cannot be read";
    std::snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                  parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    return text;
}

// "" for kinds of names that are none of servers.
std::string text_of(const GENERAL_NAME* name) {
    int kind = 0;
    const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &kind));
    if (kind != GEN_DNS && kind != GEN_IPADD) return "";
    const auto* data = ASN1_STRING_get0_data(value);
    const auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
    if (kind == GEN_DNS) return quote({reinterpret_cast<const char*>(data), size});
    char text[INET6_ADDRSTRLEN];
    const int family = size == 4 ? AF_INET : AF_INET6;
    if ((size != 4 && size != 16) || !inet_ntop(family, data, text, sizeof text)) return "";
    return quote(text);
}

// The names a server's certificate is for: "\"a.example\", \"10.0.0.1\"".
std::string names_of(const X509* cert) {
    const Names names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr)));
    std::string text;
    std::size_t count = 0;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const std::string one = text_of(sk_GENERAL_NAME_value(names.get(), i));
        if (one.empty() || ++count > names_shown) continue;
        text += (text.empty() ? "" : ", ") + one;
    }
    if (count > names_shown) text += " and " + std::to_string(count - names_shown) + " more";
    return count > 0 ? text : text_of(X509_get_subject_name(cert));
}

std::string system_authorities_text() {
    const Authorities found = system_authorities();
    if (found.file.empty() && found.directory.empty())
        return "nobody: the system has no authorities (a package such as ca-certificates brings them; tls_ca_file "
               "names others)";
    return "the system, " + quote(found.file.empty() ? found.directory : found.file, 256) +
           " (tls_ca_file names others)";
}

// Whether the common name of its subject is this one.
bool is_common_name(const X509* cert, const std::string& name) {
    const X509_NAME* subject = X509_get_subject_name(cert);
    for (int at = -1; (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;) {
        const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
        const auto size = static_cast<std::size_t>(ASN1_STRING_length(text));
        if (size == name.size() &&
            strncasecmp(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), name.c_str(), size) == 0)
            return true;
    }
    return false;
}

// An address in the CN is never looked at, and a name there only when subjectAltName has none.
Error wrong_name(const X509* cert, const std::string& expected) {
    if (is_common_name(cert, expected))
        return {Status::TLS_WRONG_NAME,
                "the server's certificate has " + quote(expected) +
                    " in the CN of its subject alone, which is not looked at: the certificate needs subjectAltName=" +
                    (is_ip_address(expected) ? "IP:" : "DNS:") + expected +
                    "; without it, tls_verify=ca checks the authority and no name"};
    return {Status::TLS_WRONG_NAME, "the server's certificate is for " + names_of(cert) + ", not for " +
                                        quote(expected) +
                                        "; tls_server_name sets the name to expect, tls_verify=ca expects none"};
}

// What X509_verify_cert() found wrong with `cert`, at `depth` above the server's own.
Error verification_error(int code, int depth, const X509* cert, const TlsContext::Config& config,
                         const std::string& server_name) {
    if (code == X509_V_ERR_OUT_OF_MEM) return {Status::NO_MEMORY, "out of memory"};
    if (!cert)
        return {Status::TLS_UNTRUSTED, std::string("the server showed no certificate that can be checked: ") +
                                           X509_verify_cert_error_string(code)};
    const std::string whose = depth == 0
                                  ? "the server's certificate, of " + names_of(cert) + ","
                                  : "the certificate of its authority, " + text_of(X509_get_subject_name(cert)) + ",";
    switch (code) {
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return wrong_name(cert, server_name);
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return {Status::TLS_EXPIRED, whose + " expired at " + text_of(X509_get0_notAfter(cert))};
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return {Status::TLS_EXPIRED, whose + " is not valid before " + text_of(X509_get0_notBefore(cert))};
        default:
            return {
                Status::TLS_UNTRUSTED,
                whose + " issued by " + text_of(X509_get_issuer_name(cert)) +
                    ", is not trusted: " + X509_verify_cert_error_string(code) + "; trusted are the authorities of " +
                    (config.ca_file.empty() ? system_authorities_text() : "tls_ca_file " + quote(config.ca_file, 256))};
    }
}

// ---- Files --------------------------------------------------------------------------------------------------------

[[noreturn]] void reject(const char* setting, const std::string& path, const std::string& why) {
    throw Failure(Status::INVALID_OPTION, std::string(setting) + " " + quote(path, 256) + " " + why);
}

// OpenSSL's words for a missing file are poor.
void check_readable(const char* setting, const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char byte;
    const bool readable = fd >= 0 && read(fd, &byte, 1) >= 0;
    const std::string why = readable ? "" : std::strerror(errno);
    if (fd >= 0) close(fd);
    if (!readable) reject(setting, path, "cannot be read: " + why);
}

[[noreturn]] void reject_content(const char* setting, const std::string& path, const std::string& why) {
    const unsigned long code = ERR_peek_last_error();
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) throw Failure(Status::NO_MEMORY, "out of memory");
    reject(setting, path, why + (code ? ": " + reason_of(code) : ""));
}

int refuse_password(char*, int, int, void* asked) {  // OpenSSL's own would ask on the terminal
    *static_cast<bool*>(asked) = true;
    return -1;
}

}  // namespace

// ---- What OpenSSL calls: no exception may leave these -------------------------------------------------------------

struct TlsSession::Callbacks {
    static TlsSession& session(BIO* wire) { return *static_cast<TlsSession*>(BIO_get_data(wire)); }

    static int read(BIO* wire, char* data, std::size_t size, std::size_t* done) {
        TlsSession& self = session(wire);
        BIO_clear_retry_flags(wire);
        *done = std::min(size, self.input_.size());
        if (*done == 0) {
            BIO_set_retry_read(wire);
            return 0;
        }
        std::memcpy(data, self.input_.data(), *done);
        self.input_.remove_prefix(*done);
        return 1;
    }

    // Takes everything: a record that is made cannot be unmade, so its bytes count as written.
    static int write(BIO* wire, const char* data, std::size_t size, std::size_t* done) {
        TlsSession& self = session(wire);
        BIO_clear_retry_flags(wire);
        *done = 0;
        if (self.output_.size() - self.sent_ > output_max) {
            self.unsaid_ = Error::of(Status::TLS_FAILED, {"the server makes us answer more than it reads"});
            return 0;
        }
        try {
            self.output_.insert(self.output_.end(), data, data + size);
        } catch (const std::bad_alloc&) {
            self.unsaid_ = Error::of(Status::NO_MEMORY, {"out of memory"});
            return 0;
        }
        *done = size;
        return 1;
    }

    static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

    static int verify(int fine, X509_STORE_CTX* verification) {
        if (fine) return 1;
        auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
        auto& self = *static_cast<TlsSession*>(SSL_get_app_data(ssl));
        try {
            self.untrusted_ = verification_error(
                X509_STORE_CTX_get_error(verification), X509_STORE_CTX_get_error_depth(verification),
                X509_STORE_CTX_get_current_cert(verification), self.context_->config(), self.server_name_);
        } catch (const std::bad_alloc&) {
            self.untrusted_ = {Status::NO_MEMORY, {}};
        }
        return 0;
    }

    // Called when the server has asked for a certificate.
    static int certificate(SSL*, void* self) {
        static_cast<TlsSession*>(self)->cert_asked_ = true;
        return 1;
    }
};

// ---- TlsContext ---------------------------------------------------------------------------------------------------

TlsContext::TlsContext(Config config) : config_(std::move(config)) {
    // Who initialises OpenSSL first decides whether it tears itself down at exit(). It must not while an engine that
    // the program left open is still at work on its thread; the process's end frees everything anyway. Before anything
    // else: even ERR_set_mark() initialises.
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
    const ErrorMark mark;
    try {
        context_ = SSL_CTX_new(TLS_client_method());
        // No BIO_get_new_index(): its numbers are few and for the whole process, and nobody looks for ours.
        wire_ = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "fanwire");
        if (!context_ || !wire_)
            throw Failure(Status::SYSTEM_ERROR, "OpenSSL cannot start: " + reason_of(ERR_peek_last_error()));
        BIO_meth_set_read_ex(wire_, TlsSession::Callbacks::read);
        BIO_meth_set_write_ex(wire_, TlsSession::Callbacks::write);
        BIO_meth_set_ctrl(wire_, TlsSession::Callbacks::control);
        // 0: any; the system's policy may be stricter already.
        if (SSL_CTX_get_min_proto_version(context_) < TLS1_2_VERSION)
            SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
        SSL_CTX_set_options(context_, SSL_OP_NO_RENEGOTIATION);
        SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
        trust();
        use_certificate();
    } catch (...) {
        SSL_CTX_free(context_);
        BIO_meth_free(wire_);
        throw;
    }
}

TlsContext::~TlsContext() {
    SSL_CTX_free(context_);
    BIO_meth_free(wire_);
}

void TlsContext::trust() {
    if (!config_.ca_file.empty()) {
        check_readable("tls_ca_file", config_.ca_file);
        if (SSL_CTX_load_verify_file(context_, config_.ca_file.c_str()) != 1)
            reject_content("tls_ca_file", config_.ca_file, "has no certificates in PEM form");
    } else {
        // When there are none, nobody is trusted. Those that cannot be read are no error of ours: the handshake says
        // it.
        const Authorities found = system_authorities();
        if (!found.file.empty()) SSL_CTX_load_verify_file(context_, found.file.c_str());
        if (!found.directory.empty()) SSL_CTX_load_verify_dir(context_, found.directory.c_str());
    }
    const bool verify = config_.verify != TlsVerify::none;
    SSL_CTX_set_verify(context_, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       verify ? TlsSession::Callbacks::verify : nullptr);
}

void TlsContext::check_name(std::string_view server_name) const {
    const std::string name = certificate_name(server_name);
    if (config_.verify == TlsVerify::full && !is_usable_name(name))
        throw Failure(Status::INVALID_OPTION,
                      "tls_server_name must be a host name or an IP address, not " + quote(name));
}

void TlsContext::use_certificate() {
    if (config_.cert_file.empty()) return;
    bool encrypted = false;
    SSL_CTX_set_default_passwd_cb(context_, refuse_password);
    SSL_CTX_set_default_passwd_cb_userdata(context_, &encrypted);
    check_readable("tls_cert_file", config_.cert_file);
    if (SSL_CTX_use_certificate_chain_file(context_, config_.cert_file.c_str()) != 1)
        reject_content("tls_cert_file", config_.cert_file, "has no certificate in PEM form");
    check_readable("tls_key_file", config_.key_file);
    if (SSL_CTX_use_PrivateKey_file(context_, config_.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        if (encrypted) reject("tls_key_file", config_.key_file, "is encrypted, which is not supported");
        const unsigned long code = ERR_peek_last_error();
        if (ERR_GET_LIB(code) == ERR_LIB_X509 &&
            (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH || ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH))
            reject("tls_key_file", config_.key_file, "is not the key of the certificate in tls_cert_file");
        reject_content("tls_key_file", config_.key_file, "has no private key in PEM form");
    }
    // A key of another type than the certificate's is kept beside it without a word.
    if (SSL_CTX_check_private_key(context_) != 1)
        reject("tls_key_file", config_.key_file, "is not the key of the certificate in tls_cert_file");
    SSL_CTX_set_default_passwd_cb_userdata(context_, nullptr);
    SSL_CTX_set_default_passwd_cb(context_, nullptr);
}

// ---- TlsSession ---------------------------------------------------------------------------------------------------

TlsSession::TlsSession(std::shared_ptr<const TlsContext> context, std::string_view server_name)
    : context_(std::move(context)), server_name_(certificate_name(server_name)) {
    context_->check_name(server_name_);
    ssl_ = SSL_new(context_->context_);
    BIO* wire = BIO_new(context_->wire_);
    if (!ssl_ || !wire || !expect_name()) {
        SSL_free(ssl_);
        BIO_free(wire);
        ERR_clear_error();
        throw std::bad_alloc();
    }
    BIO_set_data(wire, this);
    BIO_set_init(wire, 1);
    SSL_set_bio(ssl_, wire, wire);
    SSL_set_app_data(ssl_, this);
    SSL_set_cert_cb(ssl_, Callbacks::certificate, this);
    SSL_set_connect_state(ssl_);
}

// What the server is asked for and must show. False: no memory.
bool TlsSession::expect_name() {
    const bool is_address = is_ip_address(server_name_);
    if (!is_address && SSL_set_tlsext_host_name(ssl_, server_name_.c_str()) != 1) return false;
    if (context_->config().verify != TlsVerify::full) return true;
    X509_VERIFY_PARAM* expected = SSL_get0_param(ssl_);
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return (is_address ? X509_VERIFY_PARAM_set1_ip_asc(expected, server_name_.c_str())
                       : X509_VERIFY_PARAM_set1_host(expected, server_name_.data(), server_name_.size())) == 1;
}

TlsSession::~TlsSession() {
    SSL_free(ssl_);
}

std::string TlsSession::not_spoken(std::string_view answer) {
    return "the server does not speak TLS, it answered " + quote(answer.substr(0, answer.find_first_of("\r\n")), 40) +
           "; redis:// is for servers without TLS";
}

void TlsSession::advance() {
    if (state_ != State::handshaking) return;
    if (first_input_ && !input_.empty()) {
        first_input_ = false;
        // A record's type and version: an alert or a part of the handshake, 3.x.
        const bool record = (input_[0] == 0x15 || input_[0] == 0x16) && (input_.size() < 2 || input_[1] == 0x03);
        if (!record) return fail({Status::TLS_NOT_SPOKEN, not_spoken(input_)});
    }
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result != 1) return judge(result);
    state_ = State::open;
    more_ = true;  // the application's first bytes may have come with the handshake's last
}

std::size_t TlsSession::read(char* buffer, std::size_t size) {
    more_ = false;
    std::size_t done = 0;
    while (state_ == State::open && done < size) {
        std::size_t got = 0;
        ERR_clear_error();
        const int result = SSL_read_ex(ssl_, buffer + done, size - done, &got);
        if (result != 1) {
            judge(result);
            break;
        }
        done += got;
        received_ = true;
    }
    more_ = done == size;
    return done;
}

bool TlsSession::write(std::string_view bytes) {
    if (state_ != State::open) return false;
    if (bytes.empty()) return true;
    std::size_t done = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &done);
    if (result != 1) judge(result);
    return result == 1;
}

void TlsSession::finish() {
    if (state_ != State::open) return;
    ERR_clear_error();
    SSL_shutdown(ssl_);
    state_ = State::ended;
}

void TlsSession::sent(std::size_t size) {
    sent_ += size;
    if (sent_ < output_.size()) return;
    output_.clear();
    sent_ = 0;
}

// What an operation that did not succeed means.
void TlsSession::judge(int result) {
    const int kind = SSL_get_error(ssl_, result);
    if (kind == SSL_ERROR_WANT_READ) return;
    if (kind == SSL_ERROR_ZERO_RETURN) {
        input_ = {};
        state_ = State::ended;
        return;
    }
    const unsigned long code = ERR_peek_error();
    // What the verification found ended the handshake, whatever OpenSSL lists as the first cause.
    if (untrusted_ && state_ == State::handshaking)
        fail(std::move(untrusted_));
    else if (unsaid_)
        fail(std::move(unsaid_));
    else
        fail(error_of(code));
    ERR_clear_error();
}

void TlsSession::fail(Error error) {
    input_ = {};
    error_ = std::move(error);
    state_ = State::failed;
}

Error TlsSession::error_of(unsigned long code) const {
    const std::string reason = code ? reason_of(code) : "OpenSSL does not say why";
    const bool have_cert = !context_->config().cert_file.empty();
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) return {Status::NO_MEMORY, "out of memory"};
    switch (ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0) {
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:  // so it was said before TLS 1.3
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
            if (!cert_asked_) break;
            if (have_cert) return {Status::TLS_FAILED, "the server refused our certificate, tls_cert_file: " + reason};
            return {Status::TLS_FAILED,
                    "the server demands a certificate of ours, tls_cert_file and tls_key_file: " + reason};
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        case SSL_R_UNSUPPORTED_PROTOCOL:
            return {Status::TLS_FAILED, "the server speaks neither TLS 1.2 nor 1.3: " + reason};
        default:
            break;
    }
    return {Status::TLS_FAILED, (state_ == State::handshaking ? "the TLS handshake failed: " : "TLS broke: ") + reason};
}

Error TlsSession::explain_end(Error why) const {
    if (state_ == State::handshaking)
        return {Status::TLS_FAILED,
                why.text + " during the TLS handshake" + (first_input_ ? "; perhaps it does not speak TLS" : "")};
    // TLS 1.3 tells of a missing certificate after the handshake, when a reset may overtake it.
    if (state_ == State::open && !received_ && cert_asked_ && context_->config().cert_file.empty())
        return {Status::TLS_FAILED,
                why.text + " after it asked for a certificate of ours, tls_cert_file and tls_key_file"};
    return why;
}

const char* openssl_version() {
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

}  // namespace fanwire::core
