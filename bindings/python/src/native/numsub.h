// How many subscribers channels have.
#pragma once

#include <vector>

#include "bytes_view.h"
#include "failure.h"

namespace fanwire::python {

// Names of channels as the C API takes them.
class Names {
 public:
    // A list or tuple of str or bytes; throws Failure.
    explicit Names(py::handle channels);

    const char* const* data() const { return data_.data(); }
    const std::size_t* sizes() const { return sizes_.data(); }
    std::size_t count() const { return views_.size(); }

 private:
    std::vector<BytesView> views_;
    std::vector<const char*> data_;
    std::vector<std::size_t> sizes_;
};

// The numbers that a NUMSUB event holds: a new list, or nullptr with a Python error set.
PyObject* counts_of(const fanwire_event& event);

}  // namespace fanwire::python
