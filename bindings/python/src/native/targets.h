// The Python objects that events of an inbox are for, kept alive for as long as events may name them.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>
#include <vector>

namespace fanwire::python {

// What an event's user_data points to.
struct Target {
    PyObject* object = nullptr;  // nullptr once the garbage collector has broken a cycle here
    Target* previous = nullptr;
    Target* next = nullptr;
    bool embedded = false;  // it is a part of the object
};

// An intrusive list: one is added and removed for each publish. Needs the GIL, or the section of its inbox.
class Targets {
 public:
    Targets() = default;
    ~Targets() { clear(); }
    Targets(const Targets&) = delete;
    Targets& operator=(const Targets&) = delete;

    Target* add(pybind11::handle object) {
        auto* target = new Target;
        link(target, object.ptr());
        return target;
    }

    // `target` is a part of `object`.
    void add_embedded(Target* target, PyObject* object) {
        target->embedded = true;
        link(target, object);
    }

    // The caller has a reference to what it is a part of.
    void remove_embedded(Target* target) {
        unlink(target);
        Py_DECREF(target->object);
    }

    void remove(Target* target) {
        unlink(target);
        PyObject* object = target->object;
        if (!target->embedded) delete target;
        Py_XDECREF(object);  // may run anything, so last
    }

    void clear() {
        while (first_ != nullptr) remove(first_);
    }

    int traverse(visitproc visit, void* arg) const {
        for (const Target* target = first_; target != nullptr; target = target->next) Py_VISIT(target->object);
        return 0;
    }

    // `visit` must not add or remove any.
    template <typename Visit>
    void for_each(Visit visit) const {
        for (const Target* target = first_; target != nullptr; target = target->next)
            if (target->object != nullptr) visit(target->object);
    }

    // Lets go of the objects, while events may still point to the targets. So what a target is a part of stays: such
    // objects let go of others by themselves.
    void release_objects() {
        std::vector<pybind11::object> objects;  // their destructors may run anything, so not while walking the list
        for (Target* target = first_; target != nullptr; target = target->next)
            if (!target->embedded)
                objects.push_back(
                    pybind11::reinterpret_steal<pybind11::object>(std::exchange(target->object, nullptr)));
    }

 private:
    void unlink(Target* target) {
        (target->previous != nullptr ? target->previous->next : first_) = target->next;
        if (target->next != nullptr) target->next->previous = target->previous;
    }

    void link(Target* target, PyObject* object) {
        Py_INCREF(object);
        target->object = object;
        target->previous = nullptr;
        target->next = first_;
        if (first_ != nullptr) first_->previous = target;
        first_ = target;
    }

    Target* first_ = nullptr;
};

}  // namespace fanwire::python
