#include "core/message/name.h"

#include <cstring>
#include <new>

#include "core/message/topic.h"

namespace fanwire::core {

NameRef Name::make(std::string_view bytes) {
    void* memory = ::operator new(sizeof(Name) + bytes.size() + 1);
    Name* name = new (memory) Name(static_cast<std::uint32_t>(bytes.size()), false);
    name->fill(bytes);
    return NameRef::adopt(name);
}

void Name::fill(std::string_view bytes) {
    char* to = reinterpret_cast<char*>(this + 1);
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    to[bytes.size()] = '\0';
}

void Name::release() {
    if (!refs_.release()) return;
    if (of_topic_) {
        Topic* const topic = static_cast<Topic*>(this);
        topic->~Topic();
        ::operator delete(topic);
        return;
    }
    this->~Name();
    ::operator delete(this);
}

}  // namespace fanwire::core
