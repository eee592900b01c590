// Patterns by the literal bytes they begin with, so that a channel is held only against those that it begins with too.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/message/glob.h"
#include "core/message/topic.h"

namespace fanwire::core {

class PatternIndex {
 public:
    // The topic stays alive until it is removed. Throws std::bad_alloc, and then has changed nothing.
    void add(Topic& pattern);
    void remove(Topic& pattern) noexcept;
    void clear() noexcept {
        by_prefix_.clear();
        size_ = 0;
    }
    std::size_t size() const { return size_; }

    // In no particular order. The function may neither add nor remove one.
    template <class Function>
    void for_each_match(std::string_view channel, Function&& function) const {
        for_each_candidate(channel, [&](Topic& pattern) {
            if (glob_match(pattern.view(), channel)) function(pattern);
        });
    }
    // Those whose literal beginning is that of the channel.
    template <class Function>
    void for_each_candidate(std::string_view channel, Function&& function) const {
        // Of the prefixes of `rest`, the longest that is there is the last entry up to `rest` or a prefix of what that
        // has in common with it: whatever stands between a prefix and `rest` begins with that prefix.
        for (std::string_view rest = channel;;) {
            auto entry = by_prefix_.upper_bound(rest);
            if (entry == by_prefix_.begin()) return;
            --entry;
            const std::string_view prefix = entry->first;
            const std::size_t common = common_size(prefix, rest);
            if (common == prefix.size())
                for (Topic* const pattern : entry->second) function(*pattern);
            if (prefix.empty()) return;
            rest = rest.substr(0, common == prefix.size() ? common - 1 : common);
        }
    }

 private:
    static std::size_t common_size(std::string_view a, std::string_view b);

    std::map<std::string, std::vector<Topic*>, std::less<>> by_prefix_;
    std::size_t size_ = 0;
};

}  // namespace fanwire::core
