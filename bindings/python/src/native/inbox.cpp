#include "inbox.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "gil.h"
#include "message.h"
#include "waiting.h"

namespace fanwire::python {

namespace {

// Releases the messages that nobody took over, whatever happens.
class Drained {
 public:
    Drained(std::vector<fanwire_event>& spare, std::size_t capacity) : spare_(spare), events_(std::move(spare)) {
        events_.resize(capacity);
    }
    ~Drained() {
        fanwire_events_release(events_.data(), sizeof(fanwire_event), count);
        spare_ = std::move(events_);
    }
    Drained(const Drained&) = delete;
    Drained& operator=(const Drained&) = delete;

    fanwire_event* events() { return events_.data(); }
    std::size_t count = 0;

 private:
    std::vector<fanwire_event>& spare_;
    std::vector<fanwire_event> events_;
};

py::object describe(const fanwire_event& event) {
    py::object text = py::none();
    if (event.text != nullptr) {
        text = py::reinterpret_steal<py::object>(
            PyUnicode_DecodeUTF8(event.text, static_cast<Py_ssize_t>(std::strlen(event.text)), "replace"));
        if (!text) throw py::error_already_set();
    }
    py::object count = py::none();
    if (event.count != FANWIRE_COUNT_UNKNOWN) count = py::int_(event.count);
    return py::make_tuple(event.kind, event.status, text, event.reason, count, event.delay_ms,
                          event.will_reconnect != 0);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!py::detail::is_holder_constructed(self)) return 0;
    return py::cast<Inbox&>(py::handle(self)).targets().traverse(visit, arg);
}

int clear(PyObject* self) {
    if (py::detail::is_holder_constructed(self)) py::cast<Inbox&>(py::handle(self)).targets().release_objects();
    return 0;
}

// Handlers mostly refer to their bus again; without this such a circle would never be freed.
void support_garbage_collection(PyHeapTypeObject* heap_type) {
    PyTypeObject* type = &heap_type->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = traverse;
    type->tp_clear = clear;
}

}  // namespace

Inbox::Inbox(const Options& options, std::size_t capacity, std::shared_ptr<Waker> waker, std::uint64_t key)
    : waker_(std::move(waker)), source_{key, false}, capacity_(capacity) {
    check(fanwire_inbox_create(&handle_, options.handle()));
    if (!waker_) return;
    waker_->add();
    const auto wake = [](void* self) {
        auto* inbox = static_cast<Inbox*>(self);
        inbox->waker_->wake(inbox->source_);
    };
    check(fanwire_inbox_set_wake(handle_, wake, this));
}

Inbox::~Inbox() {
    {
        const WithoutGil without_gil;
        fanwire_inbox_destroy(&handle_);
    }
    if (waker_) waker_->remove(source_);
}

py::list Inbox::drain(std::size_t limit) {
    Drained drained(spare_, capacity_);
    check(fanwire_inbox_drain(handle_, drained.events(), sizeof(fanwire_event), std::min(limit, capacity_),
                              &drained.count));
    py::list list(drained.count);
    for (std::size_t i = 0; i < drained.count; ++i) {
        fanwire_event& event = drained.events()[i];
        py::object item = take_item(event);
        const py::object target = take_target(event);
        PyObject* pair = PyTuple_Pack(2, target.ptr(), item.ptr());
        if (pair == nullptr) throw py::error_already_set();
        PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), pair);
    }
    return list;
}

py::object Inbox::take_item(fanwire_event& event) {
    PyObject* item = nullptr;
    if (event.kind == FANWIRE_EVENT_MESSAGE) {
        item = make_message(event.message);
        if (item != nullptr) event.message = nullptr;
    } else if (event.kind == FANWIRE_EVENT_PUBLISHED && event.status == FANWIRE_OK) {
        item = PyLong_FromUnsignedLongLong(event.count);
    } else {
        return describe(event);
    }
    if (item == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(item);
}

py::object Inbox::take_target(const fanwire_event& event) {
    auto* target = static_cast<Target*>(event.user_data);
    if (target == nullptr || target->object == nullptr) return py::none();
    py::object object = py::reinterpret_borrow<py::object>(target->object);
    if (event.kind == FANWIRE_EVENT_ENDED || event.kind == FANWIRE_EVENT_PUBLISHED) targets_.remove(target);
    return object;
}

bool Inbox::wait(std::uint64_t timeout_ms) {
    const int status = wait_in_slices(timeout_ms, [&](std::uint64_t ms) { return fanwire_inbox_wait(handle_, ms); });
    if (status == FANWIRE_TIMEOUT) return false;
    check(status);
    return true;
}

void define_inbox(py::module_& module) {
    py::class_<Waker, std::shared_ptr<Waker>>(module, "Waker")
        .def(py::init())
        .def("fileno", &Waker::fd)
        .def("take", &Waker::take)
        .def("ring", &Waker::ring);

    py::class_<Inbox>(module, "Inbox", py::custom_type_setup(support_garbage_collection))
        .def(py::init<const Options&, std::size_t, std::shared_ptr<Waker>, std::uint64_t>(), py::arg("options"),
             py::arg("capacity"), py::arg("waker") = nullptr, py::arg("key") = 0)
        .def("drain", &Inbox::drain)
        .def("wait", &Inbox::wait);
}

}  // namespace fanwire::python
