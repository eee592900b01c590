// The settings of an engine: where their values come from and what they mean. The table itself is options.def.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/url.h"

namespace fanwire::core {

// The enumerations of the table: Offline, Overflow, ChannelRules, LogLevel.
#define FANWIRE_CHOICE(type, ...) enum class type { __VA_ARGS__ };
#include "core/base/options.def"

// "true", "ca" and "false".
enum class TlsVerify { full, ca, none };

// `custom`: a broker that the application gives, whatever the URL says.
enum class BackendKind { redis, memory, custom };

// One checked value for every row of the table.
struct Settings {
#define FANWIRE_OPTION(member, type, rule, default_value, help) type member{};
#include "core/base/options.def"

    // From the URL's scheme and, for memory://, its name. With `redis`, a unix_path that is not empty is the way to go.
    BackendKind backend = BackendKind::redis;
    std::string memory_name;
    // What `nodes` are; `single`: nothing, the server is at host and port.
    TopologyKind topology = TopologyKind::single;

    // Lines for the log: what the environment says that has no effect.
    std::vector<std::string> notes;
};

// How the environment is read; tests pass a map. An empty variable counts as unset.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

// The settings someone has given explicitly, as text, and what becomes of them together with everything else.
class Options {
 public:
    // Throws UNKNOWN_OPTION, INVALID_OPTION or INVALID_URL and then has changed nothing.
    void set(std::string_view name, std::string_view value);

    // Explicit settings before the URL's, the URL's before the environment's, the environment's before the table's.
    // Throws for a malformed environment variable that is needed, and for values that contradict each other.
    Settings resolve(const Environment& environment) const;

    // The value resolve() finds, as text to show: numbers in their shortest form, secrets as "***".
    // Throws UNKNOWN_OPTION, or what resolve() throws.
    std::string effective(std::string_view name, const Environment& environment) const;

    // Where that value comes from: "option" "url" "environment" "default". Throws as effective() does.
    const char* source(std::string_view name, const Environment& environment) const;

 private:
    std::map<std::string, std::string, std::less<>> explicit_;
};

// A row of the table for those who describe settings. The pointers are valid for ever.
struct OptionRow {
    const char* name;
    const char* type;
    const char* default_value;
    std::string range;
    const char* help;
    bool secret;
};

const std::vector<OptionRow>& option_rows();

}  // namespace fanwire::core
