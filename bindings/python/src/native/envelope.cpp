#include "envelope.h"

#include <cstring>
#include <string>

#include "bytes_view.h"
#include "failure.h"

namespace fanwire::python {

namespace {

// What is empty is none.
template <std::size_t size>
void take_id(unsigned char (&id)[size], const py::bytes& bytes, const char* name) {
    const auto given = static_cast<std::string_view>(bytes);
    if (given.empty()) return;
    if (given.size() != size) throw Failure{FANWIRE_INVALID_ARGUMENT, std::string(name) + " must have 16 bytes"};
    std::memcpy(id, given.data(), size);
}

template <std::size_t size>
py::bytes make_id(const unsigned char (&id)[size]) {
    return {reinterpret_cast<const char*>(id), size};
}

py::bytes encode_envelope(const py::object& payload, int type, const py::bytes& publisher, std::uint64_t sequence,
                          const py::bytes& excluded, const py::object& reply_to, const py::object& correlation_id,
                          const py::object& dedupe_id, std::uint64_t timestamp_ms) {
    const BytesView payload_view = BytesView::of_payload(payload),
                    reply_view = BytesView::of_name(reply_to, "reply_to"),
                    correlation_view = BytesView::of_payload(correlation_id),
                    dedupe_view = BytesView::of_payload(dedupe_id);
    fanwire_envelope envelope{};
    envelope.payload = payload_view.data();
    envelope.payload_size = payload_view.size();
    envelope.reply_to = reply_view.data();
    envelope.reply_to_size = reply_view.size();
    envelope.correlation_id = correlation_view.data();
    envelope.correlation_id_size = correlation_view.size();
    envelope.dedupe_id = dedupe_view.data();
    envelope.dedupe_id_size = dedupe_view.size();
    envelope.sequence = sequence;
    envelope.timestamp_ms = timestamp_ms;
    take_id(envelope.publisher, publisher, "publisher");
    take_id(envelope.excluded, excluded, "excluded");
    envelope.type = type;
    std::size_t size = 0;
    check(fanwire_envelope_encode(&envelope, sizeof envelope, nullptr, &size));
    auto bytes = py::reinterpret_steal<py::bytes>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
    if (!bytes) throw py::error_already_set();
    check(fanwire_envelope_encode(&envelope, sizeof envelope, PyBytes_AS_STRING(bytes.ptr()), &size));
    return bytes;
}

// (kind, payload, type, publisher, sequence, excluded, reply_to, correlation_id, dedupe_id, timestamp_ms)
py::tuple decode_envelope(const py::object& data) {
    const BytesView view = BytesView::of_payload(data);
    fanwire_envelope envelope{};
    check(fanwire_envelope_decode(view.data(), view.size(), &envelope, sizeof envelope));
    const auto text = [](const char* bytes, std::size_t size) { return py::bytes(size > 0 ? bytes : "", size); };
    return py::make_tuple(
        fanwire_name(FANWIRE_NAMES_ENVELOPE_KIND, envelope.kind), text(envelope.payload, envelope.payload_size),
        fanwire_name(FANWIRE_NAMES_PAYLOAD_TYPE, envelope.type), make_id(envelope.publisher), envelope.sequence,
        make_id(envelope.excluded), text(envelope.reply_to, envelope.reply_to_size),
        text(envelope.correlation_id, envelope.correlation_id_size), text(envelope.dedupe_id, envelope.dedupe_id_size),
        envelope.timestamp_ms);
}

}  // namespace

void define_envelope(py::module_& module) {
    module.def("encode_envelope", encode_envelope, py::arg("payload"), py::arg("type"), py::arg("publisher"),
               py::arg("sequence"), py::arg("excluded"), py::arg("reply_to"), py::arg("correlation_id"),
               py::arg("dedupe_id"), py::arg("timestamp_ms"), py::pos_only());
    module.def("decode_envelope", decode_envelope, py::arg("data"), py::pos_only());
}

}  // namespace fanwire::python
