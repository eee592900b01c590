# Runs the portfile as vcpkg would, with its functions replaced by what they do for this port. vcpkg itself is not in any
# registry. cmake -DWORK=FOLDER -DPORT_DIR=FOLDER -DLINKAGE=static|dynamic -P try.cmake; the package is in WORK/packages.
cmake_minimum_required(VERSION 3.25)
file(READ "${PORT_DIR}/vcpkg.json" manifest)
string(JSON PORT GET "${manifest}" name)
string(JSON VERSION GET "${manifest}" version)
string(JSON count LENGTH "${manifest}" dependencies)
set(needed hiredis libevent openssl pkgconf vcpkg-cmake vcpkg-cmake-config)
math(EXPR last "${count} - 1")
foreach(index RANGE ${last})
  string(JSON kind TYPE "${manifest}" dependencies ${index})
  if(kind STREQUAL "OBJECT")
    string(JSON name GET "${manifest}" dependencies ${index} name)
  else()
    string(JSON name GET "${manifest}" dependencies ${index})
  endif()
  list(REMOVE_ITEM needed ${name})
endforeach()
if(needed)
  message(FATAL_ERROR "vcpkg.json does not depend on ${needed}")
endif()

set(CURRENT_PORT_DIR "${PORT_DIR}")
set(CURRENT_PACKAGES_DIR "${WORK}/packages")
set(TARGET_TRIPLET x64-linux)

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_find_acquire_program name)
  find_program(found pkg-config REQUIRED)
  set(${name} "${found}" PARENT_SCOPE)
endfunction()

function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  set(shared OFF)
  if(LINKAGE STREQUAL "dynamic")
    set(shared ON)
  endif()
  run(${CMAKE_COMMAND} -S "${arg_SOURCE_PATH}" -B "${WORK}/build" -G Ninja -DCMAKE_BUILD_TYPE=None -DBUILD_SHARED_LIBS=${shared}
      "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}" -DCMAKE_INSTALL_LIBDIR=lib ${arg_OPTIONS})
endfunction()

function(vcpkg_cmake_install)
  run(${CMAKE_COMMAND} --build "${WORK}/build" --target install)
endfunction()

function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "PACKAGE_NAME;CONFIG_PATH" "")
  file(MAKE_DIRECTORY "${CURRENT_PACKAGES_DIR}/share")
  file(RENAME "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}" "${CURRENT_PACKAGES_DIR}/share/${arg_PACKAGE_NAME}")
  # As vcpkg does: the folder lies one level higher now.
  file(GLOB files "${CURRENT_PACKAGES_DIR}/share/${arg_PACKAGE_NAME}/*.cmake")
  foreach(file IN LISTS files)
    file(READ "${file}" text)
    string(REPLACE "get_filename_component(_IMPORT_PREFIX \"\${CMAKE_CURRENT_LIST_FILE}\" PATH)"
                   "get_filename_component(_IMPORT_PREFIX \"\${CMAKE_CURRENT_LIST_DIR}/../..\" ABSOLUTE)" text "${text}")
    string(REPLACE "get_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)" "" text "${text}")
    string(REPLACE "\${CMAKE_CURRENT_LIST_DIR}/../../../" "\${CMAKE_CURRENT_LIST_DIR}/../../" text "${text}")
    file(WRITE "${file}" "${text}")
  endforeach()
endfunction()

function(vcpkg_fixup_pkgconfig)
  run(${CMAKE_COMMAND} -E env "PKG_CONFIG_PATH=${CURRENT_PACKAGES_DIR}/lib/pkgconfig" pkg-config --exists --print-errors fanwire)
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(COPY_FILE ${arg_FILE_LIST} "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright")
endfunction()

macro(vcpkg_download_distfile)
  message(FATAL_ERROR "a checkout's port downloads nothing")
endmacro()

include("${PORT_DIR}/portfile.cmake")
