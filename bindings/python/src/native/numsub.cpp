#include "numsub.h"

#include <cstring>

namespace fanwire::python {

Names::Names(py::handle channels) {
    if (!PyList_Check(channels.ptr()) && !PyTuple_Check(channels.ptr()))
        throw Failure{FANWIRE_INVALID_ARGUMENT, "the channels must be a list of names"};
    const auto sequence = py::reinterpret_borrow<py::sequence>(channels);
    for (const py::handle channel : sequence) views_.push_back(BytesView::of_name(channel, "channel"));
    for (const BytesView& view : views_) {
        data_.push_back(view.data());
        sizes_.push_back(view.size());
    }
}

PyObject* counts_of(const fanwire_event& event) {
    PyObject* list = PyList_New(static_cast<Py_ssize_t>(event.count));
    for (std::uint64_t i = 0; list != nullptr && i < event.count; ++i) {
        std::uint64_t count = 0;
        std::memcpy(&count, event.payload + i * sizeof count, sizeof count);  // it may stand anywhere
        PyObject* number = PyLong_FromUnsignedLongLong(count);
        if (number == nullptr)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), number);
    }
    return list;
}

}  // namespace fanwire::python
