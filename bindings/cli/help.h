// What the command says about itself.
#pragma once

#include <string>

#include "bindings/cli/arguments.h"

namespace fanwire::cli {

std::string general_help();
std::string command_help(const Command& command);
std::string version_text();

}  // namespace fanwire::cli
