#include "json.h"

#include <string>

#include "failure.h"

namespace fanwire::python {

namespace {

// Bytes with what stays of `size` bytes at `json`, or nullptr when that is everything.
py::object cleaned(const char* json, Py_ssize_t size) {
    std::size_t kept = 0;
    int changed = 0;
    check(fanwire_json_clean(json, static_cast<std::size_t>(size), nullptr, &kept, &changed));
    if (changed == 0) return {};
    auto result = py::reinterpret_steal<py::object>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(kept)));
    if (!result) throw py::error_already_set();
    char* const out = PyBytes_AS_STRING(result.ptr());
    check(fanwire_json_clean(json, static_cast<std::size_t>(size), out, &kept, &changed));
    return result;
}

// Lone surrogates, which UTF-8 has no place for, come back as they were.
py::object clean_text(const py::object& text) {
    Py_ssize_t size = 0;
    py::object encoded;
    const char* json = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
    if (json == nullptr) {
        PyErr_Clear();
        encoded = py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "surrogatepass"));
        if (!encoded) throw py::error_already_set();
        json = PyBytes_AS_STRING(encoded.ptr());
        size = PyBytes_GET_SIZE(encoded.ptr());
    }
    const py::object kept = cleaned(json, size);
    if (!kept) return text;
    auto result = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(PyBytes_AS_STRING(kept.ptr()), PyBytes_GET_SIZE(kept.ptr()), "surrogatepass"));
    if (!result) throw py::error_already_set();
    return result;
}

py::object clean_json(const py::object& json) {
    if (PyUnicode_Check(json.ptr())) return clean_text(json);
    if (!PyBytes_Check(json.ptr()))
        throw Failure{FANWIRE_INVALID_ARGUMENT,
                      std::string("the JSON must be str or bytes, not ") + Py_TYPE(json.ptr())->tp_name};
    const py::object kept = cleaned(PyBytes_AS_STRING(json.ptr()), PyBytes_GET_SIZE(json.ptr()));
    return kept ? kept : json;
}

}  // namespace

void define_json(py::module_& module) {
    module.def("clean_json", clean_json, py::arg("json"), py::pos_only(),
               R"(JSON without the keys "__proto__", "constructor" and "prototype", for a JavaScript program to parse.

They are taken out at any depth and however they are spelled. What has no such key, or is not JSON, is returned as it
is. Takes and returns str or bytes.)");
}

}  // namespace fanwire::python
