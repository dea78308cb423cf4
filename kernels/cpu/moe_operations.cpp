#include <algorithm>
#include <cstring>
#include <numeric>

#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/view_checks.h"

namespace krait::cpu {

/// Which expert each token goes to, and the same sorted by expert: the rows that one expert works on lie together.
struct CpuOperations::Routing {
  std::vector<std::int32_t> experts;   ///< [T, top_k], best first
  std::vector<float> weights;          ///< [T, top_k]
  std::vector<Index> expert_start;     ///< [experts + 1] rows of the sorted matrix
  std::vector<Index> row_of;           ///< [T, top_k] row of the sorted matrix
  std::vector<std::int32_t> token_of;  ///< [T * top_k] token of each sorted row
};

/// Scores of one token become its experts and weights. Equal scores: the lower expert first.
void CpuOperations::route_row(const MoeArgs& args, float* scores, std::int32_t* experts, float* weights) const {
  const Index count = args.logits.columns();
  if (args.router.scoring == RouterScoring::kSoftmaxThenTopK)
    kernels_.activate_row(RowActivation::kSoftmax, scores, count);
  if (args.router.scoring == RouterScoring::kSigmoid) kernels_.activate_row(RowActivation::kSigmoid, scores, count);
  std::vector<std::int32_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  // NaNs sort last, so that the order stays a strict one.
  const auto key = [&](std::int32_t e) { return scores[e] == scores[e] ? scores[e] : -__builtin_inff(); };
  std::partial_sort(order.begin(), order.begin() + args.router.top_k, order.end(),
                    [&](std::int32_t a, std::int32_t b) { return key(a) > key(b) || (key(a) == key(b) && a < b); });
  for (int i = 0; i < args.router.top_k; ++i) {
    experts[i] = order[static_cast<std::size_t>(i)];
    weights[i] = scores[experts[i]];
  }
  if (args.router.scoring == RouterScoring::kTopKThenSoftmax) {
    kernels_.activate_row(RowActivation::kSoftmax, weights, args.router.top_k);
  } else if (args.router.renormalize) {
    float sum = 0.0F;
    for (int i = 0; i < args.router.top_k; ++i) sum += weights[i];
    for (int i = 0; i < args.router.top_k; ++i) weights[i] /= sum;
  }
}

CpuOperations::Routing CpuOperations::route(const MoeArgs& args) {
  const Index tokens = args.x.rows();
  const Index experts = args.logits.columns();
  require(args.router.top_k > 0 && args.router.top_k <= experts, "top_k of the router");
  require(static_cast<Index>(args.up.size()) == experts && args.down.size() == args.up.size(), "experts");
  float* scores = moe_scores_.ensure(tokens * experts);
  const ConstRows logits = const_matrix(args.logits, tokens, experts, "router logits");
  for (Index t = 0; t < tokens; ++t) std::copy_n(logits.data + t * logits.stride, experts, scores + t * experts);

  Routing routing;
  const auto assignments = static_cast<std::size_t>(tokens * args.router.top_k);
  routing.experts.resize(assignments);
  routing.weights.resize(assignments);
  pool_.parallel_for(tokens, [&](Index begin, Index end, int) {
    for (Index t = begin; t < end; ++t) {
      route_row(args, scores + t * experts, &routing.experts[static_cast<std::size_t>(t * args.router.top_k)],
                &routing.weights[static_cast<std::size_t>(t * args.router.top_k)]);
    }
  });

  routing.expert_start.assign(static_cast<std::size_t>(experts) + 1, 0);
  for (const std::int32_t e : routing.experts) ++routing.expert_start[static_cast<std::size_t>(e) + 1];
  std::partial_sum(routing.expert_start.begin(), routing.expert_start.end(), routing.expert_start.begin());
  std::vector<Index> next(routing.expert_start.begin(), routing.expert_start.end() - 1);
  routing.row_of.resize(assignments);
  routing.token_of.resize(assignments);
  for (std::size_t i = 0; i < assignments; ++i) {
    const Index row = next[static_cast<std::size_t>(routing.experts[i])]++;
    routing.row_of[i] = row;
    routing.token_of[static_cast<std::size_t>(row)] =
        static_cast<std::int32_t>(static_cast<Index>(i) / args.router.top_k);
  }
  return routing;
}

void CpuOperations::moe(const MoeArgs& args) {
  const Index tokens = args.x.rows();
  if (tokens == 0) return;
  const Routing routing = route(args);
  const Index hidden = args.x.columns();
  const Index inner = args.down[0].in_features();
  const Index rows = tokens * args.router.top_k;
  const auto float_matrix = [](float* data, Index n, Index columns) {
    return TensorView(data, DType::kFloat32, Shape{n, columns});
  };
  const TensorView sorted = float_matrix(moe_rows_.ensure(rows * hidden), rows, hidden);
  const TensorView middle = float_matrix(moe_inner_.ensure(rows * inner), rows, inner);
  const TensorView outputs = float_matrix(moe_outer_.ensure(rows * hidden), rows, hidden);
  gather_rows({.x = args.x, .indices = routing.token_of, .out = sorted});

  // Rows that are rounded get a buffer an expert, so that all experts can run at once.
  const auto run_experts = [&](std::span<const PackedWeight> weights, const TensorView& x, const TensorView& y,
                               Activation activation, bool gated) {
    std::vector<GemmArgs> products;
    std::vector<ScratchBuffer> rounded(weights.size());
    for (std::size_t e = 0; e < weights.size(); ++e) {
      const Index begin = routing.expert_start[e];
      const Index count = routing.expert_start[e + 1] - begin;
      if (count == 0) continue;
      products.push_back(prepare_gemm(weights[e], x.slice_rows(begin, count), y.slice_rows(begin, count),
                                      Epilogue{.activation = activation, .gated = gated}, rounded[e]));
    }
    run_gemms(products);
  };
  run_experts(args.up, sorted, middle, Activation::kSilu, true);
  run_experts(args.down, middle, outputs, Activation::kNone, false);

  const Rows out = matrix(args.out, tokens, hidden, "moe out");
  pool_.parallel_for(tokens, [&](Index begin, Index end, int) {
    std::vector<const float*> chosen(static_cast<std::size_t>(args.router.top_k));
    for (Index t = begin; t < end; ++t) {
      const auto first = static_cast<std::size_t>(t * args.router.top_k);
      for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = outputs.row<const float>(routing.row_of[first + i]);
      kernels_.combine_rows(chosen.data(), &routing.weights[first], args.router.top_k, args.scale, args.accumulate,
                            out.data + t * out.stride, hidden);
    }
  });
}

}  // namespace krait::cpu
