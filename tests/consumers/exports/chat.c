#include <fanwire/fanwire.h>

const char* chat_version(void) {
    return fanwire_version();
}
