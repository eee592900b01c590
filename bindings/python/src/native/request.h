// A request: a message that is answered, and its replies on their way.
#pragma once

#include <cstdint>

#include "bytes_view.h"
#include "failure.h"
#include "inbox.h"

namespace fanwire::python {

class Request {
 public:
    // Replies and the end come to `inbox`, which is for this request alone. expect 0: as many as Redis says received
    // it.
    Request(fanwire_engine* engine, const BytesView& channel, const BytesView& payload, std::uint64_t expect,
            std::uint64_t timeout_ms, Inbox& inbox);
    ~Request();
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    // Ends it early; the end is told as always.
    void cancel();

 private:
    fanwire_request* handle_ = nullptr;
};

void define_request(py::module_& module);

}  // namespace fanwire::python
