#include <fanwire/fanwire.h>
#include <string.h>

const char* chat_version(void);

int main(void) {
    return strcmp(chat_version(), fanwire_version());
}
