// Variables that nobody set: Kubernetes puts some into every container of a namespace for each Service there, and
// Docker does for links. A Service named "fanwire" gives FANWIRE_PORT=tcp://10.0.0.1:6379, which is no port. Pure.
#pragma once

#include <string_view>

namespace fanwire::core {

// Whether the variable is one that Kubernetes or Docker sets by itself, and its value is of the form that they give it.
bool is_service_link(std::string_view variable, std::string_view value);

}  // namespace fanwire::core
