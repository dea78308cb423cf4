#pragma once

namespace krait::cuda {

/// A stream of the device (`cudaStream_t`): what is put into one stream runs in order.
using Stream = void*;

}  // namespace krait::cuda
