#include "kernels/cpu/weight_image.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "kernels/cpu/cpu_weight.h"
#include "kernels/cpu/float_panels.h"
#include "kernels/cpu/quantized_panels.h"
#include "kernels/result.h"

namespace krait::cpu {
namespace {

/// What the panels are to be read as.
struct ImageForm {
  std::int64_t k = 0;
  std::int64_t n = 0;
  std::int64_t group = 0;  ///< 0: not quantised
  WeightLayout layout = WeightLayout::kFloat32;
  DType compute_dtype = DType::kFloat32;
  bool gate_up = false;
  bool has_zeros = false;
};

/// Numbers one after the other, so that no padding gets into files.
using FormNumbers = std::array<std::int64_t, 7>;

std::string to_text(const ImageForm& form) {
  const FormNumbers numbers{form.k,
                            form.n,
                            form.group,
                            static_cast<std::int64_t>(form.layout),
                            static_cast<std::int64_t>(form.compute_dtype),
                            form.gate_up ? 1 : 0,
                            form.has_zeros ? 1 : 0};
  return {reinterpret_cast<const char*>(numbers.data()), sizeof(numbers)};
}

[[noreturn]] void refuse_image(const std::string& why) { throw StartupError("Cannot restore a packed weight: " + why); }

ImageForm parse_form(std::string_view text) {
  FormNumbers numbers{};
  if (text.size() != sizeof(numbers)) refuse_image("its form is not this version's.");
  std::memcpy(numbers.data(), text.data(), sizeof(numbers));
  const auto [k, n, group, layout, compute_dtype, gate_up, has_zeros] = numbers;
  constexpr std::int64_t kLargest = std::int64_t{1} << 28;  // no product of sizes overflows below it
  const auto in_range = [](std::int64_t value, std::int64_t low, std::int64_t high) {
    return value >= low && value <= high;
  };
  const bool quantized = layout == static_cast<std::int64_t>(WeightLayout::kInt8) ||
                         layout == static_cast<std::int64_t>(WeightLayout::kInt4);
  const auto is = [&](DType dtype) { return compute_dtype == static_cast<std::int64_t>(dtype); };
  const bool types = in_range(layout, 0, static_cast<std::int64_t>(WeightLayout::kInt4)) &&
                     (is(DType::kFloat32) || is(DType::kBFloat16) || (is(DType::kInt8) && quantized)) &&
                     in_range(gate_up, 0, 1) && in_range(has_zeros, 0, quantized ? 1 : 0);
  const bool sizes = in_range(k, 1, kLargest) && in_range(n, 1, kLargest) &&
                     (quantized ? in_range(group, kQuantBlock, kLargest) : group == 0);
  if (!types || !sizes) refuse_image("its form has values out of range.");
  return {.k = k,
          .n = n,
          .group = group,
          .layout = static_cast<WeightLayout>(layout),
          .compute_dtype = static_cast<DType>(compute_dtype),
          .gate_up = gate_up == 1,
          .has_zeros = has_zeros == 1};
}

void require_size(const Buffer& block, Index bytes, const char* what) {
  if (block.bytes == static_cast<std::size_t>(bytes)) return;
  refuse_image(std::string(what) + " has " + std::to_string(block.bytes) + " bytes, not " + std::to_string(bytes) +
               ".");
}

}  // namespace

PackedImage image_of(const PackedWeight& weight) {
  const auto& storage = static_cast<const CpuWeight&>(weight.storage());
  const PanelWeight& panels = storage.panels();
  const bool quantized = panels.layout == WeightLayout::kInt8 || panels.layout == WeightLayout::kInt4;
  PackedImage image{.form = to_text({.k = panels.k,
                                     .n = panels.n,
                                     .group = quantized ? panels.quantized.group : 0,
                                     .layout = panels.layout,
                                     .compute_dtype = storage.compute_dtype(),
                                     .gate_up = panels.gate_up,
                                     .has_zeros = quantized && panels.quantized.has_zeros}),
                    .blocks = {storage.panel_memory()}};
  if (storage.bias_memory().data != nullptr) image.blocks.push_back(storage.bias_memory());
  return image;
}

PackedWeight restore_weight(const PackedImage& image) {
  const ImageForm form = parse_form(image.form);
  if (image.blocks.empty() || image.blocks.size() > 2) refuse_image("it has neither one block nor two.");
  PanelWeight weight{.layout = form.layout, .k = form.k, .n = form.n, .gate_up = form.gate_up};
  const Index halves = form.gate_up ? 2 : 1;
  weight.num_panels = halves * ((form.n + kLanes - 1) / kLanes);
  if (form.group > 0) {
    weight.quantized = quantized_form(form.layout, form.k, static_cast<int>(form.group), form.has_zeros, Shard{});
  }
  const Index panel_bytes = form.group > 0 ? weight.quantized.panel_bytes : float_panel_bytes(form.layout, form.k);
  const Buffer& panels = image.blocks[0];
  require_size(panels, panel_bytes * weight.num_panels, "the block of panels");
  const Buffer bias = image.blocks.size() == 2 ? image.blocks[1] : Buffer{};
  if (bias.data != nullptr) {
    require_size(bias, weight.num_panels * kLanes * static_cast<Index>(sizeof(float)), "the bias");
  }
  weight.panels = static_cast<const std::byte*>(panels.data.get());
  weight.bias = static_cast<const float*>(bias.data.get());
  auto storage = std::make_shared<CpuWeight>(weight, panels, bias, form.compute_dtype);
  return {std::move(storage), halves * form.n, form.k, panels.bytes + bias.bytes};
}

}  // namespace krait::cpu
