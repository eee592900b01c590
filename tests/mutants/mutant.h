// Whether a planted bug is switched on. Included by force in the build of run.py, and nowhere else.
#pragma once

#ifdef __cplusplus
#include <cstdlib>

inline int fanwire_mutant() {
    const char* const text = std::getenv("FANWIRE_MUTANT");
    return text ? std::atoi(text) : 0;
}
// Read once, before main().
inline const int fanwire_mutant_on = fanwire_mutant();
#endif
