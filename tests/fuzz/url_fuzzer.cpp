// parse_url() and redact_url() on any text.
#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/other_clients.h"
#include "core/base/settings.h"
#include "core/base/url.h"
#include "tests/fuzz/script.h"

using namespace fanwire::core;
using fanwire::fuzz::require;

namespace {

// Whether the text can be told from everything else that is shown: without an asterisk, so that it has no part in "***"
// and does not reach across it; not a piece of "password" itself; and only once in the URL.
bool can_be_told(const std::string& secret, const std::string& text) {
    return secret.size() >= 6 && secret.find('*') == secret.npos &&
           std::string_view("password").find(secret) == std::string_view::npos && text.find(secret) != text.npos &&
           text.find(secret) == text.rfind(secret);
}

// Whether the value of such a parameter is shown: of the settings that are no secret, and of the names of other
// clients. A name that nobody knows may be a misspelt password.
bool is_shown(const std::string& name) {
    const auto& rows = option_rows();
    return is_shown_of_other_clients(name) ||
           std::any_of(rows.begin(), rows.end(), [&](const OptionRow& row) { return !row.secret && name == row.name; });
}

std::string password_of(const Url& url) {
    for (const UrlPart& part : url.parts)
        if (part.setting == "password") return part.value;
    return {};
}

// The value of the first "password=" in what is or could be a query; empty when an '@' leaves it open where that
// begins.
std::string query_password_of(const std::string& text) {
    if (text.find('@') != text.npos) return {};
    const std::size_t query = text.find('?', std::min(text.find("://"), text.size()));
    if (query == text.npos) return {};
    std::size_t at = text.find("password=", query);
    if (at == text.npos || (at - 1 != query && text[at - 1] != '&')) return {};
    at += 9;
    return text.substr(at, text.find('&', at) - at);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(fanwire::fuzz::text_of(data, size));
    const std::string shown = redact_url(text);
    const std::string value = query_password_of(text);
    require(!can_be_told(value, text) || shown.find(value) == shown.npos,
            "no password of a query is shown, be it a URL or not", shown);
    try {
        const Url url = parse_url(text);
        require(redact_url(shown) == shown, "a redacted URL is redacted", shown);
        std::set<std::string> seen;
        for (const UrlPart& part : url.parts)
            require(seen.insert(part.setting).second, "no setting comes twice", part.setting);
        require(url.transport == UrlTransport::memory || url.memory_name.empty(), "only memory:// has that name", text);

        // What is shown is a URL still, and says the same but for what is hidden.
        const std::string password = password_of(url);
        const Url again = parse_url(shown);
        require(again.transport == url.transport && again.memory_name == url.memory_name, "the same place", shown);
        require(again.parts.size() == url.parts.size(), "the same settings", shown);
        for (std::size_t i = 0; i < url.parts.size(); ++i) {
            const UrlPart &before = url.parts[i], &after = again.parts[i];
            require(before.setting == after.setting, "the same settings", shown);
            const bool hidden = !is_shown(before.setting) && !before.value.empty();
            require(after.value == (hidden ? "***" : before.value), "the same values, and no secrets", shown);
        }
        // If it stands plainly in the place of one: the same text elsewhere is nobody's password.
        if (!can_be_told(password, text)) return 0;
        const std::size_t at = text.find(password), end = at + password.size();
        const bool of_user = at > 0 && text[at - 1] == ':' && text.compare(end, 1, "@") == 0;
        const bool of_query = at >= 9 && text.compare(at - 9, 9, "password=") == 0;
        require((!of_user && !of_query) || shown.find(password) == shown.npos, "the password is not shown", shown);
    } catch (const Failure& failure) {
        require(failure.status() == Status::INVALID_URL, "INVALID_URL", failure.what());
        require(!failure.error().text.empty(), "there is a text", text);
    }
    return 0;
}
