// The commands there are. main() and the help loop over these.
#pragma once

#include "bindings/cli/arguments.h"

namespace fanwire::cli {

extern const Command kSub;
extern const Command kPub;
extern const Command kRequest;
extern const Command kNumsub;
extern const Command kInfo;

inline const Command* const kCommands[] = {&kSub, &kPub, &kRequest, &kNumsub, &kInfo};

}  // namespace fanwire::cli
