# An overlay port in a checkout builds the checkout: vcpkg install fanwire --overlay-ports=packaging/vcpkg. In the port that
# packaging/release.sh makes, source.cmake names the release's source archive and its checksum.
if(EXISTS "${CURRENT_PORT_DIR}/source.cmake")
  include("${CURRENT_PORT_DIR}/source.cmake")
  vcpkg_download_distfile(ARCHIVE URLS "${FANWIRE_SOURCE_URL}" FILENAME "fanwire-${VERSION}.tar.gz" SHA512 "${FANWIRE_SOURCE_SHA512}")
  vcpkg_extract_source_archive(SOURCE_PATH ARCHIVE "${ARCHIVE}")
else()
  get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../.." ABSOLUTE)
endif()

vcpkg_find_acquire_program(PKGCONFIG)
# The triplet's VCPKG_LIBRARY_LINKAGE arrives as BUILD_SHARED_LIBS: one library is built, of that kind.
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
                      OPTIONS -DFANWIRE_CLI=OFF -DFANWIRE_TESTS=OFF "-DPKG_CONFIG_EXECUTABLE=${PKGCONFIG}")
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME fanwire CONFIG_PATH lib/cmake/fanwire)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include")
file(INSTALL "${CURRENT_PORT_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
