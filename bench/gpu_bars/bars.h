#pragma once

#include "bench/cache_bars/bar.h"

/// What must hold of the CUDA platform's speed on the machine's first GPU. All bars are shares of its memory's
/// bandwidth, as a copy of its own memory has it in the same run.
namespace krait::bench {

/// Bytes a second of the first GPU, read and written ones both counted: the best of several copies of 1 GiB.
double device_bandwidth();

/// The Mamba-2 state update of 256 sequences (64 heads of 64, float32 states of 128): its states, read and written.
BarResult state_update_batch_256();

/// Decode of granite-4.0-h-1b's shape with random weights, through the engine: weights once a step, each request's
/// states read and written, and its keys and values read.
BarResult decode_batch_1();
BarResult decode_batch_64();

}  // namespace krait::bench
