# How every target of the project is compiled, in one place.

find_package(Threads REQUIRED)

add_library(krait_flags INTERFACE)
target_compile_options(krait_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                             -Wnon-virtual-dtor -Werror)
# Two builds of one formula must give the same bits (design, section 6): the compiler may not fuse a multiplication and an
# addition that the source writes apart.
target_compile_options(krait_flags INTERFACE -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees overlapping copies in `"literal" + std::string` (its bug 105651).
  target_compile_options(krait_flags INTERFACE -Wno-restrict)
endif()
if(KRAIT_FUZZ)
  # Everything is instrumented; only the fuzz targets link libFuzzer's main (tests/fuzz).
  target_compile_options(krait_flags INTERFACE -fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer)
  target_link_options(krait_flags INTERFACE -fsanitize=address)
endif()
if(KRAIT_SANITIZE)
  target_compile_options(krait_flags INTERFACE -fsanitize=${KRAIT_SANITIZE} -fno-omit-frame-pointer
                                               -fno-sanitize-recover=all)
  target_link_options(krait_flags INTERFACE -fsanitize=${KRAIT_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 reports false positives of these two in instrumented standard headers.
    target_compile_options(krait_flags INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow)
  endif()
endif()

# krait_library(NAME SOURCES... DEPENDS...): one folder, one static library. Headers are included from the repository's root.
function(krait_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} Threads::Threads PRIVATE krait_flags ${ARG_PRIVATE_DEPENDS})
endfunction()

# krait_test(NAME SOURCES... DEPENDS...): one Catch2 program, one ctest entry.
function(krait_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  set(sanitized 0)
  if(KRAIT_SANITIZE)
    set(sanitized 1)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} krait_flags catch2_main)
  target_compile_definitions(${name} PRIVATE KRAIT_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             KRAIT_SANITIZED=${sanitized})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 900)
endfunction()
