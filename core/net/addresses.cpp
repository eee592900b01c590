#include "core/net/addresses.h"

#include <algorithm>
#include <utility>

namespace fanwire::core {

namespace {

bool contains(const std::vector<Address>& list, const Address& address) {
    return std::find(list.begin(), list.end(), address) != list.end();
}

}  // namespace

void Addresses::begin(std::vector<Address> of_host) {
    next_ = 0;
    all_ = std::move(of_host);
    sick_.reserve(all_.size());  // so that noting one needs no memory
    std::erase_if(sick_, [&](const Address& address) { return !contains(all_, address); });
    std::erase_if(all_, [&](const Address& address) { return contains(sick_, address); });
    all_.insert(all_.end(), sick_.begin(), sick_.end());
}

void Addresses::end() noexcept {
    all_.clear();
    next_ = 0;
}

bool Addresses::next() noexcept {
    if (behind() == 0) return false;
    ++next_;
    return true;
}

bool Addresses::healthy_behind() const noexcept {
    return std::any_of(all_.begin() + static_cast<std::ptrdiff_t>(next_), all_.end(),
                       [&](const Address& address) { return !contains(sick_, address); });
}

void Addresses::failed() noexcept {
    if (!any_had_its_turn() || all_.size() < 2) return;
    std::erase(sick_, current());
    sick_.push_back(current());
}

void Addresses::good() noexcept {
    if (any_had_its_turn()) std::erase(sick_, current());
}

}  // namespace fanwire::core
