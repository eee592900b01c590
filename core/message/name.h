// A channel or pattern as it stands on the wire: immutable bytes, shared by registry, tracker and messages.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/ref.h"

namespace fanwire::core {

class Name;
using NameRef = Ref<Name>;

class Name {
   public:
    // Copies the bytes; a NUL that is not counted follows them.
    static NameRef make(std::string_view bytes);

    std::string_view view() const { return {reinterpret_cast<const char*>(this + 1), size_}; }

    void retain() { refs_.retain(); }
    void release();

   protected:
    Name(std::uint32_t size, bool of_topic) : size_(size & 0x7fffffff), of_topic_(of_topic) {}
    // The bytes and the NUL, behind the Name.
    void fill(std::string_view bytes);

   private:
    RefCount refs_;
    const std::uint32_t size_ : 31;
    const std::uint32_t of_topic_ : 1;  // it is the end of a Topic
};

static_assert(sizeof(Name) == 8);

}  // namespace fanwire::core
