// Descriptors 0 to 2 as a program may rely on them.
#pragma once

namespace fanwire::cli {

// Fills closed standard descriptors, so that no socket becomes "stdout" by accident. Writing to one that was
// closed still fails: it is opened for reading only.
void fill_standard_descriptors();

}  // namespace fanwire::cli
