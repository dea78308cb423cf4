#pragma once

#include <cstdint>

#include "kernels/cuda/linear/product.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/stream.h"
#include "kernels/operations/moe_args.h"

/// From router logits to lists of rows for each expert, all on the device: sizes stay unknown to the host, launches do
/// not depend on them.
namespace krait::cuda {

/// The classes of every token, best first, and their weights (RouterOptions). A warp a token: top_k passes over the
/// logits in shared memory; bound by latency.
struct Route {
  ConstRows logits{};  ///< [tokens, classes]
  int tokens = 0;
  int classes = 0;
  int top_k = 0;
  RouterScoring scoring = RouterScoring::kTopKThenSoftmax;
  const float* selection_bias = nullptr;
  int groups = 1;
  int top_groups = 1;
  bool renormalize = false;
  float renormalize_eps = 0.0F;
  float weight_scale = 1.0F;
  std::int32_t* chosen = nullptr;  ///< [tokens, top_k]
  float* weights = nullptr;        ///< [tokens, top_k]
};
void route(const Route& args, Stream stream);

/// The assignments (token, choice) sorted by expert, in the order of tokens. A block an expert, which reads all
/// assignments twice.
struct SortByExpert {
  const std::int32_t* chosen = nullptr;  ///< [tokens, top_k]; `experts` and above: none
  int tokens = 0;
  int top_k = 0;
  int experts = 0;
  std::int32_t* start = nullptr;     ///< [experts + 1] first sorted row of each expert
  std::int32_t* row_of = nullptr;    ///< [tokens, top_k] sorted row, or -1
  std::int32_t* token_of = nullptr;  ///< [tokens * top_k] token of each sorted row
};
void sort_by_expert(const SortByExpert& args, Stream stream);

/// The experts' rows cut into tiles of at most `tile_rows`. One block.
struct PlanTiles {
  const std::int32_t* start = nullptr;
  int experts = 0;
  int tile_rows = 0;
  RowTile* tiles = nullptr;  ///< as many as `most_tiles` says
  std::int32_t* count = nullptr;
};
void plan_tiles(const PlanTiles& args, Stream stream);

/// Tiles that `assignments` rows can need at most.
constexpr int most_tiles(int assignments, int experts, int tile_rows) {
  const int partial = experts < assignments ? experts : assignments;
  return partial + (assignments - partial) / tile_rows;
}

/// out[t] (+)= scale * sum over i of weights[t, i] * results[row_of[t, i]], in the order of i. A thread an element of
/// out: reads 4 * top_k bytes for 4 written.
struct CombineExperts {
  ConstRows results{};
  const std::int32_t* row_of = nullptr;
  const float* weights = nullptr;
  int tokens = 0;
  int top_k = 0;
  float scale = 1.0F;
  bool accumulate = false;
  Rows out{};
  int columns = 0;
};
void combine_experts(const CombineExperts& args, Stream stream);

}  // namespace krait::cuda
