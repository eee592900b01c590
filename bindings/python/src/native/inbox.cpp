#include "inbox.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "gil.h"
#include "message.h"
#include "outcome.h"
#include "receiver.h"
#include "waiting.h"

namespace fanwire::python {

namespace {

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
    return py::cast<Inbox&>(py::handle(self)).traverse(visit, arg);
}

int clear(PyObject* self) {
    if (py::detail::is_holder_constructed(self)) py::cast<Inbox&>(py::handle(self)).release_objects();
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
    release_batch();
    {
        const WithoutGil without_gil;
        fanwire_inbox_destroy(&handle_);
    }
    if (waker_) waker_->remove(source_);
}

int Inbox::traverse(visitproc visit, void* arg) const {
    for (const py::object& outcome : settled_) Py_VISIT(outcome.ptr());
    return targets_.traverse(visit, arg);
}

void Inbox::release_objects() {
    next_settled_ = 0;
    const std::vector<py::object> settled = std::move(settled_);  // their destructors may run anything
    settled_.clear();
    targets_.release_objects();
}

void Inbox::set_names(py::object channel, py::object pattern) {
    channel_ = std::move(channel);
    pattern_ = std::move(pattern);
}

// What was not handed over.
void Inbox::release_batch() {
    fanwire_events_release(batch_.data(), sizeof(fanwire_event), std::exchange(count_, 0));
    next_ = 0;
}

void Inbox::refill(std::size_t limit) {
    release_batch();
    const std::size_t capacity = std::min(limit, capacity_);
    if (batch_.size() < capacity) batch_.resize(capacity);
    check(fanwire_inbox_drain(handle_, batch_.data(), sizeof(fanwire_event), capacity, &count_));
}

bool Inbox::deliver(py::handle on_event, py::handle on_trouble, bool catch_all) {
    deliver_rest(on_event, on_trouble, catch_all);
    refill(capacity_);
    const bool full = count_ == capacity_;
    deliver_rest(on_event, on_trouble, catch_all);
    return full;
}

// A handler may come here again, and then find the rest of the batch.
void Inbox::deliver_rest(py::handle on_event, py::handle on_trouble, bool catch_all) {
    while (next_ < count_) {
        fanwire_event& event = batch_[next_++];
        if (event.kind == FANWIRE_EVENT_MESSAGE)
            deliver_message(event, on_trouble, catch_all);
        else
            deliver_event(event, on_event);
    }
}

void Inbox::deliver_message(fanwire_event& event, py::handle on_trouble, bool catch_all) {
    const auto* target = static_cast<const Target*>(event.user_data);
    auto* receiver = target == nullptr ? nullptr : reinterpret_cast<Receiver*>(target->object);
    if (receiver == nullptr || receiver->stopped || receiver->handler == nullptr) {
        fanwire_events_release(&event, sizeof event, 1);
        return;
    }
    const auto message =
        py::reinterpret_steal<py::object>(make_message(event, receiver->channel, receiver->pattern));
    if (!message) throw py::error_already_set();
    const auto owner = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(receiver));
    const auto handler = py::reinterpret_borrow<py::object>(receiver->handler);
    PyObject* arguments[] = {nullptr, message.ptr()};
    const auto result = py::reinterpret_steal<py::object>(
        PyObject_Vectorcall(handler.ptr(), arguments + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    if (result && !PyCoro_CheckExact(result.ptr())) return;
    if (result) {
        on_trouble(owner, message, py::none(), result);
        return;
    }
    py::error_already_set error;
    if (!catch_all && !error.matches(PyExc_Exception) && !error.matches(cancelled_error_class())) throw error;
    py::object value = error.value();
    if (error.trace()) PyException_SetTraceback(value.ptr(), error.trace().ptr());
    on_trouble(owner, message, value, py::none());
}

void Inbox::deliver_event(const fanwire_event& event, py::handle on_event) {
    auto* target = static_cast<Target*>(event.user_data);
    py::object object = py::none();
    if (target != nullptr && target->object != nullptr) {
        object = py::reinterpret_borrow<py::object>(target->object);
        if (event.kind == FANWIRE_EVENT_ENDED || event.kind == FANWIRE_EVENT_PUBLISHED) targets_.remove(target);
    }
    if (event.kind == FANWIRE_EVENT_PUBLISHED && event.status == FANWIRE_OK) {
        Outcome* outcome = to_outcome(object.ptr());
        const int settled = outcome == nullptr ? 0 : settle(outcome, event.count);
        if (settled < 0) throw py::error_already_set();
        if (settled == 1) settled_.push_back(std::move(object));
        return;
    }
    on_event(object, describe(event));
}

void Inbox::call_back() {
    while (next_settled_ < settled_.size()) {
        const py::object object = std::move(settled_[next_settled_++]);
        if (!python::call_back(to_outcome(object.ptr()))) throw py::error_already_set();
    }
    settled_.clear();
    next_settled_ = 0;
}

py::list Inbox::take(std::size_t limit) {
    if (next_ == count_) refill(limit);
    py::list list(std::min(limit, count_ - next_));
    for (std::size_t i = 0; i < list.size(); ++i)
        PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), take_item());
    return list;
}

py::list Inbox::take_messages(std::size_t limit) {
    py::list list;
    while (list.size() < limit) {
        if (next_ == count_) refill(capacity_);
        if (next_ == count_ || batch_[next_].kind != FANWIRE_EVENT_MESSAGE) break;
        list.append(py::reinterpret_steal<py::object>(take_item()));
    }
    return list;
}

PyObject* Inbox::take_item() {
    fanwire_event& event = batch_[next_];
    PyObject* item = event.kind == FANWIRE_EVENT_MESSAGE ? make_message(event, channel_.ptr(), pattern_.ptr())
                                                         : describe(event).release().ptr();
    if (item == nullptr) throw py::error_already_set();
    ++next_;
    return item;
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
        .def("deliver", &Inbox::deliver)
        .def("has_settled", &Inbox::has_settled)
        .def("call_back", &Inbox::call_back)
        .def("take", &Inbox::take)
        .def("take_messages", &Inbox::take_messages)
        .def("wait", &Inbox::wait);
}

}  // namespace fanwire::python
