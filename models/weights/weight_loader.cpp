#include "models/weights/weight_loader.h"

#include <cstring>
#include <utility>

#include "kernels/platform.h"
#include "kernels/result.h"
#include "models/config/json_document.h"
#include "models/weights/float_conversion.h"

namespace krait {
namespace {

/// A checkpoint of another model lacks thousands of tensors; twenty names say as much.
constexpr std::size_t kMaximumListed = 20;

/// "\n  2 missing: a, b"; empty for no names.
std::string list_names(const std::string& title, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string text = "\n  " + std::to_string(names.size()) + " " + title + ": ";
  for (std::size_t i = 0; i < names.size() && i < kMaximumListed; ++i) {
    if (i > 0) text += ", ";
    text += shorten(names[i], 240);
  }
  if (names.size() > kMaximumListed) text += " and " + std::to_string(names.size() - kMaximumListed) + " more";
  return text;
}

/// `[out, in]` for each part of a linear weight.
std::vector<Shape> matrix_shapes(const std::vector<std::int64_t>& out_features, std::int64_t in_features) {
  std::vector<Shape> shapes;
  for (const std::int64_t out : out_features) shapes.push_back(Shape{out, in_features});
  return shapes;
}

/// `[out]` for each bias.
std::vector<Shape> vector_shapes(const std::vector<std::int64_t>& sizes) {
  std::vector<Shape> shapes;
  for (const std::int64_t size : sizes) shapes.push_back(Shape{size});
  return shapes;
}

/// A fused `[gate | up]` tensor as its two halves, which is how platforms take them.
void split_in_halves(std::vector<TensorView>& parts) {
  if (parts.size() != 1) return;
  const TensorView fused = parts.front();
  if (fused.rows() % 2 != 0) KRAIT_BUG("a fused gate and up has an even number of rows");
  parts.clear();
  for (const std::size_t half : {std::size_t{0}, std::size_t{1}}) {
    Shape shape{fused.rows() / 2};
    for (int axis = 1; axis < fused.shape.rank(); ++axis) shape.push_back(fused.shape[axis]);
    parts.emplace_back(fused.as<std::byte>() + half * fused.bytes() / 2, fused.dtype, shape);
  }
}

}  // namespace

WeightLoader::WeightLoader(const Checkpoint& checkpoint, Platform& platform, DType compute_dtype)
    : checkpoint_(checkpoint), platform_(platform), compute_dtype_(compute_dtype) {}

bool WeightLoader::has(const std::string& name) const { return checkpoint_.has(name); }

void WeightLoader::ignore(const std::string& name) { ignored_.insert(name); }

// The shape is compared before the view is made: a view of misaligned data costs a copy.
TensorView WeightLoader::take(const std::string& name, const Shape& shape) {
  if (!checkpoint_.has(name)) {
    missing_.insert(name);
    return {};
  }
  const Shape found = checkpoint_.shape(name);
  if (found != shape) {
    misshapen_.emplace(name, "found " + found.to_string() + ", expected " + shape.to_string());
    return {};
  }
  const TensorView view = checkpoint_.tensor(name);
  require_float(name, view);
  account(name, view);
  return view;
}

// Said here and not by the platform, which does not know the name. Integer and 8-bit weights mean nothing without their
// scales.
void WeightLoader::require_float(const std::string& name, const TensorView& view) const {
  if (is_float_weight(view.dtype)) return;
  const std::string message = checkpoint_.file_of(name) + ": tensor `" + name + "` is " +
                              std::string(dtype_name(view.dtype)) + "; valid are float32, bfloat16 and float16";
  throw StartupError(Error{.code = ErrorCode::kUnsupported, .message = message, .field = name});
}

// A tensor that is used twice (tied embeddings, the matrices of a stack) counts once.
void WeightLoader::account(const std::string& name, const TensorView& view) {
  if (taken_.insert(name).second) {
    bytes_taken_ += view.bytes();
    parameters_ += view.shape.elements();
  }
  if (progress_) progress_(bytes_taken_);
}

Tensor WeightLoader::float32(const std::string& name, const Shape& shape, bool transpose) {
  if (transpose && shape.rank() != 2) KRAIT_BUG("only a matrix can be transposed: " + name);
  const TensorView source = take(name, shape);
  if (source.data == nullptr) return {};
  const std::size_t bytes = static_cast<std::size_t>(shape.elements()) * sizeof(float);
  Tensor tensor(platform_.allocate(bytes), DType::kFloat32, transpose ? Shape{shape[1], shape[0]} : shape);
  auto* target = tensor.view().as<float>();
  transpose ? convert_to_float32_transposed(source, target) : convert_to_float32(source, target);
  checkpoint_.discard(source);
  packed_bytes_ += bytes;
  return tensor;
}

Tensor WeightLoader::conv_weight(const std::string& name, std::int64_t channels, std::int64_t kernel) {
  const TensorView source = take(name, Shape{channels, 1, kernel});
  if (source.data == nullptr) return {};
  const std::size_t bytes = static_cast<std::size_t>(channels * kernel) * sizeof(float);
  Tensor tensor(platform_.allocate(bytes), DType::kFloat32, Shape{kernel, channels});
  convert_to_float32_transposed({source.data, source.dtype, Shape{channels, kernel}}, tensor.view().as<float>());
  checkpoint_.discard(source);
  packed_bytes_ += bytes;
  return tensor;
}

Tensor WeightLoader::raw(const std::string& name, const Shape& shape) {
  const TensorView source = take(name, shape);
  if (source.data == nullptr) return {};
  Tensor tensor(platform_.allocate(source.bytes()), source.dtype, shape);
  std::memcpy(tensor.view().data, source.data, source.bytes());
  checkpoint_.discard(source);
  packed_bytes_ += source.bytes();
  return tensor;
}

// Goes on after a part that is not there, so that `finish` can list every one.
bool WeightLoader::take_all(const std::vector<std::string>& names, const std::vector<Shape>& shapes,
                            std::vector<TensorView>& views) {
  bool complete = true;
  for (std::size_t i = 0; i < names.size(); ++i) {
    views.push_back(take(names[i], shapes[i]));
    complete = complete && views.back().data != nullptr;
  }
  return complete;
}

PackedWeight WeightLoader::linear(const std::vector<std::string>& weights, const std::vector<std::string>& biases,
                                  const std::vector<std::int64_t>& out_features, std::int64_t in_features, bool gate_up,
                                  const Shard& shard) {
  if (weights.empty() || weights.size() != out_features.size()) KRAIT_BUG("one width a weight is needed");
  if (!biases.empty() && biases.size() != weights.size()) KRAIT_BUG("no bias or one a weight is needed: " + weights[0]);
  WeightSource source;
  const bool all_weights = take_all(weights, matrix_shapes(out_features, in_features), source.parts);
  const bool all_biases = take_all(biases, vector_shapes(out_features), source.biases);
  if (!all_weights || !all_biases) return {};
  return pack(std::move(source), weights[0], gate_up, shard);
}

PackedWeight WeightLoader::stacked_linear(const std::string& name, std::int64_t index, std::int64_t count,
                                          std::int64_t out_features, std::int64_t in_features, bool gate_up) {
  if (index < 0 || index >= count) KRAIT_BUG("no matrix " + std::to_string(index) + " in the stack " + name);
  const TensorView stack = take(name, Shape{count, out_features, in_features});
  if (stack.data == nullptr) return {};
  const std::size_t matrix_bytes = stack.bytes() / static_cast<std::size_t>(count);
  std::byte* matrix = stack.as<std::byte>() + static_cast<std::size_t>(index) * matrix_bytes;
  WeightSource source;
  source.parts.emplace_back(matrix, stack.dtype, Shape{out_features, in_features});
  return pack(std::move(source), name, gate_up, Shard{});
}

// The platform knows no names: its errors get them here. The source's pages are given back, so that loading holds the
// weights once.
PackedWeight WeightLoader::pack(WeightSource source, const std::string& first_name, bool gate_up, const Shard& shard) {
  if (gate_up) {
    split_in_halves(source.parts);
    split_in_halves(source.biases);
  }
  PackedWeight packed;
  try {
    packed = platform_.pack(source, {.compute_dtype = compute_dtype_, .gate_up = gate_up}, shard);
  } catch (const StartupError& error) {
    const std::string where = checkpoint_.file_of(first_name) + ": tensor `" + first_name + "`: ";
    throw StartupError(Error{.code = error.error().code, .message = where + error.what(), .field = first_name});
  }
  for (const TensorView& part : source.parts) checkpoint_.discard(part);
  for (const TensorView& bias : source.biases) checkpoint_.discard(bias);
  packed_bytes_ += packed.bytes();
  return packed;
}

std::vector<std::string> WeightLoader::unexpected() const {
  std::vector<std::string> names;
  for (std::string& name : checkpoint_.names()) {
    const bool known = taken_.contains(name) || ignored_.contains(name) || misshapen_.contains(name);
    if (!known) names.push_back(std::move(name));
  }
  return names;
}

void WeightLoader::finish() {
  const std::vector<std::string> missing(missing_.begin(), missing_.end());
  std::vector<std::string> misshapen;
  for (const auto& [name, shapes] : misshapen_) misshapen.push_back(name + " (" + shapes + ")");
  const std::string faults = list_names("missing", missing) + list_names("of another shape", misshapen) +
                             list_names("unexpected", unexpected());
  if (faults.empty()) return;
  throw StartupError(checkpoint_.folder() + ": its tensors do not fit the model that config.json describes:" + faults);
}

}  // namespace krait
