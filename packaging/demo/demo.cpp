// One of the demo's five programs, in C++. packaging/demo/README.md says what they do.
#include <chrono>
#include <fanwire/fanwire.hpp>
#include <future>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

using namespace std::chrono_literals;

// Counts messages "NAME NUMBER" by sender until all have come, and checks their order.
class Tally {
 public:
    explicit Tally(unsigned long expected) : expected_(expected) {}

    void add(std::string_view payload) {
        std::istringstream words{std::string(payload)};
        std::string sender;
        unsigned long number = 0;
        words >> sender >> number;
        if (number != ++counts_[sender]) throw std::runtime_error("out of order: " + std::string(payload));
        if (++received_ == expected_) complete_.set_value();
    }
    void fail(std::exception_ptr error) { complete_.set_exception(error); }

    // Waits until everything has come, false when it did not; throws what went wrong.
    bool wait(std::chrono::seconds timeout) {
        auto complete = complete_.get_future();
        if (complete.wait_for(timeout) != std::future_status::ready) return false;
        complete.get();
        return true;
    }

    void print() const {
        for (const auto& [sender, count] : counts_) std::cout << "received " << sender << " " << count << "\n";
        std::cout << "done" << std::endl;
    }

 private:
    const unsigned long expected_;
    unsigned long received_ = 0;
    std::map<std::string, unsigned long> counts_;
    std::promise<void> complete_;
};

int main(int argc, char** argv) try {
    if (argc != 5) return std::cerr << "usage: demo.cpp NAME CHANNEL COUNT PROGRAMS\n", 2;
    const std::string name = argv[1];
    const std::string channel = argv[2];
    const unsigned long count = std::stoul(argv[3]);

    Tally tally(count * std::stoul(argv[4]));
    bool complete = false;
    {
        fanwire::Engine engine{fanwire::Options()};  // settings from the environment
        fanwire::Dispatcher dispatcher([&](std::exception_ptr error) { tally.fail(error); });
        engine.wait_connected(60s);
        const auto subscription = dispatcher.subscribe(engine, channel, [&](const fanwire::Event& event) {
            if (event.is_message()) tally.add(event.payload());
        });
        subscription.wait_active(60s);
        std::cout << "ready" << std::endl;
        if (std::string go; !std::getline(std::cin, go)) return 1;

        for (unsigned long i = 1; i <= count; ++i) engine.publish(channel, name + " " + std::to_string(i));
        complete = tally.wait(60s);
    }  // from here on no handler runs any more
    tally.print();
    return complete ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << "demo.cpp: " << error.what() << "\n";
    return 1;
}
