#include "core/message/pattern_index.h"

#include <algorithm>
#include <cstddef>

namespace fanwire::core {

namespace {

// The bytes that whatever a pattern matches begins with; not more than these, which is as good.
class LiteralPrefix {
 public:
    explicit LiteralPrefix(std::string_view pattern) {
        for (std::size_t i = 0; i < pattern.size() && size_ < sizeof bytes_; ++i) {
            const char element = pattern[i];
            if (element == '*' || element == '?' || element == '[') return;
            if (element == '\\' && i + 1 < pattern.size()) ++i;  // at the very end it stands for itself
            bytes_[size_++] = pattern[i];
        }
    }
    std::string_view view() const { return {bytes_, size_}; }

 private:
    char bytes_[1024];  // on the stack: to remove a pattern needs no memory
    std::size_t size_ = 0;
};

}  // namespace

void PatternIndex::add(Topic& pattern) {
    const auto entry = by_prefix_.try_emplace(std::string(LiteralPrefix(pattern.view()).view())).first;
    try {
        entry->second.push_back(&pattern);
    } catch (...) {
        if (entry->second.empty()) by_prefix_.erase(entry);
        throw;
    }
    ++size_;
}

void PatternIndex::remove(Topic& pattern) noexcept {
    const auto entry = by_prefix_.find(LiteralPrefix(pattern.view()).view());
    if (entry == by_prefix_.end()) return;
    auto& all = entry->second;
    const auto found = std::find(all.begin(), all.end(), &pattern);
    if (found == all.end()) return;
    *found = all.back();
    all.pop_back();
    if (all.empty()) by_prefix_.erase(entry);
    --size_;
}

std::size_t PatternIndex::common_size(std::string_view a, std::string_view b) {
    const std::size_t most = std::min(a.size(), b.size());
    std::size_t size = 0;
    while (size < most && a[size] == b[size]) ++size;
    return size;
}

}  // namespace fanwire::core
