// Whether __init__ has run: the garbage collector may look at an object before.
#pragma once

#include <pybind11/pybind11.h>

namespace fanwire::python {

inline bool is_constructed(PyObject* object) {
#if PYBIND11_VERSION_MAJOR >= 3
    return pybind11::detail::is_holder_constructed(object);
#else  // Debian 12 has 2.10, Debian 13 2.13
    using namespace pybind11::detail;
    auto* const instance = reinterpret_cast<pybind11::detail::instance*>(object);
    for (const value_and_holder& holder : values_and_holders(instance))
        if (!holder.holder_constructed()) return false;
    return true;
#endif
}

}  // namespace fanwire::python
