// The fanwire command as a function: of the executable, and of `python -m fanwire`.
#pragma once

#include <string>
#include <vector>

namespace fanwire::cli {

// Runs the command that `words` say (without the program's name). Returns the exit code. It handles SIGINT, SIGTERM and
// SIGPIPE from then on, and writes to the standard streams: call it once, in a process that has nothing else to do.
int run_command_line(const std::vector<std::string>& words);

}  // namespace fanwire::cli
