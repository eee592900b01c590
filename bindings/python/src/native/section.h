// The lock of an object, for a Python without a GIL.
#pragma once

#include <Python.h>

namespace fanwire::python {

// Keeps other threads out of what belongs to `object`, for its lifetime. It is CPython's critical section, and so like
// a GIL of that object: it cannot deadlock, since a thread that waits for anything lets the others in meanwhile.
// Whatever calls into Python finds what it looked at changed, as with the GIL. What runs code of users leave()s it:
// that code may wait for another thread without saying so.
//
// With a GIL it is nothing. (It has a destructor only where there is none: see inbox.cpp.)
#ifdef Py_GIL_DISABLED
class Section {
 public:
    explicit Section(PyObject* object) : object_(object) { enter(); }
    ~Section() { leave(); }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

    void enter() { PyCriticalSection_Begin(&section_, object_); }
    void leave() { PyCriticalSection_End(&section_); }

 private:
    PyObject* const object_;
    PyCriticalSection section_;
};
#else
class Section {
 public:
    explicit Section(PyObject*) {}
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

    void enter() {}
    void leave() {}
};
#endif

// How many freed objects of a type are kept to be used again. Without a GIL there is no place for them that is one
// thread's at a time.
#ifdef Py_GIL_DISABLED
constexpr bool reuse_objects = false;
#else
constexpr bool reuse_objects = true;
#endif

}  // namespace fanwire::python
