/* Publishes a message within the process, without a server. */
#include <fanwire/fanwire.h>
#include <stdio.h>

int main(void) {
    uint64_t receivers = 1;
    fanwire_options* options = NULL;
    fanwire_engine* engine = NULL;
    int status = FANWIRE_CHECK_VERSION();
    if (status == FANWIRE_OK) status = fanwire_options_create(&options);
    if (status == FANWIRE_OK) status = fanwire_options_set(options, "url", "memory://");
    if (status == FANWIRE_OK) status = fanwire_engine_open(&engine, options);
    if (status == FANWIRE_OK) status = fanwire_publish_wait(engine, "chat", 4, "hello", 5, 20000, &receivers);
    printf("fanwire %s: %s, %d receivers\n", fanwire_version(), fanwire_status_name(status), (int)receivers);
    fanwire_engine_destroy(&engine);
    fanwire_options_destroy(&options);
    return status != FANWIRE_OK || receivers != 0;
}
