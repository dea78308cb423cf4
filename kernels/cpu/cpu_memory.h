#pragma once

#include <cstddef>
#include <memory>

#include "kernels/platform.h"

namespace krait::cpu {

/// 64-byte aligned; large blocks ask for huge pages. Throws std::bad_alloc.
Buffer allocate_buffer(std::size_t bytes);

/// Address space from mmap; committing only makes pages accessible, the kernel backs them on first use.
std::unique_ptr<ReservedMemory> reserve_memory(std::size_t capacity);

/// The least of the machine's free memory (MemAvailable) and what the cgroups above this process leave.
std::size_t available_memory();

}  // namespace krait::cpu
