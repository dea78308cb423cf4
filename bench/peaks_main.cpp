#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "bench/machine_peaks.h"

/// machine_peaks [--threads N] [--isa NAME]: one line of JSON.
int main(int argc, char** argv) {
  CLI::App app{"What this machine can do at most", "machine_peaks"};
  int threads = 0;
  std::string isa = "auto";
  app.add_option("--threads", threads, "0: all cores")->check(CLI::Range(0, 1024));
  app.add_option("--isa", isa, "auto, avx512, avx2 or portable");
  CLI11_PARSE(app, argc, argv);
  try {
    std::printf("%s\n", krait::bench::to_json(krait::bench::measure_peaks(threads, isa)).c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "machine_peaks: %s\n", error.what());
    return 1;
  }
  return 0;
}
