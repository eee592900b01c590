#include "options.h"

#include <cstring>

namespace fanwire::python {

void refuse_nul(const std::string& text, const char* what, int status) {
    if (text.size() != std::strlen(text.c_str())) throw Failure{status, std::string(what) + " holds a NUL character"};
}

void Options::set(const std::string& name, const std::string& value) {
    refuse_nul(name, "the name of a setting", FANWIRE_UNKNOWN_OPTION);
    refuse_nul(value, name.c_str(), name == "url" ? FANWIRE_INVALID_URL : FANWIRE_INVALID_OPTION);
    check(fanwire_options_set(handle_, name.c_str(), value.c_str()));
}

std::string Options::get(const std::string& name) const {
    std::string text(256, '\0');
    for (;;) {
        std::size_t size = text.size();
        const int status = fanwire_options_get(handle_, name.c_str(), text.data(), &size);
        if (status != FANWIRE_LIMIT_REACHED || size <= text.size()) {
            check(status);
            return text.c_str();
        }
        text.resize(size);
    }
}

std::string Options::source(const std::string& name) const {
    const char* source = nullptr;
    check(fanwire_options_source(handle_, name.c_str(), &source));
    return source;
}

void define_options(py::module_& module) {
    py::class_<Options>(module, "Options")
        .def(py::init())
        .def("set", &Options::set)
        .def("get", &Options::get)
        .def("source", &Options::source);
}

}  // namespace fanwire::python
