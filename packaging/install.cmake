# `cmake --install`: headers, libraries, the command, and what pkg-config and find_package() read. Components: runtime (the
# shared library), development, command.
include(CMakePackageConfigHelpers)
set(FANWIRE_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/fanwire)

install(DIRECTORY capi/include/fanwire DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

# Two export sets: only who asks for the static library needs hiredis, libevent and OpenSSL to be found.
if(FANWIRE_SHARED)
  install(TARGETS fanwire EXPORT fanwireTargets LIBRARY COMPONENT runtime NAMELINK_COMPONENT development)
  install(EXPORT fanwireTargets NAMESPACE fanwire:: DESTINATION ${FANWIRE_CMAKE_DIR} COMPONENT development)
endif()
if(FANWIRE_STATIC)
  install(TARGETS fanwire_static EXPORT fanwireStaticTargets ARCHIVE COMPONENT development)
  install(EXPORT fanwireStaticTargets NAMESPACE fanwire:: DESTINATION ${FANWIRE_CMAKE_DIR} COMPONENT development)
endif()
configure_package_config_file(packaging/fanwireConfig.cmake.in ${PROJECT_BINARY_DIR}/fanwireConfig.cmake
                              INSTALL_DESTINATION ${FANWIRE_CMAKE_DIR})
# As fanwire_check_version(): before 1.0.0 a minor version is a world of its own.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fanwireConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fanwireConfig.cmake ${PROJECT_BINARY_DIR}/fanwireConfigVersion.cmake
        DESTINATION ${FANWIRE_CMAKE_DIR} COMPONENT development)

# The .pc file finds its prefix from its own place, so an installed tree may be moved.
file(RELATIVE_PATH FANWIRE_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" FANWIRE_PC_TO_PREFIX ${FANWIRE_PC_TO_PREFIX})
set(FANWIRE_PC_CXX_RUNTIME "") # what a C compiler must add to link the archive
foreach(runtime stdc++ c++)
  if(runtime IN_LIST CMAKE_CXX_IMPLICIT_LINK_LIBRARIES)
    set(FANWIRE_PC_CXX_RUNTIME "-l${runtime}")
  endif()
endforeach()
configure_file(packaging/fanwire.pc.in ${PROJECT_BINARY_DIR}/fanwire.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/fanwire.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

if(TARGET fanwire_cli)
  # $ORIGIN: the command finds the library wherever the prefix is moved to. Under /usr the system's linker does.
  if(FANWIRE_SHARED AND NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    file(RELATIVE_PATH FANWIRE_BIN_TO_LIB /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
    set_target_properties(fanwire_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${FANWIRE_BIN_TO_LIB}")
  endif()
  install(TARGETS fanwire_cli RUNTIME COMPONENT command)
endif()
