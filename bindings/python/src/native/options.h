// A set of settings.
#pragma once

#include <string>

#include "failure.h"

namespace fanwire::python {

class Options {
 public:
    Options() { check(fanwire_options_create(&handle_)); }
    ~Options() { fanwire_options_destroy(&handle_); }
    Options(const Options&) = delete;
    Options& operator=(const Options&) = delete;

    void set(const std::string& name, const std::string& value);
    std::string get(const std::string& name) const;
    std::string source(const std::string& name) const;

    fanwire_options* handle() const { return handle_; }

 private:
    fanwire_options* handle_ = nullptr;
};

// Throws a Failure of `status` when the text, which C would cut short, holds a NUL.
void refuse_nul(const std::string& text, const char* what, int status);

void define_options(py::module_& module);

}  // namespace fanwire::python
