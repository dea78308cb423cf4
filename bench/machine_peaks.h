#pragma once

#include <string>
#include <string_view>

namespace krait::bench {

/// What this machine can do at most, measured now: multiply and add counted as two operations, wall time, the best of
/// several runs. A virtual machine gives other figures from minute to minute, so a share of a peak needs both from one
/// run of a program.
struct MachinePeaks {
  int threads = 0;      ///< of the figures that are not of one thread
  std::string isa;      ///< "AVX-512 BF16 VNNI", "AVX-512", "AVX2", "portable"
  double float32 = 0;   ///< GFLOP/s of fused multiply-adds
  double bfloat16 = 0;  ///< GFLOP/s of bfloat16 dot products; without such an instruction that of float32
  double int8 = 0;      ///< Gop/s of u8 x s8 dot products: vpdpbusd, else vpmaddubsw with vpmaddwd and vpaddd
  double float32_one = 0;
  double bfloat16_one = 0;
  double int8_one = 0;
  double read = 0;      ///< GB/s read from memory, the best of several access patterns
  double read_one = 0;  ///< by one thread
};

/// `threads` 0: the cores that the process may use. `isa` as of --cpu-isa: auto, avx512, avx2 or portable; it bounds
/// what is measured to what such kernels could use. Takes about two seconds and 512 MiB. Throws StartupError for
/// another name, and for an instruction set that the processor lacks.
MachinePeaks measure_peaks(int threads, std::string_view isa = "auto");

/// Read bandwidth alone, in GB/s: next to a measurement that is to be compared with it.
double measure_read_bandwidth(int threads);

/// One line of JSON.
std::string to_json(const MachinePeaks& peaks);

}  // namespace krait::bench
