// A level that a poll loop can wait for: readable while set. net/ implements it; others are handed one.
#pragma once

namespace fanwire::core {

class Pollable {
 public:
    virtual ~Pollable() = default;
    virtual int fd() const = 0;
    virtual void set() = 0;
    virtual void clear() = 0;
};

}  // namespace fanwire::core
