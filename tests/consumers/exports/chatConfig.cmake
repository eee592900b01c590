include(CMakeFindDependencyMacro)
find_dependency(fanwire COMPONENTS static)
include("${CMAKE_CURRENT_LIST_DIR}/chatTargets.cmake")
