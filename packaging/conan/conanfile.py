"""The recipe for Conan 2. In a checkout it builds the checkout: `conan create packaging/conan`. Beside the recipe that
packaging/release.sh makes, conandata.yml names the release's source archive and its checksum."""

import os
import re

from conan import ConanFile
from conan.errors import ConanException
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, get, load, rm, rmdir
from conan.tools.gnu import PkgConfigDeps

required_conan_version = ">=2.0"


class FanwireRecipe(ConanFile):
    name = "fanwire"
    license = "MIT"
    author = "The fanwire authors"
    url = "https://github.com/fanwire/fanwire"
    homepage = "https://github.com/fanwire/fanwire"
    description = "A Redis fan-out engine for servers in any language"
    topics = ("redis", "valkey", "pubsub", "fan-out", "websocket")
    package_type = "library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    implements = ["auto_shared_fpic"]

    @property
    def _checkout(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        if not self.version:
            text = load(self, os.path.join(self._checkout, "CMakeLists.txt"))
            self.version = re.search(r"project\(fanwire VERSION ([0-9.]+)", text)[1]

    def export_sources(self):
        if os.path.exists(os.path.join(self._checkout, "core", "CMakeLists.txt")):
            for pattern in ("CMakeLists.txt", "LICENSE", "core/*", "capi/*", "packaging/*.in", "packaging/*.cmake"):
                copy(self, pattern, self._checkout, self.export_sources_folder)

    def source(self):
        if not os.path.exists(os.path.join(self.source_folder, "core", "CMakeLists.txt")):
            get(self, **self.conan_data["sources"][self.version], strip_root=True)

    def layout(self):
        cmake_layout(self, src_folder=".")

    def requirements(self):
        self.requires("hiredis/[>=1.0 <2]")
        self.requires("libevent/[>=2.1.12 <3]")
        self.requires("openssl/[>=3 <4]")

    def build_requirements(self):
        self.tool_requires("cmake/[>=3.25]")
        self.tool_requires("pkgconf/[>=2]")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanException("fanwire is for Linux")
        if self.settings.get_safe("compiler.cppstd"):
            check_min_cppstd(self, 17)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["FANWIRE_CLI"] = False
        toolchain.cache_variables["FANWIRE_TESTS"] = False
        toolchain.cache_variables["CMAKE_CXX_STANDARD"] = "20"
        toolchain.generate()
        CMakeDeps(self).generate()
        PkgConfigDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        # Conan writes these for its own targets.
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))
        rm(self, "*.la", os.path.join(self.package_folder, "lib"), recursive=True)

    def package_info(self):
        self.cpp_info.libs = ["fanwire"]
        self.cpp_info.set_property("cmake_file_name", "fanwire")
        self.cpp_info.set_property("cmake_target_name", "fanwire::fanwire")
        self.cpp_info.set_property("pkg_config_name", "fanwire")
        if not self.options.shared:
            self.cpp_info.defines = ["FANWIRE_STATIC"]
            self.cpp_info.system_libs = ["pthread", "m", "stdc++"]
            self.cpp_info.set_property("cmake_target_aliases", ["fanwire::fanwire_static"])
