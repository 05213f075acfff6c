# Debian's clang-14, wasi-libc and libc++ for wasm32-wasi.
# CMake 3.25 has no name of its own for WASI.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_CXX_COMPILER clang++-14)
set(CMAKE_AR llvm-ar-14)
set(CMAKE_RANLIB llvm-ranlib-14)
set(CMAKE_CXX_COMPILER_TARGET wasm32-wasi)
set(CMAKE_EXECUTABLE_SUFFIX_CXX .wasm)
# No system of ours to look for libraries in.
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# Debian's libc++ for wasm, the default there, is built without exceptions; the core needs neither
# them nor RTTI.
add_compile_options(-fno-exceptions -fno-rtti)
