// The JSON guard against another parser. Where nlohmann's is stricter than JSON.parse (UTF-8, surrogates, the range of
// numbers) its refusal says nothing; the other way round there is no difference.
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "core/message/json_guard.h"
#include "tests/fuzz/script.h"

using fanwire::core::JsonGuard;
using fanwire::fuzz::require;

namespace {

using Json = nlohmann::ordered_json;

std::string clean(const std::string& text) {
    JsonGuard guard(text);
    std::string in_place = text;
    if (!guard.changes()) return text;
    require(guard.size() < text.size(), "becomes smaller", text);
    std::string apart(guard.size(), '\0');  // of just that size, for the sanitizer
    guard.write(apart.data());
    JsonGuard again(in_place);
    again.write(in_place.data());
    in_place.resize(again.size());
    require(in_place == apart, "in place is the same", text);
    return apart;
}

bool is_forbidden(const std::string& key) {
    return key == "__proto__" || key == "constructor" || key == "prototype";
}

// By its events, which also has what later members of the same key hide. `keep`: leave the forbidden keys out.
struct Rebuild : nlohmann::json_sax<Json> {
    bool keep_forbidden = true, found = false;
    std::string out;
    std::size_t skipping = 0, depth = 0;  // skipping: the depth of the object whose member is being left out, plus one
    bool skip_next = false;

    void put(const std::string& what) {
        if (skipping == 0 && !std::exchange(skip_next, false)) out += what + "\n";
    }
    bool null() override {
        put("null");
        return true;
    }
    bool boolean(bool value) override {
        put(value ? "true" : "false");
        return true;
    }
    bool number_integer(number_integer_t value) override {
        put("i" + std::to_string(value));
        return true;
    }
    bool number_unsigned(number_unsigned_t value) override {
        put("u" + std::to_string(value));
        return true;
    }
    bool number_float(number_float_t, const string_t& spelled) override {
        put("f" + spelled);
        return true;
    }
    bool string(string_t& value) override {
        put("s" + value);
        return true;
    }
    bool binary(binary_t&) override { return false; }
    bool start(const char* bracket) {
        ++depth;
        if (skipping == 0 && std::exchange(skip_next, false)) skipping = depth;
        if (skipping == 0) out += bracket;
        return true;
    }
    bool end(const char* bracket) {
        if (skipping == 0) out += bracket;
        if (skipping == depth) skipping = 0;
        --depth;
        return true;
    }
    bool start_object(std::size_t) override { return start("{\n"); }
    bool end_object() override { return end("}\n"); }
    bool start_array(std::size_t) override { return start("[\n"); }
    bool end_array() override { return end("]\n"); }
    bool key(string_t& value) override {
        found = found || is_forbidden(value);
        if (skipping != 0) return true;
        skip_next = !keep_forbidden && is_forbidden(value);
        if (!skip_next) out += "k" + value + "\n";
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }
};

bool rebuild(const std::string& text, Rebuild& into) {
    return Json::sax_parse(text, &into);
}

// Whether the other parser may refuse what JSON.parse takes.
bool may_be_too_strict(const std::string& text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x80) return true;
    return text.find("\\ud") != text.npos || text.find("\\uD") != text.npos || text.find_first_of("eE") != text.npos ||
           text.size() > 300;  // digits enough for an overflow without an exponent
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(fanwire::fuzz::text_of(data, size));
    const std::string cleaned = clean(text);
    require(clean(cleaned) == cleaned, "once is enough", text);

    std::size_t at = 0;
    for (const char c : text)
        if (at < cleaned.size() && cleaned[at] == c) ++at;
    require(at == cleaned.size(), "nothing is added", text);

    if (text.find('\0') != text.npos) {  // for nlohmann the end of the text
        require(cleaned == text, "what is not JSON stays", text);
        return 0;
    }
    Rebuild expected, result;
    expected.keep_forbidden = false;
    if (!rebuild(text, expected)) {
        require(cleaned == text || may_be_too_strict(text), "what is not JSON stays", text);
        return 0;
    }
    require(rebuild(cleaned, result), "valid JSON stays valid", cleaned);
    require(result.out == expected.out, "the keys go and nothing else", cleaned);
    require(!result.found, "no key is left", cleaned);
    require(expected.found == (cleaned != text), "changed only if there was such a key", text);
    return 0;
}
