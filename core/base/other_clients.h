// Query parameters that other Redis clients take in their URLs. REDIS_URL is written for whichever of them a machine's
// programs use: what has the meaning of a setting of ours is understood there, and the others are passed over. In a URL
// that is given to us they are errors, which name our setting. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/url.h"

namespace fanwire::core {

// Puts our settings in the place of such parameters and takes the others of them out; `notes` gets a line for each that
// has no effect, which begins with `context`. What neither we nor the table know stays where it is.
void understand_other_clients(Url& url, const std::string& context, std::vector<std::string>& notes);

// What to say to somebody who uses such a name as a setting of ours: "redis-py's ssl_cert_reqs is our tls_verify
// (true|ca|false)". "" for any other name.
std::string other_clients_hint(std::string_view name);

// Whether it is one of these names and its value may be shown.
bool is_shown_of_other_clients(std::string_view name);

}  // namespace fanwire::core
