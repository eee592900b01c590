#include "envelope.h"

#include <cstddef>
#include <cstring>
#include <string_view>

#include "environment.h"

namespace fanwire::node {
namespace {

napi_value element(napi_env env, napi_value array, uint32_t index) {
    napi_value value = nullptr;
    check(env, napi_get_element(env, array, index, &value));
    return value;
}

// A number that is whole and not negative, which lib/ has seen to.
uint64_t whole(napi_env env, napi_value value) {
    double number = 0;
    check(env, napi_get_value_double(env, value, &number));
    return static_cast<uint64_t>(number);
}

// encodeEnvelope(payload, type, ids, [sequence, timestampMs], [replyTo, correlationId, dedupeId]): a Buffer.
// ids: a Uint8Array of 32 bytes, the publisher and the excluded connection
napi_value encode_envelope(const Call& call) {
    napi_env env = call.env();
    const Bytes payload(env, call[0]), ids(env, call[2]), reply_to(env, element(env, call[4], 0)),
        correlation_id(env, element(env, call[4], 1)), dedupe_id(env, element(env, call[4], 2));
    fanwire_envelope envelope = {};
    envelope.payload = payload.data();
    envelope.payload_size = payload.size();
    envelope.reply_to = reply_to.data();
    envelope.reply_to_size = reply_to.size();
    envelope.correlation_id = correlation_id.data();
    envelope.correlation_id_size = correlation_id.size();
    envelope.dedupe_id = dedupe_id.data();
    envelope.dedupe_id_size = dedupe_id.size();
    envelope.sequence = whole(env, element(env, call[3], 0));
    envelope.timestamp_ms = whole(env, element(env, call[3], 1));
    if (ids.size() != sizeof envelope.publisher + sizeof envelope.excluded) throw_plain(env, "expected two ids");
    std::memcpy(envelope.publisher, ids.data(), sizeof envelope.publisher);
    std::memcpy(envelope.excluded, ids.data() + sizeof envelope.publisher, sizeof envelope.excluded);
    envelope.type = static_cast<int>(call.number(1));
    size_t size = 0;
    Environment::of(env)->check(fanwire_envelope_encode(&envelope, sizeof envelope, nullptr, &size));
    napi_value buffer = nullptr;
    void* out = nullptr;
    check(env, napi_create_buffer(env, size, &out, &buffer));
    Environment::of(env)->check(fanwire_envelope_encode(&envelope, sizeof envelope, static_cast<char*>(out), &size));
    return buffer;
}

napi_value id_buffer(napi_env env, const unsigned char (&id)[16]) {
    napi_value buffer = nullptr;
    check(env, napi_create_buffer_copy(env, sizeof id, id, nullptr, &buffer));
    return buffer;
}

// decodeEnvelope(bytes): [kind, type, publisher, sequence, excluded, timestampMs, and of payload, replyTo,
// correlationId and dedupeId each where it begins and ends in the bytes]
napi_value decode_envelope(const Call& call) {
    napi_env env = call.env();
    const Bytes bytes(env, call[0]);
    fanwire_envelope envelope = {};
    Environment::of(env)->check(fanwire_envelope_decode(bytes.data(), bytes.size(), &envelope, sizeof envelope));
    napi_value result = make_array(env);
    uint32_t index = 0;
    append(env, result, index++, make_text(env, fanwire_name(FANWIRE_NAMES_ENVELOPE_KIND, envelope.kind)));
    append(env, result, index++, make_text(env, fanwire_name(FANWIRE_NAMES_PAYLOAD_TYPE, envelope.type)));
    append(env, result, index++, id_buffer(env, envelope.publisher));
    append(env, result, index++, make_number(env, static_cast<double>(envelope.sequence)));
    append(env, result, index++, id_buffer(env, envelope.excluded));
    append(env, result, index++, make_number(env, static_cast<double>(envelope.timestamp_ms)));
    const std::string_view parts[] = {{envelope.payload, envelope.payload_size},
                                      {envelope.reply_to, envelope.reply_to_size},
                                      {envelope.correlation_id, envelope.correlation_id_size},
                                      {envelope.dedupe_id, envelope.dedupe_id_size}};
    for (const std::string_view part : parts) {
        const auto begin = part.empty() ? 0 : part.data() - bytes.data();
        append(env, result, index++, make_number(env, static_cast<double>(begin)));
        append(env, result, index++,
               make_number(env, static_cast<double>(begin + static_cast<std::ptrdiff_t>(part.size()))));
    }
    return result;
}

}  // namespace

void export_envelope(napi_env env, napi_value exports) {
    export_function<encode_envelope>(env, exports, "encodeEnvelope");
    export_function<decode_envelope>(env, exports, "decodeEnvelope");
}

}  // namespace fanwire::node
