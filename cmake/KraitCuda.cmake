# KRAIT_CUDA=ON: nvcc with the flags of our kernels, and the libraries that the CUDA platform links. CMAKE_CUDA_ARCHITECTURES chooses
# the devices that it gets machine code for, for example 90a-real; the first of the default also runs on newer devices, by way of
# their driver's compiler.

find_program(KRAIT_NVCC nvcc HINTS ENV CUDACXX PATHS /usr/local/cuda/bin)
if(NOT KRAIT_NVCC)
  message(FATAL_ERROR "KRAIT_CUDA needs the CUDA 13 toolkit: no nvcc on the PATH or in /usr/local/cuda (scripts/install-deps --cuda)")
endif()
if(NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER "${KRAIT_NVCC}")
endif()
if(NOT CMAKE_CUDA_HOST_COMPILER)
  set(CMAKE_CUDA_HOST_COMPILER "${CMAKE_CXX_COMPILER}")
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --list-gpu-code OUTPUT_VARIABLE known_architectures COMMAND_ERROR_IS_FATAL ANY)
  set(architectures 80)
  foreach(architecture 90 100)
    if(known_architectures MATCHES "sm_${architecture}[^0-9]")
      list(APPEND architectures ${architecture}-real)
    endif()
  endforeach()
  list(TRANSFORM architectures REPLACE "^90-real$" "90a-real")
  set(CMAKE_CUDA_ARCHITECTURES "${architectures}" CACHE STRING "Devices that the CUDA platform gets machine code for")
endif()

enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know nvcc's flag
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
endif()
set(CMAKE_CUDA_STANDARD 20)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${CCACHE}")
endif()

find_package(CUDAToolkit 13 REQUIRED)
find_path(KRAIT_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
find_library(KRAIT_NCCL nccl HINTS ${CUDAToolkit_LIBRARY_DIR} REQUIRED)

# What our kernels are compiled with. -lineinfo costs nothing at run time and names lines in a profile or a sanitizer's report.
add_library(krait_nvcc_flags INTERFACE)
target_compile_options(krait_nvcc_flags INTERFACE
  --expt-relaxed-constexpr -lineinfo --Werror=all-warnings
  -Xcompiler=-Wall,-Wextra,-Wshadow,-Wnon-virtual-dtor,-Werror)
