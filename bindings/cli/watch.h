// `fanwire info --watch`: health and traffic, again and again.
#pragma once

#include "bindings/cli/arguments.h"

namespace fanwire::cli {

int run_watch(Arguments& arguments);

}  // namespace fanwire::cli
