#include "core/message/name.h"

#include <cstring>
#include <new>

namespace fanwire::core {

NameRef Name::make(std::string_view bytes) {
    void* memory = ::operator new(sizeof(Name) + bytes.size() + 1);
    Name* name = new (memory) Name(static_cast<std::uint32_t>(bytes.size()));
    char* to = reinterpret_cast<char*>(name + 1);
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    to[bytes.size()] = '\0';
    return NameRef::adopt(name);
}

void Name::release() {
    if (!refs_.release()) return;
    this->~Name();
    ::operator delete(this);
}

}  // namespace fanwire::core
