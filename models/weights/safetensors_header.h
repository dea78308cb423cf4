#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "kernels/dtype.h"
#include "kernels/tensor.h"

namespace krait {

/// Where one tensor lies in its file. `begin` counts from the start of the file and may be aligned to nothing.
struct TensorEntry {
  DType dtype = DType::kFloat32;
  /// A scalar (shape `[]` in the file) is `[1]` here.
  Shape shape;
  std::size_t begin = 0;
  std::size_t bytes = 0;
};

/// Reads the header of a safetensors file (https://github.com/huggingface/safetensors, "Format"): eight bytes of header
/// length, JSON, data. `file` is the whole file. Everything is checked before it is believed: the length against the
/// file and against 100 MB, each dtype, shape and offset, and that the tensors cover the data without a hole or an
/// overlap. So every entry that comes back lies inside of `file` and has exactly the bytes of its shape. Faults are
/// StartupErrors "<path>: tensor `name`: …".
std::map<std::string, TensorEntry> parse_safetensors_header(std::span<const std::byte> file, const std::string& path);

}  // namespace krait
