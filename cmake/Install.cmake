# cmake --install: the program, the library, its headers, and what find_package(kinetok) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

target_compile_features(kinetok PUBLIC cxx_std_20)  # what the headers need
set(KINETOK_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/kinetok)
install(TARGETS kinetok_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS kinetok kinetok_options EXPORT kinetokTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT kinetokTargets NAMESPACE kinetok:: DESTINATION ${KINETOK_CMAKE_DIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/kinetok DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h"
        PATTERN "reference" EXCLUDE PATTERN "*_test*" EXCLUDE PATTERN "*_cases.h" EXCLUDE
        PATTERN "test_*.h" EXCLUDE PATTERN "golden_models.h" EXCLUDE PATTERN "simd_check.h" EXCLUDE
        PATTERN "canvas.h" EXCLUDE PATTERN "image_codec.h" EXCLUDE
        PATTERN "http_connection.h" EXCLUDE PATTERN "client_stream.h" EXCLUDE PATTERN "cpu" EXCLUDE)

configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/kinetokConfig.cmake.in
                              ${CMAKE_BINARY_DIR}/kinetokConfig.cmake INSTALL_DESTINATION ${KINETOK_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/kinetokConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/kinetokConfig.cmake ${CMAKE_BINARY_DIR}/kinetokConfigVersion.cmake
        DESTINATION ${KINETOK_CMAKE_DIR})
