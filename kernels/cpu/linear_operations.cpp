#include <algorithm>
#include <string>

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

const CpuWeight& cpu_weight(const PackedWeight& weight) {
  const auto* storage = dynamic_cast<const CpuWeight*>(&weight.storage());
  require(storage != nullptr, "a weight of another platform");
  return *storage;
}

GemmGrid grid_for(const GemmArgs& product, Index threads) {
  GemmGrid grid{.rows = product.rows, .panels = product.weight.num_panels};
  // Smaller groups (still pairs, for gate and up) where the threads would not all have work otherwise.
  if (grid.units() < 4 * threads) grid.group = 2;
  return grid;
}

}  // namespace

CpuOperations::GemmInput CpuOperations::GemmInput::slice(Index begin, Index count) const {
  GemmInput part = *this;
  part.rows = count;
  if (x.data != nullptr) part.x.data = x.data + begin * x.stride;
  if (pairs != nullptr) part.pairs = pairs + begin * pairs_stride;
  if (int8.data != nullptr) part.int8.data = int8.data + begin * int8.stride;
  return part;
}

CpuOperations::InputForm CpuOperations::input_form(const PackedWeight& weight) {
  const CpuWeight& storage = cpu_weight(weight);
  if (storage.compute_dtype() == DType::kInt8) return InputForm::kInt8;
  if (storage.compute_dtype() != DType::kBFloat16) return InputForm::kPlain;
  return storage.panels().layout == WeightLayout::kBFloat16Pairs ? InputForm::kPairs : InputForm::kRounded;
}

GemmArgs CpuOperations::prepare_gemm(const PackedWeight& weight, const GemmInput& x, const TensorView& y,
                                     const Epilogue& epilogue) {
  const PanelWeight& panels = cpu_weight(weight).panels();
  require(panels.gate_up == epilogue.gated, "a gated product goes with weights packed as gate_up, and only with them");
  require(epilogue.activation != Activation::kSwigluClamp || (epilogue.gated && epilogue.limit > 0.0F),
          "swiglu clamp takes gate and up, and a limit above 0");
  if (x.columns != panels.k) {
    KRAIT_BUG("a product of rows with " + std::to_string(x.columns) + " columns and a weight of " +
              std::to_string(panels.k) + " input features");
  }
  require(x.form == input_form(weight), "rows of a product in another form than its weight's");
  return GemmArgs{.weight = panels,
                  .x = x.x,
                  .x_int8 = x.int8,
                  .x_pairs = x.pairs,
                  .pairs_stride = x.pairs_stride,
                  .y = matrix(y, x.rows, panels.n, "y of linear"),
                  .rows = x.rows,
                  .activation = epilogue.activation,
                  .gate_scale = epilogue.gate_scale,
                  .limit = epilogue.limit,
                  .scale = epilogue.scale,
                  .accumulate = epilogue.accumulate};
}

CpuOperations::GemmInput CpuOperations::gemm_input(const TensorView& x, InputForm form, ScratchBuffer& rounded) {
  const Index rows = x.rows();
  const Index columns = x.columns();
  const ConstRows from = const_matrix(x, rows, columns, "x of linear");
  if (form == InputForm::kInt8) return int8_input(from, rows, columns, rounded);
  GemmInput input{.form = form, .rows = rows, .columns = columns, .x = from};
  if (form == InputForm::kPairs) {
    const Index stride = (columns + 1) / 2;
    auto* pairs = reinterpret_cast<std::uint16_t*>(rounded.ensure(rows * stride));
    input.x = {};
    input.pairs = reinterpret_cast<const std::uint32_t*>(pairs);
    input.pairs_stride = stride;
    pool_.parallel_for(rows, [&](Index begin, Index end, int) {
      for (Index row = begin; row < end; ++row) {
        kernels_.pair_row(from.data + row * from.stride, pairs + row * 2 * stride, columns);
      }
    });
  } else if (form == InputForm::kRounded) {
    float* to = rounded.ensure(rows * columns);
    input.x = ConstRows{.data = to, .stride = columns};
    pool_.parallel_for(rows, [&](Index begin, Index end, int) {
      for (Index row = begin; row < end; ++row) {
        kernels_.round_row(from.data + row * from.stride, to + row * columns, columns);
      }
    });
  }
  return input;
}

CpuOperations::GemmInput CpuOperations::int8_input(const ConstRows& from, Index rows, Index columns,
                                                   ScratchBuffer& rounded) {
  const Index blocks = (columns + kQuantBlock - 1) / kQuantBlock;
  const Index depth = blocks * kQuantBlock;
  // The row's integers, a sum for each block, the scale; whole cache lines.
  constexpr Index kLine = 64;
  const Index used = depth + (blocks + 1) * static_cast<Index>(sizeof(float));
  const Index stride = (used + kLine - 1) / kLine * kLine;
  auto* to = reinterpret_cast<std::int8_t*>(rounded.ensure(rows * stride / static_cast<Index>(sizeof(float))));
  pool_.parallel_for(rows, [&](Index begin, Index end, int) {
    for (Index row = begin; row < end; ++row) {
      kernels_.int8_row(from.data + row * from.stride, to + row * stride, columns, depth);
    }
  });
  GemmInput input{.form = InputForm::kInt8, .rows = rows, .columns = columns, .x = {}};
  input.int8 = Int8Rows{.data = to, .stride = stride, .depth = depth};
  return input;
}

GemmFn CpuOperations::gemm_for(const GemmArgs& product) const {
  if (product.x_int8.data != nullptr) return kernels_.gemm_int8;
  if (product.x_pairs != nullptr) return kernels_.gemm_pairs;
  const WeightLayout layout = product.weight.layout;
  return layout == WeightLayout::kInt8 || layout == WeightLayout::kInt4 ? kernels_.gemm_quantized : kernels_.gemm;
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
      gemm_for(product)(product, grids[which].unit(index - starts[which]), scratch[static_cast<std::size_t>(worker)]);
    }
  });
}

void CpuOperations::linear(const LinearArgs& args) {
  require(args.weight != nullptr && args.weight->defined(), "linear without a weight");
  if (args.x.rows() == 0) return;
  const GemmInput x = gemm_input(args.x, input_form(*args.weight), rounded_);
  run_gemms({prepare_gemm(*args.weight, x, args.y, args.epilogue)});
}

}  // namespace krait::cpu
