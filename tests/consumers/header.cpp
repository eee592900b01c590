// Both headers compile as strict C++, in any order, with every inline function instantiated.
#include "fanwire/fanwire.hpp"
// The C header again, after its C++ face.
#include "fanwire/fanwire.h"

int main() {
    fanwire::Options options("memory://headers");
    options.set("port", 1).set("port", 1u).set("port", 1LL).set("host", "h").set("host", std::string("h"));
    fanwire::Inbox inbox(options), other;
    other = std::move(inbox);
    options.engine_inbox(other).log([](int, std::string_view) {});
    fanwire::Engine engine(options);
    fanwire::Dispatcher dispatcher([](std::exception_ptr) {}), moved = std::move(dispatcher);
    fanwire::Subscription subscription =
        moved.subscribe(engine, "a", [](const fanwire::Event& event) { (void)event.message().payload(); });
    moved.publish(engine, "a", "b", [](const fanwire::Event& event) { (void)event.count(); });
    fanwire::Batch batch;
    other.drain(batch);
    for (const fanwire::Event event : batch) (void)event.delay();
    engine.close(std::chrono::seconds(1));
    return 0;
}
