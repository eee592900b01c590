// A channel or pattern as it stands on the wire: immutable bytes, shared by registry, tracker and messages.
#pragma once

#include <string_view>

#include "core/base/ref.h"

namespace fanwire::core {

class Name;
using NameRef = Ref<Name>;

class Name {
   public:
    // Copies the bytes; a NUL that is not counted follows them.
    static NameRef make(std::string_view bytes);

    std::string_view view() const { return {bytes(), size_}; }

    void retain() { refs_.retain(); }
    void release();

   private:
    explicit Name(std::uint32_t size) : size_(size) {}
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }

    RefCount refs_;
    std::uint32_t size_;
};

}  // namespace fanwire::core
