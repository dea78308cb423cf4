#include "models/layers/experts.h"

#include "models/weights/weight_loader.h"

namespace krait {
namespace {

/// Every second row of a stack that alternates, from `first` on.
std::vector<std::int32_t> every_second(std::int64_t count, std::int32_t first) {
  std::vector<std::int32_t> rows;
  for (std::int64_t i = 0; i < count; ++i) rows.push_back(static_cast<std::int32_t>(2 * i) + first);
  return rows;
}

}  // namespace

Experts::Experts(Names names, const Config& config, const LayerContext& context)
    : names_(std::move(names)), config_(config) {
  if (context.parallel.size > 1) throw StartupError("experts cannot be split over ranks in this version");
}

void Experts::load(WeightLoader& loader) {
  const bool stacked = loader.has(names_.stacked.gate_up) || (names_.usually_stacked && !loader.has(first_separate()));
  for (int expert = 0; expert < config_.experts; ++expert) {
    stacked ? load_stacked(loader, expert) : load_separate(loader, expert);
  }
}

std::string Experts::first_separate() const { return names_.separate.prefix + ".0." + names_.separate.up + ".weight"; }

void Experts::load_separate(WeightLoader& loader, int expert) {
  const std::string prefix = names_.separate.prefix + "." + std::to_string(expert) + ".";
  const auto matrix = [&](const std::string& name, std::int64_t rows) {
    return MatrixSource{.weight = prefix + name + ".weight",
                        .bias = names_.stacked.interleaved_with_bias ? prefix + name + ".bias" : "",
                        .out_features = rows};
  };
  std::vector<MatrixSource> up;
  if (config_.gated) up.push_back(matrix(names_.separate.gate, config_.intermediate_size));
  up.push_back(matrix(names_.separate.up, config_.intermediate_size));
  up_.push_back(loader.linear(up, config_.input_size, {.gate_up = config_.gated}));
  down_.push_back(loader.linear({matrix(names_.separate.down, config_.input_size)}, config_.intermediate_size));
}

void Experts::load_stacked(WeightLoader& loader, int expert) {
  const Stacked& stacked = names_.stacked;
  const std::int64_t inner = config_.intermediate_size;
  const auto matrix = [&](const std::string& name, std::int64_t rows) {
    MatrixSource source{.weight = name, .out_features = rows, .stack_count = config_.experts, .stack_index = expert};
    source.transposed = stacked.interleaved_with_bias;
    if (stacked.interleaved_with_bias) source.bias = name + "_bias";
    return source;
  };
  std::vector<MatrixSource> up{matrix(stacked.gate_up, config_.gated ? 2 * inner : inner)};
  if (stacked.interleaved_with_bias) {
    up.push_back(up.front());
    for (std::int32_t half = 0; half < 2; ++half) {
      MatrixSource& source = up[static_cast<std::size_t>(half)];
      source.out_features = inner;
      source.rows = every_second(inner, half);
      source.stored_rows = 2 * inner;
    }
  }
  up_.push_back(loader.linear(up, config_.input_size, {.gate_up = config_.gated}));
  down_.push_back(loader.linear({matrix(stacked.down, config_.input_size)}, inner));
}

void Experts::forward(ForwardContext& context, const TensorView& x, const TensorView& logits,
                      const RouterOptions& router, const LayerOutput& output) const {
  context.ops.moe({.x = x,
                   .logits = logits,
                   .router = router,
                   .up = up_,
                   .down = down_,
                   .activation = config_.activation,
                   .gated = config_.gated,
                   .limit = config_.limit,
                   .scale = output.scale,
                   .accumulate = output.accumulate,
                   .out = output.into});
}

}  // namespace krait
