// The bytes of a Python str or bytes-like object for the time of one call.
#pragma once

#include <pybind11/pybind11.h>

namespace fanwire::python {

class BytesView {
 public:
    // A channel or pattern. Lone surrogates stand for bytes that are not UTF-8, as Message.channel makes them.
    static BytesView of_name(pybind11::handle name, const char* what);
    // A payload, already mapped to str or bytes.
    static BytesView of_payload(pybind11::handle value);

    BytesView(BytesView&& other) noexcept;
    BytesView(const BytesView&) = delete;
    BytesView& operator=(const BytesView&) = delete;
    ~BytesView();

    const char* data() const { return data_; }
    std::size_t size() const { return size_; }

 private:
    BytesView() = default;
    bool take_text(PyObject* text);
    bool take_buffer(PyObject* object);

    Py_buffer buffer_{};  // held when buffer_.obj is set
    pybind11::object encoded_;
    const char* data_ = "";
    std::size_t size_ = 0;
};

}  // namespace fanwire::python
