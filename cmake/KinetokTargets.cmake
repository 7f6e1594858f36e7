# Options that every target of this project shares, and the functions the rooms use to register what they hold.

add_library(kinetok_options INTERFACE)
# No fused or reordered arithmetic that the source does not spell out: the same input gives the same bits everywhere.
target_compile_options(kinetok_options INTERFACE -Wall -Wextra -Wshadow -Wno-psabi -ffp-contract=off -fno-math-errno)
option(KINETOK_WERROR "Treat warnings as errors" ON)
if(KINETOK_WERROR)
  target_compile_options(kinetok_options INTERFACE -Werror)
endif()
if(KINETOK_SANITIZE)
  target_compile_options(kinetok_options INTERFACE -fsanitize=${KINETOK_SANITIZE} -fno-sanitize-recover=all
                                                   -fno-omit-frame-pointer)
  target_link_options(kinetok_options INTERFACE -fsanitize=${KINETOK_SANITIZE})
endif()

# The large headers that nearly every file includes, parsed once a target: building takes about half the time. Every
# source still includes what it uses (clang-tidy checks it without precompiled headers).
option(KINETOK_PRECOMPILE "Precompile the headers of libraries" ON)
set(KINETOK_LARGE_HEADERS <algorithm> <filesystem> <functional> <map> <memory> <string> <vector> <fmt/format.h>
                          <fmt/std.h> <nlohmann/json.hpp>)
function(kinetok_precompile target)  # further arguments: more headers
  if(KINETOK_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${KINETOK_LARGE_HEADERS} ${ARGN})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${target} PRIVATE -fpch-preprocess)  # for ccache
    endif()
  endif()
endfunction()

# The command line and the tests hold much code that runs once: where tests are built, they take a third less time to
# compile at -O1, and instrumented by a sanitizer half the time at -O0, and run hardly longer. The library below them
# keeps its own level, and so does the command line of a build without tests.
function(kinetok_compile_quickly target)
  if(KINETOK_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  elseif(KINETOK_BUILD_TESTS)
    target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O1>)
  endif()
endfunction()

# Test code comes in one program per room: kinetok_tests(room a_test.cc b_test.cc). With THREADED the program is
# called <room>_threaded_test, its tests carry the label "threaded" and also run under ThreadSanitizer.
function(kinetok_tests room)
  if(NOT KINETOK_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "THREADED" "" "" ${ARGN})
  set(name ${room}_test)
  set(label unit)
  if(ARG_THREADED)
    set(name ${room}_threaded_test)
    set(label threaded)
  endif()
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  if(ARG_THREADED)
    if(NOT TARGET threaded_tests)
      add_custom_target(threaded_tests)  # what a ThreadSanitizer build needs
    endif()
    add_dependencies(threaded_tests ${name})
  endif()
  target_link_libraries(${name} PRIVATE kinetok kinetok_options GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE KINETOK_SHARED_DATA="${KINETOK_SHARED_DATA}"
                                             KINETOK_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                             KINETOK_BINARY_DIR="${CMAKE_BINARY_DIR}")
  kinetok_compile_quickly(${name})
  get_property(first GLOBAL PROPERTY KINETOK_FIRST_TEST)
  if(NOT first)
    set_property(GLOBAL PROPERTY KINETOK_FIRST_TEST ${name})
    kinetok_precompile(${name} <gmock/gmock.h> <gtest/gtest.h>)
  elseif(KINETOK_PRECOMPILE)
    target_precompile_headers(${name} REUSE_FROM ${first})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${name} PRIVATE -fpch-preprocess)
    endif()
  endif()
  gtest_discover_tests(${name} PROPERTIES LABELS ${label} TIMEOUT 900
                       ENVIRONMENT "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0"
                       ENVIRONMENT_MODIFICATION "TSAN_OPTIONS=set:suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp"
                       DISCOVERY_TIMEOUT 120)
endfunction()

# Kernels are compiled once per instruction set, each time into a namespace of that name, and once more without one:
# that last object holds the public functions, which choose the namespace at run time (kernels/cpu/dispatch.h).
set(KINETOK_TARGET_FLAGS_portable "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(KINETOK_TARGETS portable portable_fma avx2 avx512)
  set(KINETOK_TARGET_FLAGS_portable_fma -mavx -mfma)
  set(KINETOK_TARGET_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2)
  set(KINETOK_TARGET_FLAGS_avx512 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mavx512f -mavx512bw -mavx512vl -mavx512dq
                                  -mprefer-vector-width=512)
  # g++ 12's own AVX-512 headers start results from an uninitialised register, by design (PR 105593).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND KINETOK_TARGET_FLAGS_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
else()
  set(KINETOK_TARGETS portable)
endif()

# Kernels are optimised in every build type: the tests of a debug build would otherwise take hours. With a sanitizer the
# compiler would take hours: -O1 keeps both short.
set(KINETOK_KERNEL_OPTIMISATION -O3)
if(KINETOK_SANITIZE)
  set(KINETOK_KERNEL_OPTIMISATION -O1)
endif()

function(kinetok_kernels)
  target_sources(kinetok PRIVATE ${ARGN})
  foreach(isa ${KINETOK_TARGETS})
    add_library(kernels_${isa} OBJECT ${ARGN})
    target_include_directories(kernels_${isa} PRIVATE ${CMAKE_SOURCE_DIR})
    target_link_libraries(kernels_${isa} PRIVATE kinetok_options fmt::fmt)
    target_compile_options(kernels_${isa} PRIVATE ${KINETOK_KERNEL_OPTIMISATION} ${KINETOK_TARGET_FLAGS_${isa}})
    target_compile_definitions(kernels_${isa} PRIVATE KINETOK_TARGET=${isa} KINETOK_TARGET_${isa}=1)
    target_sources(kinetok PRIVATE $<TARGET_OBJECTS:kernels_${isa}>)
  endforeach()
endfunction()
