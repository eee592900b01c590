#include "bytes_view.h"

#include <string>
#include <utility>

#include "failure.h"

namespace fanwire::python {

namespace {

[[noreturn]] void fail_type(const char* what, const char* wanted, py::handle object) {
    throw Failure{FANWIRE_INVALID_ARGUMENT,
                  std::string("the ") + what + " must be " + wanted + ", not " + Py_TYPE(object.ptr())->tp_name};
}

// The pending Python error's text, which is cleared.
std::string take_error_text() {
    const py::error_already_set error;
    return py::str(error.value()).cast<std::string>();
}

}  // namespace

BytesView::BytesView(BytesView&& other) noexcept
    : buffer_(std::exchange(other.buffer_, Py_buffer{})),
      encoded_(std::move(other.encoded_)),
      data_(other.data_),
      size_(other.size_) {}

BytesView::~BytesView() {
    if (buffer_.obj != nullptr) PyBuffer_Release(&buffer_);
}

bool BytesView::take_text(PyObject* text) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(text, &size);
    if (data == nullptr) return false;
    data_ = data;
    size_ = static_cast<std::size_t>(size);
    return true;
}

bool BytesView::take_buffer(PyObject* object) {
    if (PyObject_GetBuffer(object, &buffer_, PyBUF_SIMPLE) != 0) return false;
    data_ = static_cast<const char*>(buffer_.buf);
    size_ = static_cast<std::size_t>(buffer_.len);
    return true;
}

BytesView BytesView::of_name(py::handle name, const char* what) {
    BytesView view;
    if (PyUnicode_Check(name.ptr())) {
        if (view.take_text(name.ptr())) return view;
        PyErr_Clear();
        view.encoded_ =
            py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(name.ptr(), "utf-8", "surrogateescape"));
        if (!view.encoded_)
            throw Failure{FANWIRE_INVALID_CHANNEL, std::string("the ") + what + " is not text: " + take_error_text()};
        view.data_ = PyBytes_AS_STRING(view.encoded_.ptr());
        view.size_ = static_cast<std::size_t>(PyBytes_GET_SIZE(view.encoded_.ptr()));
        return view;
    }
    if (PyBytes_Check(name.ptr()) && view.take_buffer(name.ptr())) return view;
    fail_type(what, "str or bytes", name);
}

BytesView BytesView::of_payload(py::handle value) {
    BytesView view;
    if (PyUnicode_Check(value.ptr())) {
        if (view.take_text(value.ptr())) return view;
        throw Failure{FANWIRE_INVALID_ARGUMENT, "the value is not text: " + take_error_text()};
    }
    if (view.take_buffer(value.ptr())) return view;
    PyErr_Clear();
    fail_type("value", "str or a contiguous bytes-like object", value);
}

}  // namespace fanwire::python
