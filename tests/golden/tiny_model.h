#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/cache_pools.h"
#include "engine/runner/model_runner.h"
#include "kernels/platform.h"
#include "models/model.h"
#include "models/weights/weight_store.h"

namespace krait::test {

using Row = std::vector<float>;

/// One sequence in the caches of a TinyModel.
struct Sequence {
  std::uint64_t key = 0;
  std::int32_t slot = 0;
  std::vector<std::vector<std::int32_t>> pages;
  int computed = 0;
};

/// What one sequence does in one step.
struct Piece {
  Sequence* sequence = nullptr;
  std::vector<std::int32_t> tokens;
  bool is_decode = false;
};

/// A model and its runner without engine or scheduler: a test says itself what is in a step.
class TinyModel {
 public:
  struct Options {
    int threads = 1;
    std::string isa = "auto";
    DType compute_dtype = DType::kFloat32;
    Quantization quantization = Quantization::kNone;
    std::optional<DType> kv_cache_dtype{};  ///< as --kv-cache-dtype
    MambaConfig mamba;
    int block_size = 16;
    /// Instead of the CPU with `threads` and `isa`.
    std::function<std::unique_ptr<Platform>()> make_platform{};
    WeightStore* store = nullptr;
    GraphUse graphs = GraphUse::kRecorded;
  };
  /// `folder` is absolute, or relative to the repository.
  explicit TinyModel(const std::string& folder) : TinyModel(folder, Options{}) {}
  TinyModel(const std::string& folder, const Options& options);

  Sequence start();
  /// Logits of every token of every piece. Decodes come first, as in every step.
  std::vector<std::vector<Row>> step(const std::vector<Piece>& pieces);
  /// One sequence, one piece.
  std::vector<Row> run(Sequence& sequence, const std::vector<std::int32_t>& tokens, bool is_decode = false);
  /// The bytes of a sequence's recurrent state.
  [[nodiscard]] std::vector<std::byte> state(const Sequence& sequence) const;
  /// As WeightLoader gave them.
  [[nodiscard]] std::size_t weight_bytes() const { return weight_bytes_; }
  [[nodiscard]] std::int64_t parameters() const { return parameters_; }
  [[nodiscard]] const ModelRunner& runner() const { return *runner_; }
  /// For who schedules steps himself.
  [[nodiscard]] ModelRunner& runner() { return *runner_; }
  [[nodiscard]] CachePools& pools() { return *pools_; }

 private:
  std::unique_ptr<Platform> platform_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<ModelRunner> runner_;
  std::shared_ptr<CachePools> pools_;
  std::uint64_t next_key_ = 1;
  std::size_t weight_bytes_ = 0;
  std::int64_t parameters_ = 0;
};

/// Position of the largest value, the first of equals.
std::int32_t argmax(const Row& row);

}  // namespace krait::test
