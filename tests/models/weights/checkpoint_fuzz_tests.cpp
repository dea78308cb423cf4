#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "kernels/result.h"
#include "models/weights/weight_loader.h"
#include "tests/temp_folder.h"

using krait::Checkpoint;
using krait::StartupError;
using krait::TensorView;
using krait::test::TempFolder;

namespace {

const std::string kSource = std::string(KRAIT_SOURCE_DIR) + "/tests/golden/models/llama/model.safetensors";

/// `KRAIT_RANDOM_CASES` scales the random tests of the whole project.
int random_cases(int fallback) {
  const char* text = std::getenv("KRAIT_RANDOM_CASES");
  return text == nullptr ? fallback : std::max(1, std::atoi(text));
}

std::uint64_t seed() {
  const char* text = std::getenv("KRAIT_RANDOM_SEED");
  return text == nullptr ? std::random_device{}() : std::strtoull(text, nullptr, 10);
}

std::string read_source() {
  std::ifstream stream(kSource, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

class Mutator {
 public:
  Mutator(std::string source, std::uint64_t seed) : source_(std::move(source)), random_(seed) {
    header_end_ = 8 + (static_cast<unsigned char>(source_[0]) | static_cast<unsigned char>(source_[1]) << 8);
  }

  /// The source with some bytes changed, nearly all in the header, and sometimes with its end cut off.
  std::string next() {
    std::string bytes = source_;
    const std::size_t changes = below(4) + 1;
    for (std::size_t i = 0; i < changes; ++i) change(bytes);
    if (below(8) == 0) bytes.resize(below(2) == 0 ? below(header_end_) : below(bytes.size()));
    return bytes;
  }

 private:
  std::size_t below(std::size_t bound) { return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_); }

  void change(std::string& bytes) {
    const std::size_t kind = below(16);
    const std::size_t place = kind == 0 ? below(8) : kind == 1 ? below(bytes.size()) : 8 + below(header_end_ - 8);
    const char digit = static_cast<char>('0' + below(10));
    const bool is_digit = bytes[place] >= '0' && bytes[place] <= '9';
    // Another digit keeps the JSON valid and so reaches the checks behind the parser.
    bytes[place] = is_digit && below(4) != 0 ? digit : static_cast<char>(below(256));
  }

  std::string source_;
  std::mt19937_64 random_;
  std::size_t header_end_ = 0;
};

/// Reads every byte that a checkpoint offers: a bad range would crash, or be seen by the sanitizers.
std::uint64_t touch_everything(const Checkpoint& checkpoint) {
  std::uint64_t sum = 0;
  for (const std::string& name : checkpoint.names()) {
    const TensorView view = checkpoint.tensor(name);
    for (std::size_t i = 0; i < view.bytes(); ++i) sum += view.as<unsigned char>()[i];
  }
  return sum;
}

/// True when it loads; a StartupError with a message is the only other way out.
bool loads(const std::string& folder) {
  try {
    const Checkpoint checkpoint(folder);
    touch_everything(checkpoint);
    return true;
  } catch (const StartupError& error) {
    REQUIRE_FALSE(std::string_view(error.what()).empty());
    return false;
  }
}

}  // namespace

TEST_CASE("a corrupt checkpoint loads or is refused, and never crashes") {
  const int cases = random_cases(3000);
  const std::uint64_t used_seed = seed();
  WARN("seed: KRAIT_RANDOM_SEED=" << used_seed << ", cases: " << cases);
  const TempFolder folder;
  Mutator mutator(read_source(), used_seed);
  int loaded = 0;
  for (int i = 0; i < cases; ++i) {
    folder.write("model.safetensors", mutator.next());
    INFO("case " << i);
    if (loads(folder.path())) ++loaded;
  }
  // Some changes only touch data or a name: they load. Most hit the header and must not.
  CHECK(loaded < cases);
  if (cases >= 100) CHECK(loaded > 0);
}
