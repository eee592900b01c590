#include "inbox.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "constructed.h"
#include "gil.h"
#include "message.h"
#include "numsub.h"
#include "outcome.h"
#include "outcome_callbacks.h"
#include "outcome_result.h"
#include "receiver.h"
#include "waiting.h"

// CPython up to 3.13 ends a thread that asks for the GIL of an interpreter that is ending, by unwinding its stack. So
// while a handler or a callback runs there is nothing on the stack that has a destructor, catches exceptions or is
// noexcept.
namespace fanwire::python {

namespace {

PyObject* future_mark = nullptr;  // the module's, never freed

py::object make_lock() {
#ifdef Py_GIL_DISABLED
    auto lock = py::reinterpret_steal<py::object>(PyObject_CallNoArgs(reinterpret_cast<PyObject*>(&PyBaseObject_Type)));
    if (!lock) throw py::error_already_set();
    return lock;
#else
    return py::none();
#endif
}

py::object describe(const fanwire_event& event) {
    py::object text = py::none();
    if (event.text != nullptr) {
        text = py::reinterpret_steal<py::object>(
            PyUnicode_DecodeUTF8(event.text, static_cast<Py_ssize_t>(std::strlen(event.text)), "replace"));
        if (!text) throw py::error_already_set();
    }
    py::object count = py::none();
    if (event.count != FANWIRE_COUNT_UNKNOWN) count = py::int_(event.count);
    py::object missing = py::none();
    if (event.missing != FANWIRE_COUNT_UNKNOWN) missing = py::int_(event.missing);
    return py::make_tuple(event.kind, event.status, text, event.reason, count, event.delay_ms,
                          event.will_reconnect != 0, missing);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    if (!is_constructed(self)) return 0;
    return py::cast<Inbox&>(py::handle(self)).traverse(visit, arg);
}

int clear(PyObject* self) {
    if (is_constructed(self)) py::cast<Inbox&>(py::handle(self)).release_objects();
    return 0;
}

// Whether nothing happens unless somebody awaits what a handler has returned. Futures go on by themselves.
bool must_be_awaited(PyObject* result) {
    if (result == Py_None) return false;
    if (PyCoro_CheckExact(result)) return true;
    const PyAsyncMethods* methods = Py_TYPE(result)->tp_as_async;
    return methods != nullptr && methods->am_await != nullptr && !PyObject_HasAttr(result, future_mark);
}

// Tells on_trouble of the pending error, or of what is to be awaited.
bool tell_trouble(PyObject* on_trouble, PyObject* receiver, PyObject* message, PyObject* awaitable, bool catch_all) {
    PyObject* error = nullptr;
    if (awaitable == nullptr) {
        if (!catch_all && !PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(cancelled_error_class()))
            return false;
        PyObject *type = nullptr, *traceback = nullptr;
        PyErr_Fetch(&type, &error, &traceback);
        PyErr_NormalizeException(&type, &error, &traceback);
        if (traceback != nullptr) PyException_SetTraceback(error, traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
    }
    PyObject* arguments[] = {nullptr, receiver, message, error == nullptr ? Py_None : error,
                             awaitable == nullptr ? Py_None : awaitable};
    PyObject* result = PyObject_Vectorcall(on_trouble, arguments + 1, 4 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
    Py_XDECREF(error);
    Py_XDECREF(result);
    return result != nullptr;
}

// The event in the place of a message that the codec cannot decode.
bool deliver_failure(PyObject* on_event, PyObject* receiver, PyObject* message, PyObject* failure) {
    PyObject* pair = PyTuple_Pack(2, message, failure);
    PyObject* arguments[] = {nullptr, receiver, pair};
    PyObject* result = pair == nullptr
                           ? nullptr
                           : PyObject_Vectorcall(on_event, arguments + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
    Py_XDECREF(pair);
    Py_XDECREF(result);
    return result != nullptr;
}

// deliver(inbox, on_event, on_trouble, catch_all) and call_back(inbox)

Inbox* to_inbox(PyObject* const* arguments, Py_ssize_t count, Py_ssize_t wanted) {
    if (count != wanted) {
        PyErr_SetString(PyExc_TypeError, "wrong number of arguments");
        return nullptr;
    }
    Inbox* inbox = nullptr;
    const auto cast = [&] {
        inbox = py::cast<Inbox*>(py::handle(arguments[0]));
        return Py_None;
    };
    if (guarded(cast) != nullptr && inbox == nullptr) PyErr_SetString(PyExc_TypeError, "it is no Inbox");
    return inbox;
}

PyObject* deliver(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    Inbox* inbox = to_inbox(arguments, count, 4);
    if (inbox == nullptr) return nullptr;
    const int more = inbox->deliver(arguments[1], arguments[2], arguments[3] == Py_True);
    return more < 0 ? nullptr : PyBool_FromLong(more);
}

PyObject* call_back(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
    Inbox* inbox = to_inbox(arguments, count, 1);
    if (inbox == nullptr || !inbox->call_back()) return nullptr;
    Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"deliver", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(deliver)), METH_FASTCALL, nullptr},
    {"call_back", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call_back)), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

// Handlers mostly refer to their bus again; without this such a circle would never be freed.
void support_garbage_collection(PyHeapTypeObject* heap_type) {
    PyTypeObject* type = &heap_type->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = traverse;
    type->tp_clear = clear;
}

}  // namespace

Inbox::Inbox(const Options& options, std::size_t capacity, std::shared_ptr<Waker> waker, std::uint64_t key,
             py::handle decode)
    : lock_(make_lock()),
      waker_(std::move(waker)),
      source_{key, false},
      capacity_(capacity),
      decoder_(decode.is_none() ? nullptr : decode.ptr()) {
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
    release_objects();
    release_batch();
    {
        const WithoutGil without_gil;
        fanwire_inbox_destroy(&handle_);
    }
    if (waker_) waker_->remove(source_);
}

int Inbox::traverse(visitproc visit, void* arg) const {
    for (std::size_t i = next_settled_; i < settled_.size(); ++i) Py_VISIT(settled_[i]);
    Py_VISIT(put_back_.ptr());
    if (const int visited = decoder_.traverse(visit, arg); visited != 0) return visited;
    return targets_.traverse(visit, arg);
}

void Inbox::release_objects() {
    const std::size_t first = std::exchange(next_settled_, 0);
    const std::vector<PyObject*> settled = std::exchange(settled_, {});  // to let go of them may run anything
    for (std::size_t i = first; i < settled.size(); ++i) Py_DECREF(settled[i]);
    decoder_.release_objects();
    targets_.release_objects();
}

void Inbox::set_names(py::object channel, py::object pattern) {
    Section section(lock());
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
    // With the GIL: it takes microseconds (the IO thread pushes at most 256 events under the lock), and who lets go of
    // the GIL may wait milliseconds for its return.
    check(fanwire_inbox_drain(handle_, batch_.data(), sizeof(fanwire_event), capacity, &count_));
}

int Inbox::deliver(PyObject* on_event, PyObject* on_trouble, bool catch_all) {
    Section section(lock());
    return deliver_all(section, on_event, on_trouble, catch_all);
}

int Inbox::deliver_all(Section& section, PyObject* on_event, PyObject* on_trouble, bool catch_all) {
    if (!deliver_rest(section, on_event, on_trouble, catch_all)) return -1;
    const auto refill_all = [this] {
        refill(capacity_);
        settled_.reserve(settled_.size() + count_);
        return Py_None;
    };
    if (guarded(refill_all) == nullptr) return -1;
    const bool full = count_ == capacity_;
    if (!deliver_rest(section, on_event, on_trouble, catch_all)) return -1;
    return full ? 1 : 0;
}

// A handler may come here again, or another thread meanwhile, and then find the rest of the batch.
bool Inbox::deliver_rest(Section& section, PyObject* on_event, PyObject* on_trouble, bool catch_all) {
    while (next_ < count_) {
        fanwire_event& event = batch_[next_++];
        const bool ok = event.kind == FANWIRE_EVENT_MESSAGE
                            ? deliver_message(section, event, on_event, on_trouble, catch_all)
                            : deliver_event(section, event, on_event);
        if (!ok) return false;
    }
    decoder_.forget();
    return true;
}

bool Inbox::deliver_message(Section& section, fanwire_event& event, PyObject* on_event, PyObject* on_trouble,
                            bool catch_all) {
    const auto* target = static_cast<const Target*>(event.user_data);
    auto* receiver = target == nullptr ? nullptr : reinterpret_cast<Receiver*>(target->object);
    PyObject* handler = receiver == nullptr ? nullptr : handler_of(receiver);
    if (handler == nullptr) {
        fanwire_events_release(&event, sizeof event, 1);
        return true;
    }
    PyObject* message = make_message(event, receiver->channel, receiver->pattern, replier_.ptr());
    if (message == nullptr) {
        Py_DECREF(handler);
        return false;
    }
    PyObject* owner = reinterpret_cast<PyObject*>(receiver);
    Py_INCREF(owner);
    PyObject* failure = nullptr;
    bool ok = !decoder_.on() || decoder_.decode(message, &failure);
    section.leave();
    if (failure != nullptr) {
        ok = deliver_failure(on_event, owner, message, failure);
        Py_DECREF(failure);
    } else if (ok) {
        PyObject* arguments[] = {nullptr, message};
        PyObject* result = PyObject_Vectorcall(handler, arguments + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
        const bool fine = result != nullptr && !must_be_awaited(result);
        ok = fine || tell_trouble(on_trouble, owner, message, result, catch_all);
        Py_XDECREF(result);
    }
    Py_DECREF(handler);
    Py_DECREF(owner);
    Py_DECREF(message);
    section.enter();
    return ok;
}

bool Inbox::deliver_event(Section& section, const fanwire_event& event, PyObject* on_event) {
    auto* target = static_cast<Target*>(event.user_data);
    PyObject* object = target == nullptr || target->object == nullptr ? Py_None : target->object;
    Py_INCREF(object);
    const bool is_outcome = event.kind == FANWIRE_EVENT_PUBLISHED || event.kind == FANWIRE_EVENT_NUMSUB;
    if (object != Py_None && (event.kind == FANWIRE_EVENT_ENDED || is_outcome)) targets_.remove(target);
    Outcome* const outcome = is_outcome ? to_outcome(object) : nullptr;
    int settled = 0;
    if (outcome != nullptr && event.status == FANWIRE_OK) {
        settled = settle(outcome, event.kind == FANWIRE_EVENT_PUBLISHED ? PyLong_FromUnsignedLongLong(event.count)
                                                                        : counts_of(event));
        if (settled == 1) {
            settled_.push_back(object);  // there is room
            return true;
        }
    } else {
        PyObject* described = guarded([&] { return describe(event).release().ptr(); });
        section.leave();
        PyObject* arguments[] = {nullptr, object, described};
        PyObject* result = described == nullptr ? nullptr
                                                : PyObject_Vectorcall(on_event, arguments + 1,
                                                                      2 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr);
        if (result == nullptr) settled = -1;
        Py_XDECREF(result);
        Py_XDECREF(described);
        section.enter();
    }
    Py_DECREF(object);
    return settled >= 0;
}

bool Inbox::call_back() {
    Section section(lock());
    while (next_settled_ < settled_.size()) {
        PyObject* object = settled_[next_settled_++];
        section.leave();
        const bool called = python::call_back(to_outcome(object));
        Py_DECREF(object);
        section.enter();
        if (!called) return false;
    }
    settled_.clear();
    next_settled_ = 0;
    return true;
}

py::list Inbox::take(std::size_t limit) {
    Section section(lock());
    if (put_back_ && limit > 0) {
        py::list list;
        list.append(std::exchange(put_back_, py::object()));
        return list;
    }
    if (next_ == count_) refill(limit);
    py::list list(std::min(limit, count_ - next_));
    for (std::size_t i = 0; i < list.size(); ++i) PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), take_item());
    return list;
}

py::list Inbox::take_messages(std::size_t limit) {
    Section section(lock());
    py::list list;
    while (list.size() < limit && !put_back_) {
        if (next_ == count_) refill(capacity_);
        if (next_ == count_ || batch_[next_].kind != FANWIRE_EVENT_MESSAGE) break;
        auto item = py::reinterpret_steal<py::object>(take_item());
        if (PyTuple_Check(item.ptr()))
            put_back_ = std::move(item);
        else
            list.append(item);
    }
    return list;
}

PyObject* Inbox::take_item() {
    fanwire_event& event = batch_[next_];
    const bool is_message = event.kind == FANWIRE_EVENT_MESSAGE || event.kind == FANWIRE_EVENT_REPLY;
    PyObject* item = is_message ? make_message(event, channel_.ptr(), pattern_.ptr(), replier_.ptr())
                                : describe(event).release().ptr();
    if (item == nullptr) throw py::error_already_set();
    ++next_;
    if (!decoder_.on() || !is_message) return item;
    PyObject* failure = nullptr;
    const bool decoded = decoder_.decode(item, &failure);
    decoder_.forget();
    if (!decoded) {
        Py_DECREF(item);
        throw py::error_already_set();
    }
    if (failure == nullptr) return item;
    PyObject* pair = PyTuple_Pack(2, item, failure);
    Py_DECREF(item);
    Py_DECREF(failure);
    if (pair == nullptr) throw py::error_already_set();
    return pair;
}

bool Inbox::wait(std::uint64_t timeout_ms) {
    const int status = wait_in_slices(timeout_ms, [&](std::uint64_t ms) { return fanwire_inbox_wait(handle_, ms); });
    if (status == FANWIRE_TIMEOUT) return false;
    check(status);
    return true;
}

py::list Inbox::target_objects() const {
    py::list objects;
    Section section(lock());
    targets_.for_each([&](PyObject* object) { objects.append(py::handle(object)); });
    return objects;
}

void define_inbox(py::module_& module) {
    future_mark = py::str("_asyncio_future_blocking").release().ptr();
    py::class_<Waker, std::shared_ptr<Waker>>(module, "Waker")
        .def(py::init())
        .def("fileno", &Waker::fd)
        .def("take", &Waker::take)
        .def("ring", &Waker::ring);

    py::class_<Inbox>(module, "Inbox", py::custom_type_setup(support_garbage_collection))
        .def(py::init<const Options&, std::size_t, std::shared_ptr<Waker>, std::uint64_t, py::handle>(),
             py::arg("options"), py::arg("capacity"), py::arg("waker") = nullptr, py::arg("key") = 0,
             py::arg("decode") = py::none())
        .def("has_settled", &Inbox::has_settled)
        .def("targets", &Inbox::target_objects)
        .def("set_replier", &Inbox::set_replier)
        .def("take", &Inbox::take)
        .def("take_messages", &Inbox::take_messages)
        .def("wait", &Inbox::wait);
    if (PyModule_AddFunctions(module.ptr(), functions) != 0) throw py::error_already_set();
}

}  // namespace fanwire::python
