// The C++ face as a program outside of this project sees it.
#include <condition_variable>
#include <fanwire/fanwire.hpp>
#include <iostream>
#include <mutex>

int main() try {
    using namespace std::chrono_literals;
    std::mutex mutex;
    std::condition_variable changed;
    std::string received;

    fanwire::Engine engine("memory://consumer");
    engine.wait_connected(10s);
    fanwire::Dispatcher dispatcher;
    fanwire::Subscription subscription = dispatcher.psubscribe(engine, "greet*", [&](const fanwire::Event& event) {
        if (!event.is_message()) return;
        const std::lock_guard<std::mutex> lock(mutex);
        received =
            std::string(event.pattern()) + " " + std::string(event.channel()) + " " + std::string(event.payload());
        changed.notify_one();
    });
    subscription.wait_active(10s);
    if (engine.publish_wait("greetings", "hello", 10s) != 1) throw std::runtime_error("not one receiver");
    {
        std::unique_lock<std::mutex> lock(mutex);
        if (!changed.wait_for(lock, 10s, [&] { return !received.empty(); })) throw std::runtime_error("no message");
        if (received != "greet* greetings hello") throw std::runtime_error("not what was published: " + received);
    }
    try {
        engine.publish("", "x");
        throw std::runtime_error("an empty channel was accepted");
    } catch (const fanwire::Error& error) {
        if (error.status() != FANWIRE_INVALID_CHANNEL) throw;
    }
    engine.close(10s);
    std::cout << "received through libfanwire " << fanwire::version() << "\n";
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
}
