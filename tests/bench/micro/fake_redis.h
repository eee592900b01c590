// As much of a Redis as an engine needs to be connected and subscribed, in a thread of this process: what is received
// then is written by the benchmark itself, so that no other process's pace decides what is read at once.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fanwire::bench {

class FakeRedis {
 public:
    FakeRedis();
    ~FakeRedis();
    FakeRedis(const FakeRedis&) = delete;
    FakeRedis& operator=(const FakeRedis&) = delete;

    std::string url() const { return "unix://" + path_; }
    // Writes to the connection that has subscribed; from any one thread, once it has no commands under way.
    void send(std::string_view bytes);

 private:
    struct Client {
        int fd;
        std::string in;
        std::size_t channels = 0;
    };

    void run();
    // False when the client is gone.
    bool serve(Client& client);
    std::string answer(Client& client, const std::vector<std::string_view>& words);

    std::string folder_, path_;
    int listener_ = -1;
    int stop_[2] = {-1, -1};
    int subscribed_ = -1;
    std::vector<Client> clients_;
    std::thread thread_;
};

}  // namespace fanwire::bench
