// What a compiler says of fanwire.hpp when its C++ is too old: one error, which names C++17.
#include "fanwire/fanwire.hpp"

int main() {
    return 0;
}
