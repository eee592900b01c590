/* Names for the rows about many channels: 20 bytes on the wire, as "ws:" and 17 bytes of the application's. */
#ifndef FANWIRE_BENCH_NAMES_H
#define FANWIRE_BENCH_NAMES_H

#include <stdio.h>

enum { name_prefix_size = 3 };

static inline size_t name_of_20_bytes(char* out, size_t index) {
    return (size_t)sprintf(out, "ws:room:%012zu", index);
}

#endif
