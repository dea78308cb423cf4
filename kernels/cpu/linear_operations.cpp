#include <algorithm>

#include "kernels/cpu/cpu_operations.h"
#include "kernels/cpu/cpu_weight.h"
#include "kernels/cpu/view_checks.h"

namespace krait::cpu {
namespace {

/// How one product is cut: units are (row block, group of panels), the group slowest, so that neighbours share weights.
struct GemmGrid {
  Index rows = 0;
  Index panels = 0;
  Index group = kGemmGroupPanels;
  Index row_block = kGemmRowBlock;

  [[nodiscard]] Index row_blocks() const { return (rows + row_block - 1) / row_block; }
  [[nodiscard]] Index units() const { return (panels + group - 1) / group * row_blocks(); }
  [[nodiscard]] GemmUnit unit(Index index) const {
    const Index row = index % row_blocks() * row_block;
    const Index panel = index / row_blocks() * group;
    return GemmUnit{.row_begin = row,
                    .row_end = std::min(row + row_block, rows),
                    .panel_begin = panel,
                    .panel_end = std::min(panel + group, panels)};
  }
};

GemmGrid grid_for(const GemmArgs& product, Index threads) {
  GemmGrid grid{.rows = product.rows, .panels = product.weight.num_panels};
  // Smaller groups (still pairs, for gate and up) where the threads would not all have work otherwise.
  if (grid.units() < 4 * threads) grid.group = 2;
  return grid;
}

}  // namespace

GemmArgs CpuOperations::prepare_gemm(const PackedWeight& weight, const TensorView& x, const TensorView& y,
                                     const Epilogue& epilogue, ScratchBuffer& rounded) {
  const auto* storage = dynamic_cast<const CpuWeight*>(&weight.storage());
  require(storage != nullptr, "a weight of another platform");
  const PanelWeight& panels = storage->panels();
  const Index rows = x.rows();
  require(panels.gate_up == epilogue.gated, "a gated product goes with weights packed as gate_up, and only with them");
  require(
      epilogue.activation == (epilogue.gated ? Activation::kSilu : Activation::kNone) && epilogue.gate_scale == 1.0F,
      "an activation that the product does not have yet");
  GemmArgs args{.weight = panels,
                .x = const_matrix(x, rows, panels.k, "x of linear"),
                .y = matrix(y, rows, panels.n, "y of linear"),
                .rows = rows,
                .scale = epilogue.scale,
                .accumulate = epilogue.accumulate};
  if (storage->compute_dtype() != DType::kBFloat16) return args;
  const ConstRows from = args.x;
  if (panels.layout == WeightLayout::kBFloat16Pairs) {
    args.pairs_stride = (panels.k + 1) / 2;
    auto* pairs = reinterpret_cast<std::uint16_t*>(rounded.ensure(rows * args.pairs_stride));
    args.x_pairs = reinterpret_cast<const std::uint32_t*>(pairs);
    pool_.parallel_for(rows, [&](Index begin, Index end, int) {
      for (Index row = begin; row < end; ++row) {
        kernels_.pair_row(from.data + row * from.stride, pairs + row * 2 * args.pairs_stride, panels.k);
      }
    });
    return args;
  }
  float* to = rounded.ensure(rows * panels.k);
  args.x = ConstRows{.data = to, .stride = panels.k};
  pool_.parallel_for(rows, [&](Index begin, Index end, int) {
    for (Index row = begin; row < end; ++row) {
      kernels_.round_row(from.data + row * from.stride, to + row * panels.k, panels.k);
    }
  });
  return args;
}

void CpuOperations::run_gemms(const std::vector<GemmArgs>& products) {
  std::vector<GemmGrid> grids;
  std::vector<Index> starts{0};
  for (const GemmArgs& product : products) {
    grids.push_back(grid_for(product, pool_.size()));
    starts.push_back(starts.back() + grids.back().units());
  }
  const std::vector<float*> scratch = worker_scratch(kGemmScratchFloats);
  pool_.parallel_for(starts.back(), [&](Index begin, Index end, int worker) {
    auto which = static_cast<std::size_t>(std::upper_bound(starts.begin(), starts.end(), begin) - starts.begin()) - 1;
    for (Index index = begin; index < end; ++index) {
      while (index >= starts[which + 1]) ++which;
      const GemmArgs& product = products[which];
      const GemmFn gemm = product.x_pairs != nullptr ? kernels_.gemm_pairs : kernels_.gemm;
      gemm(product, grids[which].unit(index - starts[which]), scratch[static_cast<std::size_t>(worker)]);
    }
  });
}

void CpuOperations::linear(const LinearArgs& args) {
  require(args.weight != nullptr && args.weight->defined(), "linear without a weight");
  if (args.x.rows() == 0) return;
  run_gemms({prepare_gemm(*args.weight, args.x, args.y, args.epilogue, rounded_)});
}

}  // namespace krait::cpu
