#include "models/layers/linear.h"

#include "models/weights/weight_loader.h"

namespace krait {

Linear::Linear(std::vector<LinearPart> parts, std::int64_t in_features, const ParallelContext& parallel,
               Options options)
    : parts_(std::move(parts)), in_features_(in_features), parallel_(parallel), options_(options) {
  for (const LinearPart& part : parts_) {
    out_features_ += options_.parallel == Parallel::kColumn
                         ? parallel_.divide(static_cast<int>(part.out_features), "the outputs of " + part.name)
                         : part.out_features;
  }
  if (options_.parallel == Parallel::kRow) {
    static_cast<void>(parallel_.divide(static_cast<int>(in_features_), "the inputs of " + parts_.front().name));
  }
}

void Linear::load(WeightLoader& loader) {
  Shard shard{.axis = Shard::Axis::kNone, .rank = parallel_.rank, .size = parallel_.size};
  if (options_.parallel == Parallel::kColumn) shard.axis = Shard::Axis::kOutput;
  if (options_.parallel == Parallel::kRow) shard.axis = Shard::Axis::kInput;
  std::vector<MatrixSource> sources;
  for (const LinearPart& part : parts_) {
    sources.push_back({.weight = part.name + ".weight",
                       .bias = options_.bias ? part.name + ".bias" : "",
                       .out_features = part.out_features,
                       .rows = part.rows,
                       .stored_rows = part.stored_rows});
  }
  weight_ = loader.linear(sources, in_features_,
                          {.gate_up = options_.gate_up, .shard = shard, .compute_dtype = options_.compute_dtype});
}

void Linear::forward(Operations& ops, const TensorView& x, const TensorView& y, const Epilogue& epilogue) const {
  ops.linear({.weight = &weight_, .x = x, .y = y, .epilogue = epilogue});
  if (options_.parallel == Parallel::kRow && parallel_.communicator != nullptr) parallel_.communicator->all_reduce(y);
}

}  // namespace krait
