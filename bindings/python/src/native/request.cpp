#include "request.h"

#include "gil.h"

namespace fanwire::python {

Request::Request(fanwire_engine* engine, const BytesView& channel, const BytesView& payload, std::uint64_t expect,
                 std::uint64_t timeout_ms, Inbox& inbox) {
    fanwire_request_args args{};
    args.channel = channel.data();
    args.channel_size = channel.size();
    args.payload = payload.data();
    args.payload_size = payload.size();
    args.expect = expect;
    args.timeout_ms = timeout_ms;
    args.inbox = inbox.handle();
    check(fanwire_request_open(&handle_, engine, &args, sizeof args));
}

Request::~Request() {
    const WithoutGil without_gil;
    fanwire_request_destroy(&handle_);
}

void Request::cancel() {
    check(fanwire_request_cancel(handle_));
}

void define_request(py::module_& module) {
    py::class_<Request>(module, "Request").def("cancel", &Request::cancel);
}

}  // namespace fanwire::python
