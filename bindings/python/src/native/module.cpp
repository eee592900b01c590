// fanwire._native: fanwire.h as Python objects, and its tables. What is friendly about it is written in Python.
#include <pybind11/stl.h>

#include "bindings/cli/command_line.h"
#include "broker.h"
#include "engine.h"
#include "envelope.h"
#include "failure.h"
#include "fork.h"
#include "gil.h"
#include "inbox.h"
#include "json.h"
#include "log.h"
#include "message.h"
#include "options.h"
#include "outcome.h"
#include "outcomes.h"
#include "publisher.h"
#include "receiver.h"
#include "request.h"

namespace fanwire::python {

namespace {

// (status, name, text, retryable)
py::list status_table() {
    py::list rows;
    for (std::size_t i = 0; i < fanwire_status_count(); ++i) {
        fanwire_status_info row{};
        check(fanwire_status_at(i, &row, sizeof row));
        rows.append(py::make_tuple(row.code, row.name, row.text, row.retryable != 0));
    }
    return rows;
}

// (name, type, default, range, help, secret)
py::list option_table() {
    py::list rows;
    for (std::size_t i = 0; i < fanwire_option_count(); ++i) {
        fanwire_option_info row{};
        check(fanwire_option_at(i, &row, sizeof row));
        rows.append(py::make_tuple(row.name, row.type, row.default_value, row.range, row.help, row.secret != 0));
    }
    return rows;
}

py::dict dependencies() {
    py::dict versions;
    const char* name = nullptr;
    const char* version = nullptr;
    for (std::size_t i = 0; fanwire_dependency_at(i, &name, &version) == FANWIRE_OK; ++i) versions[name] = version;
    return versions;
}

// Of a set of names: {code: name}
py::dict names(int set) {
    py::dict dict;
    for (std::size_t i = 0; i < fanwire_name_count(set); ++i) {
        fanwire_name_info info{};
        check(fanwire_name_at(set, i, &info, sizeof info));
        dict[py::int_(info.code)] = info.name;
    }
    return dict;
}

// Of a set of names: {name: code}
py::dict codes(int set) {
    py::dict dict;
    for (const auto& [code, name] : names(set)) dict[name] = code;
    return dict;
}

void define_constants(py::module_& module) {
    module.attr("EVENT_KINDS") = names(FANWIRE_NAMES_EVENT_KIND);
    module.attr("GAP_REASONS") = names(FANWIRE_NAMES_GAP_REASON);
    module.attr("SUBSCRIPTION_STATES") = names(FANWIRE_NAMES_SUBSCRIPTION_STATE);
    module.attr("ENGINE_STATES") = names(FANWIRE_NAMES_ENGINE_STATE);
    module.attr("HEALTH_VERDICTS") = names(FANWIRE_NAMES_HEALTH_VERDICT);
    module.attr("LATENCY_KINDS") = codes(FANWIRE_NAMES_LATENCY_KIND);
    module.attr("METRICS_FORMATS") = codes(FANWIRE_NAMES_METRICS_FORMAT);
    module.attr("PAYLOAD_TYPES") = codes(FANWIRE_NAMES_PAYLOAD_TYPE);
    module.attr("FOREVER") = py::int_(FANWIRE_FOREVER);
}

}  // namespace

}  // namespace fanwire::python

// Called by PyInit__native() below.
#define PyInit__native make_module
PYBIND11_MODULE(_native, module) {
    using namespace fanwire::python;
    register_failure_translator();
    check(FANWIRE_CHECK_VERSION());
    watch_forks();
    module.def("version", fanwire_version);
    module.def("dependencies", dependencies);
    module.def("status_table", status_table);
    module.def("option_table", option_table);
    module.def("set_error_classes", set_error_classes);
    module.def("keep_threads_out", keep_threads_out);
    module.def("command_line", fanwire::cli::run_command_line, py::call_guard<py::gil_scoped_release>());
    define_constants(module);
    define_message(module);
    define_json(module);
    define_envelope(module);
    define_options(module);
    define_log(module);
    define_broker(module);
    define_receiver(module);
    define_outcome(module);
    define_inbox(module);
    define_request(module);
    define_engine(module);
    define_publisher(module);
    define_outcomes(module);
}
#undef PyInit__native

// The exception classes and types of the module exist once in a process. pybind11 must not be asked: up to Python 3.11
// it waits for ever when a subinterpreter does.
extern "C" PYBIND11_EXPORT PyObject* PyInit__native() {
    if (PyInterpreterState_Get() == PyInterpreterState_Main()) return make_module();
    PyErr_SetString(PyExc_ImportError, "fanwire works in the main interpreter only, not in subinterpreters");
    return nullptr;
}
