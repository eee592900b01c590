// fanwire._native: fanwire.h as Python objects, and its tables. What is friendly about it is written in Python.
#include <pybind11/stl.h>

#include "bindings/cli/command_line.h"
#include "engine.h"
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

void define_constants(py::module_& module) {
    py::dict kinds;
    kinds[py::int_(int{FANWIRE_EVENT_ACTIVE})] = "active";
    kinds[py::int_(int{FANWIRE_EVENT_LOST})] = "lost";
    kinds[py::int_(int{FANWIRE_EVENT_RESUMED})] = "resumed";
    kinds[py::int_(int{FANWIRE_EVENT_GAP})] = "gap";
    kinds[py::int_(int{FANWIRE_EVENT_FAILED})] = "failed";
    kinds[py::int_(int{FANWIRE_EVENT_ENDED})] = "ended";
    kinds[py::int_(int{FANWIRE_EVENT_PUBLISHED})] = "published";
    kinds[py::int_(int{FANWIRE_EVENT_CONNECTED})] = "connected";
    kinds[py::int_(int{FANWIRE_EVENT_DISCONNECTED})] = "disconnected";
    kinds[py::int_(int{FANWIRE_EVENT_RECONNECTING})] = "reconnecting";
    kinds[py::int_(int{FANWIRE_EVENT_ERROR})] = "error";
    kinds[py::int_(int{FANWIRE_EVENT_GAVE_UP})] = "gave_up";
    kinds[py::int_(int{FANWIRE_EVENT_REQUEST_DONE})] = "done";
    module.attr("EVENT_KINDS") = kinds;

    py::dict reasons;
    reasons[py::int_(int{FANWIRE_GAP_RECONNECT})] = "reconnect";
    reasons[py::int_(int{FANWIRE_GAP_OVERFLOW})] = "overflow";
    reasons[py::int_(int{FANWIRE_GAP_OUTPUT_BUFFER})] = "output_buffer";
    module.attr("GAP_REASONS") = reasons;

    py::dict states;
    states[py::int_(int{FANWIRE_SUBSCRIPTION_PENDING})] = "pending";
    states[py::int_(int{FANWIRE_SUBSCRIPTION_ACTIVE})] = "active";
    states[py::int_(int{FANWIRE_SUBSCRIPTION_LOST})] = "lost";
    states[py::int_(int{FANWIRE_SUBSCRIPTION_FAILED})] = "failed";
    states[py::int_(int{FANWIRE_SUBSCRIPTION_ENDED})] = "ended";
    module.attr("SUBSCRIPTION_STATES") = states;

    py::dict engine_states;
    engine_states[py::int_(int{FANWIRE_ENGINE_CONNECTING})] = "connecting";
    engine_states[py::int_(int{FANWIRE_ENGINE_CONNECTED})] = "connected";
    engine_states[py::int_(int{FANWIRE_ENGINE_RECONNECTING})] = "reconnecting";
    engine_states[py::int_(int{FANWIRE_ENGINE_GAVE_UP})] = "gave_up";
    engine_states[py::int_(int{FANWIRE_ENGINE_CLOSED})] = "closed";
    module.attr("ENGINE_STATES") = engine_states;

    py::dict verdicts;
    verdicts[py::int_(int{FANWIRE_HEALTH_OK})] = "ok";
    verdicts[py::int_(int{FANWIRE_HEALTH_DEGRADED})] = "degraded";
    verdicts[py::int_(int{FANWIRE_HEALTH_DOWN})] = "down";
    module.attr("HEALTH_VERDICTS") = verdicts;

    py::dict kinds_of_latency;
    kinds_of_latency["publish"] = int{FANWIRE_LATENCY_PUBLISH};
    kinds_of_latency["delivery"] = int{FANWIRE_LATENCY_DELIVERY};
    module.attr("LATENCY_KINDS") = kinds_of_latency;

    py::dict formats;
    formats["json"] = int{FANWIRE_METRICS_JSON};
    formats["prometheus"] = int{FANWIRE_METRICS_PROMETHEUS};
    module.attr("METRICS_FORMATS") = formats;

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
    define_options(module);
    define_log(module);
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
