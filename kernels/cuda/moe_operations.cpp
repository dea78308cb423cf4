#include "kernels/cuda/cuda_operations.h"
#include "kernels/cuda/linear/product.h"
#include "kernels/cuda/moe/routing.h"
#include "kernels/cuda/view_checks.h"

namespace krait::cuda {
namespace {

/// Blocks of a multiprocessor in the grids that loop over lists of tiles.
constexpr int kBlocksPerMultiprocessor = 4;

/// Rows an expert on average from which tiles of many rows pay: below, most of such a tile would be empty.
constexpr std::int64_t kManyRowsOfExpert = 16;

/// Where the lists of one call lie in one piece of memory.
class Carver {
 public:
  template <typename T>
  std::size_t reserve(std::int64_t count) {
    const std::size_t at = bytes_;
    bytes_ += (static_cast<std::size_t>(count) * sizeof(T) + 255) / 256 * 256;
    return at;
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

Route route_args(const MoeArgs& args, int classes, int experts) {
  const RouterOptions& router = args.router;
  const int top_groups = router.groups > 1 ? router.top_groups : 1;
  require(experts > 0 && experts <= classes && args.down.size() == args.up.size(), "experts");
  require(router.groups > 0 && classes % router.groups == 0 && top_groups > 0 && top_groups <= router.groups,
          "groups of the router");
  require(router.top_k > 0 && router.top_k <= classes / router.groups * top_groups, "top_k of the router");
  return {.logits = const_matrix(args.logits, args.x.rows(), classes, "router logits"),
          .tokens = static_cast<int>(args.x.rows()),
          .classes = classes,
          .top_k = router.top_k,
          .scoring = router.scoring,
          .selection_bias = vector_or_null(router.selection_bias, classes, "selection bias of the router"),
          .groups = router.groups,
          .top_groups = top_groups,
          .renormalize = router.renormalize,
          .renormalize_eps = router.renormalize_eps,
          .weight_scale = router.weight_scale};
}

}  // namespace

CudaOperations::Routing CudaOperations::route_tokens(const MoeArgs& args, bool many_rows) {
  const int tile_rows = many_rows ? kManyRows : kProductRows;
  const auto experts = static_cast<int>(args.up.size());
  Route router = route_args(args, static_cast<int>(args.logits.columns()), experts);
  const int assignments = router.tokens * router.top_k;
  const int most = most_tiles(assignments, experts, tile_rows);
  Carver carver;
  const std::size_t chosen = carver.reserve<std::int32_t>(assignments);
  const std::size_t weights = carver.reserve<float>(assignments);
  const std::size_t row_of = carver.reserve<std::int32_t>(assignments);
  const std::size_t token_of = carver.reserve<std::int32_t>(assignments);
  const std::size_t start = carver.reserve<std::int32_t>(experts + 1);
  const std::size_t count = carver.reserve<std::int32_t>(1);
  const std::size_t tiles = carver.reserve<RowTile>(most);
  auto* memory = static_cast<std::byte*>(routing_.ensure(carver.bytes()));
  const auto ints = [&](std::size_t at) { return reinterpret_cast<std::int32_t*>(memory + at); };

  router.chosen = ints(chosen);
  router.weights = reinterpret_cast<float*>(memory + weights);
  route(router, stream_);
  sort_by_expert({.chosen = router.chosen,
                  .tokens = router.tokens,
                  .top_k = router.top_k,
                  .experts = experts,
                  .start = ints(start),
                  .row_of = ints(row_of),
                  .token_of = ints(token_of)},
                 stream_);
  auto* list = reinterpret_cast<RowTile*>(memory + tiles);
  plan_tiles({.start = ints(start), .experts = experts, .tile_rows = tile_rows, .tiles = list, .count = ints(count)},
             stream_);
  return {.weights = router.weights,
          .row_of = ints(row_of),
          .token_of = ints(token_of),
          .tiles = list,
          .tile_count = ints(count),
          .most_tiles = most,
          .assignments = assignments,
          .many_rows = many_rows};
}

void CudaOperations::run_experts(const Routing& routing, const ExpertTable& table, const ConstRows& x,
                                 std::int64_t rows, const std::int32_t* x_rows, const Rows& y,
                                 const EpilogueForm& epilogue) {
  const Product product{.shape = table.shape,
                        .x = x,
                        .x_rows = x_rows,
                        .y = y,
                        .epilogue = epilogue,
                        .experts = table.experts,
                        .tiles = routing.tiles,
                        .tile_count = routing.tile_count,
                        .most_tiles = routing.most_tiles,
                        .blocks = kBlocksPerMultiprocessor * device_.multiprocessors()};
  run_product(product, table.compute_dtype, routing.many_rows, rows);
}

void CudaOperations::moe(const MoeArgs& args) {
  const std::int64_t tokens = args.x.rows();
  if (tokens == 0) return;
  require(!args.up.empty(), "experts");
  const ExpertTable& up = expert_tables_.table(args.up);
  const ExpertTable& down = expert_tables_.table(args.down);
  const std::int64_t assignments = tokens * args.router.top_k;
  const bool many_rows = up.compute_dtype == DType::kBFloat16 && down.compute_dtype == DType::kBFloat16 &&
                         assignments >= kManyRowsOfExpert * static_cast<std::int64_t>(args.up.size());
  const Routing routing = route_tokens(args, many_rows);
  require(up.shape.gate_up == args.gated && !down.shape.gate_up, "gated experts are packed as gate_up, and only they");
  require(args.activation != Activation::kSwigluClamp || (args.gated && args.limit > 0.0F),
          "swiglu clamp takes gate and up, and a limit above 0");
  require((args.gated ? up.shape.rows / 2 : up.shape.rows) == down.shape.columns, "up and down of experts");

  const int inner = down.shape.columns;
  const int outputs = down.shape.rows;
  const auto float_rows = [&](DeviceScratch& memory, int columns) {
    const auto floats = static_cast<std::size_t>(routing.assignments) * static_cast<std::size_t>(columns);
    return Rows{.data = static_cast<float*>(memory.ensure(floats * sizeof(float))), .stride = columns};
  };
  const Rows middle = float_rows(moe_inner_, inner);
  const Rows results = float_rows(moe_outer_, outputs);
  run_experts(routing, up, const_matrix(args.x, tokens, up.shape.columns, "x of moe"), tokens, routing.token_of, middle,
              {.gated = args.gated, .activation = args.activation, .limit = args.limit});
  run_experts(routing, down, {.data = middle.data, .stride = middle.stride}, routing.assignments, nullptr, results, {});
  combine_experts({.results = {.data = results.data, .stride = results.stride},
                   .row_of = routing.row_of,
                   .weights = routing.weights,
                   .tokens = static_cast<int>(tokens),
                   .top_k = args.router.top_k,
                   .scale = args.scale,
                   .accumulate = args.accumulate,
                   .out = matrix(args.out, tokens, outputs, "moe out"),
                   .columns = outputs},
                  stream_);
}

}  // namespace krait::cuda
