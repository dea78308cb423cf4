#include <cstdio>
#include <exception>
#include <filesystem>

#include "bench/shapes/published_shapes.h"
#include "bench/shapes/random_checkpoint.h"

/// random_checkpoint SHAPE FOLDER: writes a checkpoint of a published shape with random weights. 2: bad arguments.
int main(int argc, char** argv) {
  using namespace krait::bench;
  if (argc != 3) {
    std::fprintf(stderr, "usage: random_checkpoint SHAPE FOLDER\nshapes:");
    for (const std::string& name : published_shapes()) std::fprintf(stderr, " %s", name.c_str());
    std::fprintf(stderr, "\n");
    return 2;
  }
  try {
    const nlohmann::json config = published_shape(argv[1]);
    std::filesystem::create_directories(argv[2]);
    write_random_checkpoint(config, argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "random_checkpoint: %s\n", error.what());
    return 2;
  }
  return 0;
}
