#include <array>
#include <numeric>
#include <optional>

#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/router.h"
#include "kernels/cpu/view_checks.h"

namespace krait::cpu {

/// Which expert each token goes to, and the same sorted by expert: the rows that one expert works on lie together.
struct CpuOperations::Routing {
  std::vector<std::int32_t> experts;   ///< [T, top_k], best first; one past the last expert and above: none
  std::vector<float> weights;          ///< [T, top_k]
  std::vector<Index> expert_start;     ///< [experts + 1] rows of the sorted matrix
  std::vector<Index> row_of;           ///< [T, top_k] row of the sorted matrix, or -1
  std::vector<std::int32_t> token_of;  ///< token of each sorted row
};

CpuOperations::Routing CpuOperations::route(const MoeArgs& args) {
  const Index tokens = args.x.rows();
  const Index classes = args.logits.columns();
  const auto experts = static_cast<Index>(args.up.size());
  require(experts > 0 && experts <= classes && args.down.size() == args.up.size(), "experts");
  const Router router(kernels_, args.router, classes);
  const ConstRows logits = const_matrix(args.logits, tokens, classes, "router logits");

  Routing routing;
  const Index top_k = args.router.top_k;
  const auto assignments = static_cast<std::size_t>(tokens * top_k);
  routing.experts.resize(assignments);
  routing.weights.resize(assignments);
  const std::vector<float*> scratch = worker_scratch(router.scratch());
  const auto route_rows = [&](Index begin, Index end, int worker) {
    for (Index t = begin; t < end; ++t) {
      const auto first = static_cast<std::size_t>(t * top_k);
      router.route(logits.data + t * logits.stride, &routing.experts[first], &routing.weights[first],
                   scratch[static_cast<std::size_t>(worker)]);
    }
  };
  pool_.parallel_for(tokens, route_rows);

  routing.expert_start.assign(static_cast<std::size_t>(experts) + 1, 0);
  for (const std::int32_t e : routing.experts) {
    if (e < experts) ++routing.expert_start[static_cast<std::size_t>(e) + 1];
  }
  std::partial_sum(routing.expert_start.begin(), routing.expert_start.end(), routing.expert_start.begin());
  std::vector<Index> next(routing.expert_start.begin(), routing.expert_start.end() - 1);
  routing.row_of.assign(assignments, -1);
  routing.token_of.resize(static_cast<std::size_t>(routing.expert_start.back()));
  for (std::size_t i = 0; i < assignments; ++i) {
    if (routing.experts[i] >= experts) continue;
    const Index row = next[static_cast<std::size_t>(routing.experts[i])]++;
    routing.row_of[i] = row;
    routing.token_of[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(static_cast<Index>(i) / top_k);
  }
  return routing;
}

void CpuOperations::run_experts(const Routing& routing, std::span<const PackedWeight> weights, const TensorView& x,
                                const TensorView& y, const Epilogue& epilogue) {
  // All rows at once in each form that some expert wants: usually one.
  std::array<std::optional<GemmInput>, kInputForms> inputs;
  std::vector<GemmArgs> products;
  for (std::size_t e = 0; e < weights.size(); ++e) {
    const Index begin = routing.expert_start[e];
    const Index count = routing.expert_start[e + 1] - begin;
    if (count == 0) continue;
    const InputForm form = input_form(weights[e]);
    std::optional<GemmInput>& input = inputs[static_cast<std::size_t>(form)];
    if (!input) {
      ScratchBuffer& rounded = form == InputForm::kInt8 ? int8_ : form == InputForm::kPairs ? paired_ : rounded_;
      input = gemm_input(x, form, rounded);
    }
    products.push_back(prepare_gemm(weights[e], input->slice(begin, count), y.slice_rows(begin, count), epilogue));
  }
  run_gemms(products);
}

void CpuOperations::moe(const MoeArgs& args) {
  const Index tokens = args.x.rows();
  if (tokens == 0) return;
  const Routing routing = route(args);
  const auto rows = static_cast<Index>(routing.token_of.size());
  const Index inputs = args.x.columns();
  const Index inner = args.down[0].in_features();
  const Index outputs = args.down[0].out_features();
  const auto float_matrix = [](ScratchBuffer& buffer, Index n, Index columns) {
    return TensorView(buffer.ensure(n * columns), DType::kFloat32, Shape{n, columns});
  };
  const TensorView sorted = float_matrix(moe_rows_, rows, inputs);
  const TensorView middle = float_matrix(moe_inner_, rows, inner);
  const TensorView results = float_matrix(moe_outer_, rows, outputs);
  gather_rows({.x = args.x, .indices = routing.token_of, .out = sorted});
  run_experts(routing, args.up, sorted, middle,
              {.activation = args.activation, .gated = args.gated, .limit = args.limit});
  run_experts(routing, args.down, middle, results, {});

  const Rows out = matrix(args.out, tokens, outputs, "moe out");
  const Index top_k = args.router.top_k;
  pool_.parallel_for(tokens, [&](Index begin, Index end, int) {
    std::vector<const float*> chosen(static_cast<std::size_t>(top_k));
    std::vector<float> weights(static_cast<std::size_t>(top_k));
    for (Index t = begin; t < end; ++t) {
      Index count = 0;
      for (Index i = t * top_k; i < (t + 1) * top_k; ++i) {
        const Index row = routing.row_of[static_cast<std::size_t>(i)];
        if (row < 0) continue;
        chosen[static_cast<std::size_t>(count)] = results.row<const float>(row);
        weights[static_cast<std::size_t>(count++)] = routing.weights[static_cast<std::size_t>(i)];
      }
      kernels_.combine_rows(chosen.data(), weights.data(), count, args.scale, args.accumulate,
                            out.data + t * out.stride, outputs);
    }
  });
}

}  // namespace krait::cpu
