# FlashInfer (Apache 2.0): headers of kernels, from the wheel that scripts/install-deps --flashinfer fetched. They want the CUDA
# core libraries that come with them, which are newer than the toolkit's.

set(KRAIT_FLASHINFER_VERSION 0.7.2.post1)
include(CacheHome)
set(KRAIT_FLASHINFER_DIR "${KRAIT_CACHE_HOME}/flashinfer-${KRAIT_FLASHINFER_VERSION}"
    CACHE PATH "FlashInfer's headers, as scripts/install-deps unpacks them")

if(NOT EXISTS "${KRAIT_FLASHINFER_DIR}/include/flashinfer/page.cuh")
  message(FATAL_ERROR "FlashInfer ${KRAIT_FLASHINFER_VERSION} is not in ${KRAIT_FLASHINFER_DIR}. Run scripts/install-deps "
                      "--flashinfer, or unpack flashinfer/data of its wheel yourself and set -DKRAIT_FLASHINFER_DIR=PATH.")
endif()
foreach(architecture ${CMAKE_CUDA_ARCHITECTURES})
  if(architecture MATCHES "^([0-9]+)" AND CMAKE_MATCH_1 LESS 90)
    message(FATAL_ERROR "KRAIT_FLASHINFER needs compute capability 9.0: its kernels use Hopper's tensor memory accelerator, and "
                        "CMAKE_CUDA_ARCHITECTURES has ${architecture}. Set, for example, -DCMAKE_CUDA_ARCHITECTURES=90a-real.")
  endif()
endforeach()

add_library(flashinfer INTERFACE)
foreach(library libcudacxx/include cub thrust)
  # -I, not -isystem: only so do they come before the toolkit's.
  target_compile_options(flashinfer INTERFACE "-I${KRAIT_FLASHINFER_DIR}/cccl/${library}")
endforeach()
target_include_directories(flashinfer SYSTEM INTERFACE "${KRAIT_FLASHINFER_DIR}/include")
target_compile_definitions(flashinfer INTERFACE FLASHINFER_ENABLE_F16 FLASHINFER_ENABLE_BF16 FLASHINFER_ENABLE_FP8_E4M3
                                                FLASHINFER_ENABLE_FP8_E5M2)
target_compile_options(flashinfer INTERFACE --expt-relaxed-constexpr -lineinfo)
