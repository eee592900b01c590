// The addresses of one host, in the order in which they are tried, and the memory of those that failed. Pure.
#pragma once

#include <cstddef>
#include <vector>

#include "core/net/resolver.h"

namespace fanwire::core {

class Addresses {
 public:
    // Begins a round, in which each has one turn: those that are not known to be sick first, in the order given, then
    // the sick ones, the one that failed first in front. So sick ones go round as well. Those that are not given are
    // forgotten. Throws std::bad_alloc.
    void begin(std::vector<Address> of_host);
    void end() noexcept;

    // The next one has its turn. False: all had theirs, and the last one keeps it.
    bool next() noexcept;
    bool any_had_its_turn() const noexcept { return next_ > 0; }
    // Whose turn it is, when any had one.
    const Address& current() const { return all_[next_ - 1]; }
    // How many have not had their turn.
    std::size_t behind() const noexcept { return all_.size() - next_; }
    // Whether one of them is not known to be sick.
    bool healthy_behind() const noexcept;

    // What became of the current one; if there is none, nothing did. An only address is never sick: nothing is gained
    // by that.
    void failed() noexcept;
    void good() noexcept;

 private:
    std::vector<Address> all_;
    std::size_t next_ = 0;
    std::vector<Address> sick_;  // those of the host that failed and were not good since, longest ago first
};

}  // namespace fanwire::core
