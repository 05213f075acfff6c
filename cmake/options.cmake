# Flags shared by every target, and the helpers that define targets.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# Every program lies at the top of the build directory: build/release/durable-streams.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

option(DS_WASM "Build the core for wasm32-wasi" OFF)
set(DS_SANITIZE "" CACHE STRING "Sanitizers to build with, e.g. address,undefined")

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
if(DS_SANITIZE)
  add_compile_options(-fsanitize=${DS_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DS_SANITIZE})
  # The core has no RTTI: objects it makes have no type for this check to look at.
  add_compile_options(-fno-sanitize=vptr)
endif()

option(DS_FUZZ "Link the fuzz targets with libFuzzer (clang); see tests/fuzz/run" OFF)
if(DS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

option(DS_COVERAGE "Count what is reached (clang); see tests/coverage" OFF)
if(DS_COVERAGE)
  # Counters are mapped files: they outlive a process that is killed. Tests are written for GCC,
  # whose -Wconversion lets signs be.
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping -Wno-sign-conversion
                      "SHELL:-mllvm -runtime-counter-relocation")
  add_link_options(-fprofile-instr-generate)
endif()

find_program(DS_CCACHE ccache)
if(DS_CCACHE)
  # Paths inside the tree are made relative: a second clone finds what the first one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 ${DS_CCACHE})
endif()

# ds_library(NAME DIR...): a static library of every .cc below this folder (or below the given
# subfolders) that is neither a test nor a fuzz target.
function(ds_library name)
  set(dirs ${ARGN})
  if(NOT dirs)
    set(dirs .)
  endif()
  set(patterns)
  foreach(dir ${dirs})
    list(APPEND patterns ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*.cc)
  endforeach()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${patterns})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|main)\\.cc$")
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

# What ./test runs: built without the server and the load generator where those are not needed.
add_custom_target(ds_tests)

# ds_test(NAME LIBRARY...): one GoogleTest program of every _test.cc below this folder.
function(ds_test name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARGN} GTest::gtest GTest::gtest_main)
  add_dependencies(ds_tests ${name})
  add_test(NAME ${name} COMMAND ${name})
endfunction()

# What tests/fuzz/run builds.
add_custom_target(ds_fuzz_targets)

# ds_fuzz([RUNS n] LIBRARY...): a program fuzz_<name> of every <name>_fuzz.cc below this folder,
# which defines LLVMFuzzerTestOneInput. In the preset `fuzz` libFuzzer drives it. Otherwise it is a
# test: tests/fuzz/fuzz_main.cc feeds it the files of tests/fuzz/corpus/<name> and `n` seeded random
# inputs made from them.
function(ds_fuzz)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "RUNS" "")
  if(NOT arg_RUNS)
    set(arg_RUNS 100000)
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_fuzz.cc)
  foreach(source ${sources})
    get_filename_component(stem ${source} NAME_WE)
    string(REGEX REPLACE "_fuzz$" "" stem ${stem})
    add_executable(fuzz_${stem} ${source})
    target_link_libraries(fuzz_${stem} PRIVATE ${arg_UNPARSED_ARGUMENTS})
    add_dependencies(ds_fuzz_targets fuzz_${stem})
    if(DS_FUZZ)
      target_link_options(fuzz_${stem} PRIVATE -fsanitize=fuzzer)
    else()
      target_sources(fuzz_${stem} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_main.cc)
      add_dependencies(ds_tests fuzz_${stem})
      add_test(NAME fuzz_${stem} COMMAND fuzz_${stem} --runs ${arg_RUNS}
               ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${stem})
    endif()
  endforeach()
endfunction()

if(NOT DS_WASM)
  find_package(GTest REQUIRED)
  find_package(Threads REQUIRED)
  enable_testing()
endif()
