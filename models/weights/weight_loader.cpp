#include "models/weights/weight_loader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "kernels/platform.h"
#include "kernels/result.h"
#include "models/config/json_document.h"
#include "models/weights/float8.h"
#include "models/weights/float_conversion.h"
#include "models/weights/weight_store.h"

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

void split_in_halves(std::vector<QuantizedPart>& parts, std::int64_t group_size) {
  if (parts.size() != 1) return;
  QuantizedPart half = parts.front();
  if (half.rows % 2 != 0) KRAIT_BUG("a fused gate and up has an even number of rows");
  half.rows /= 2;
  parts.front() = half;
  const std::int64_t groups = (half.columns + group_size - 1) / group_size;
  half.read_rows = [read = parts.front().read_rows, first = half.rows](
                       std::int64_t begin, std::int64_t count, std::int8_t* to) { read(first + begin, count, to); };
  half.scales += half.rows * groups;
  if (half.zeros != nullptr) half.zeros += half.rows * groups;
  parts.push_back(half);
}

}  // namespace

WeightLoader::WeightLoader(const Checkpoint& checkpoint, Platform& platform, DType compute_dtype)
    : checkpoint_(&checkpoint), platform_(&platform), compute_dtype_(compute_dtype) {}

WeightLoader::WeightLoader(DType planned_dtype) : planned_dtype_(planned_dtype) {}

WeightLoader::WeightLoader(const Checkpoint& checkpoint) : checkpoint_(&checkpoint) {}

bool WeightLoader::has(const std::string& name) const {
  return checkpoint_ == nullptr || checkpoint_->has(name) || stored_quantized(name);
}

void WeightLoader::ignore(const std::string& name) {
  if (!name.ends_with(".*")) {
    ignored_.insert(name);
    return;
  }
  if (checkpoint_ == nullptr) return;
  const std::string_view prefix = std::string_view(name).substr(0, name.size() - 1);
  for (std::string& known : checkpoint_->names()) {
    if (known.starts_with(prefix)) ignored_.insert(std::move(known));
  }
}

// The shape is compared before the view is made: a view of misaligned data costs a copy.
bool WeightLoader::note(const std::string& name, const Shape& shape) {
  if (!has(name)) {
    missing_.insert(name);
    return false;
  }
  const Shape found = checkpoint_ == nullptr ? shape : stored_shape(name);
  if (found != shape) {
    misshapen_.emplace(name, "found " + found.to_string() + ", expected " + shape.to_string());
    return false;
  }
  if (stored_quantized(name)) {
    note_quantized(name, shape);
    return true;
  }
  if (checkpoint_ != nullptr && is_float8(checkpoint_->dtype(name))) note_scales(name);
  const DType dtype = planning() ? planned_dtype(name) : checkpoint_->dtype(name);
  account(name, shape, static_cast<std::size_t>(shape.elements()) * dtype_size(dtype));
  return true;
}

TensorView WeightLoader::take(const std::string& name, const Shape& shape) {
  if (!note(name, shape) || planning()) return {};
  if (stored_quantized(name)) return view_quantized(name, shape);
  const TensorView view = checkpoint_->tensor(name);
  require_float(name, view);
  return view;
}

// Said here and not by the platform, which does not know the name. Integer weights mean nothing without their scheme.
void WeightLoader::require_float(const std::string& name, const TensorView& view) const {
  if (is_float_weight(view.dtype) || is_float8(view.dtype)) return;
  const std::string message = checkpoint_->file_of(name) + ": tensor `" + name + "` is " +
                              std::string(dtype_name(view.dtype)) +
                              "; valid are float32, bfloat16, float16, float8_e4m3 and float8_e5m2";
  throw StartupError(Error{.code = ErrorCode::kUnsupported, .message = message, .field = name});
}

// A tensor that is used twice (tied embeddings, the matrices of a stack) counts once.
void WeightLoader::account(const std::string& name, const Shape& shape, std::size_t bytes) {
  if (taken_.emplace(name, shape).second) {
    bytes_taken_ += bytes;
    parameters_ += shape.elements();
  }
  if (progress_) progress_(bytes_taken_);
}

DType WeightLoader::planned_dtype(const std::string& name) const {
  if (checkpoint_ == nullptr) return planned_dtype_;
  if (stored_quantized(name)) return DType::kFloat32;
  const DType dtype = checkpoint_->dtype(name);
  if (!is_float8(dtype)) return dtype;
  return scale_of(name).empty() ? DType::kBFloat16 : DType::kFloat32;
}

std::optional<std::vector<float>> WeightLoader::read_values(const std::string& name, const Shape& shape,
                                                            bool transpose) {
  const std::string key = (transpose ? "float32 transposed " : "float32 ") + name + " " + shape.to_string();
  const auto elements = static_cast<std::size_t>(shape.elements());
  if (const Tensor kept = find_tensor(key, {{name, shape}}); kept.defined()) {
    const auto* first = kept.view().as<const float>();
    return std::vector<float>(first, first + elements);
  }
  read_as_they_are_.insert(name);
  const TensorView source = take(name, shape);
  if (source.data == nullptr) return std::nullopt;
  std::vector<Floats> converted;
  const TensorView view = readable(name, source, converted);
  std::vector<float> numbers(elements);
  transpose ? convert_to_float32_transposed(view, numbers.data()) : convert_to_float32(view, numbers.data());
  discard({.weight = name});
  if (store_ != nullptr) {
    store_->keep(key, Tensor(platform_->upload(numbers.data(), elements * sizeof(float)), DType::kFloat32, shape));
  }
  return numbers;
}

Tensor WeightLoader::give(const std::optional<std::vector<float>>& values, const Shape& shape) {
  const std::size_t bytes = static_cast<std::size_t>(shape.elements()) * sizeof(float);
  if (planning() || values) packed_bytes_ += bytes;
  if (!values) return {};
  return {platform_->upload(values->data(), bytes), DType::kFloat32, shape};
}

Tensor WeightLoader::float32(const std::string& name, const Shape& shape, bool transpose) {
  if (transpose && shape.rank() != 2) KRAIT_BUG("only a matrix can be transposed: " + name);
  return give(read_values(name, shape, transpose), transpose ? Shape{shape[1], shape[0]} : shape);
}

Tensor WeightLoader::transformed(const std::string& name, const Shape& shape,
                                 const std::function<float(float)>& change) {
  std::optional<std::vector<float>> numbers = read_values(name, shape, false);
  if (numbers) std::transform(numbers->begin(), numbers->end(), numbers->begin(), change);
  return give(numbers, shape);
}

std::vector<float> WeightLoader::values(const std::string& name, const Shape& shape) {
  return read_values(name, shape, false).value_or(std::vector<float>(static_cast<std::size_t>(shape.elements()), 0.0F));
}

Tensor WeightLoader::vector(std::span<const float> values) {
  packed_bytes_ += values.size_bytes();
  if (planning()) return {};
  const Shape shape{static_cast<std::int64_t>(values.size())};
  return {platform_->upload(values.data(), values.size_bytes()), DType::kFloat32, shape};
}

Tensor WeightLoader::conv_weight(const std::string& name, std::int64_t channels, std::int64_t kernel) {
  return conv_weight({{.weight = name, .channels = channels}}, kernel);
}

Tensor WeightLoader::conv_weight(const std::vector<ConvSource>& parts, std::int64_t kernel) {
  std::string key = "convolution";
  NamedShapes shapes;
  for (const ConvSource& part : parts) {
    shapes.emplace_back(part.weight, Shape{part.channels, 1, kernel});
    key += " " + part.weight + " " + shapes.back().second.to_string();
  }
  if (Tensor kept = find_tensor(key, shapes); kept.defined()) {
    packed_bytes_ += kept.view().bytes();
    return kept;
  }
  std::int64_t columns = 0;
  std::vector<TensorView> sources;
  std::vector<Floats> keep;
  bool complete = true;
  for (const ConvSource& part : parts) {
    read_as_they_are_.insert(part.weight);
    sources.push_back(take(part.weight, Shape{part.channels, 1, kernel}));
    complete = complete && sources.back().data != nullptr;
    if (sources.back().data != nullptr) sources.back() = readable(part.weight, sources.back(), keep);
    columns += part.channels;
  }
  const std::size_t bytes = static_cast<std::size_t>(columns * kernel) * sizeof(float);
  if (planning()) packed_bytes_ += bytes;
  if (!complete) return {};
  std::vector<float> taps(static_cast<std::size_t>(columns * kernel));
  std::int64_t first = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::int64_t channels = parts[i].channels;
    std::vector<float> rows(static_cast<std::size_t>(channels * kernel));
    convert_to_float32_transposed({sources[i].data, sources[i].dtype, Shape{channels, kernel}}, rows.data());
    for (std::int64_t k = 0; k < kernel; ++k) {
      std::copy_n(rows.data() + k * channels, channels, taps.data() + k * columns + first);
    }
    first += channels;
    discard({.weight = parts[i].weight});
  }
  packed_bytes_ += bytes;
  Tensor tensor(platform_->upload(taps.data(), bytes), DType::kFloat32, Shape{kernel, columns});
  if (store_ != nullptr) store_->keep(key, tensor);
  return tensor;
}

Tensor WeightLoader::raw(const std::string& name, const Shape& shape) {
  const std::string key = "raw " + name + " " + shape.to_string();
  if (Tensor kept = find_tensor(key, {{name, shape}}); kept.defined()) {
    packed_bytes_ += kept.view().bytes();
    lookup_bytes_ += kept.view().bytes();
    return kept;
  }
  read_as_they_are_.insert(name);
  const TensorView source = take(name, shape);
  if (planning() && has(name)) {
    const std::size_t bytes = static_cast<std::size_t>(shape.elements()) * dtype_size(planned_dtype(name));
    packed_bytes_ += bytes;
    lookup_bytes_ += bytes;
  }
  if (source.data == nullptr) return {};
  std::vector<Floats> keep;
  const TensorView values = readable(name, source, keep);
  Tensor tensor(platform_->upload(values.data, values.bytes()), values.dtype, shape);
  discard({.weight = name});
  packed_bytes_ += values.bytes();
  lookup_bytes_ += values.bytes();
  if (store_ != nullptr) store_->keep(key, tensor);
  return tensor;
}

// Of a stack only the matrix itself: its neighbours are about to be read.
void WeightLoader::discard(const MatrixSource& part) const {
  if (stored_quantized(part.weight)) {
    for (const std::string& name : stored_->tensors(part.weight)) checkpoint_->discard(name);
    return;
  }
  if (part.stack_count == 0) return checkpoint_->discard(part.weight);
  const auto elements = static_cast<std::size_t>(checkpoint_->shape(part.weight).elements());
  const std::size_t bytes =
      elements * dtype_size(checkpoint_->dtype(part.weight)) / static_cast<std::size_t>(part.stack_count);
  checkpoint_->discard(part.weight, static_cast<std::size_t>(part.stack_index) * bytes, bytes);
}

// Both tensors are asked for even when the first is not there, so that `finish` can list every one.
bool WeightLoader::take_part(const MatrixSource& part, std::int64_t in_features, WeightSource& source,
                             std::vector<std::vector<std::byte>>& copies, std::vector<Floats>& keep) {
  const TensorView weight = take(part.weight, part.weight_shape(in_features));
  const TensorView bias = part.bias.empty() ? TensorView{} : take(part.bias, part.bias_shape());
  if (weight.data == nullptr || (!part.bias.empty() && bias.data == nullptr)) return false;
  const bool integers = stored_quantized(part.weight);
  if (integers || is_float8(weight.dtype)) {
    keep.push_back(integers ? dequantize_integers(part.weight)
                            : dequantize(part.weight, weight, part.stack_count, part.stack_index));
    MatrixSource matrix = part;
    matrix.stack_count = 0;
    const TensorView values(const_cast<float*>(keep.back()->data()), DType::kFloat32, matrix.weight_shape(in_features));
    source.parts.push_back(matrix_view(matrix, values, in_features, copies));
  } else {
    source.parts.push_back(matrix_view(part, weight, in_features, copies));
  }
  if (!part.bias.empty()) source.biases.push_back(bias_view(part, bias, copies));
  return true;
}

PackedWeight WeightLoader::linear(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                                  const LinearOptions& options) {
  if (parts.empty()) KRAIT_BUG("a linear weight without parts");
  if (store_ == nullptr) return make_linear(parts, in_features, options);
  const std::string key = weight_key(parts, in_features, options);
  PackedWeight weight = find_weight(key, parts, in_features);
  if (weight.defined()) return weight;
  weight = make_linear(parts, in_features, options);
  if (weight.defined()) store_->keep(key, weight);
  return weight;
}

PackedWeight WeightLoader::make_linear(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                                       const LinearOptions& options) {
  WeightSource source;
  std::vector<std::vector<std::byte>> copies;
  std::vector<Floats> keep;
  std::vector<PackableMatrix> packable;
  PackScheme scheme = scheme_of(parts, in_features, options);
  if (!options.compute_dtype && take_quantized_parts(parts, in_features, source, packable, copies, scheme)) {
    PackedWeight packed;
    if (planning()) {
      plan_linear(parts, in_features, scheme, options.shard);
    } else {
      packed = pack(std::move(source), parts.front().weight, scheme, options.shard);
      for (const MatrixSource& part : parts) discard(part);
    }
    return packed;
  }
  bool complete = true;
  for (const MatrixSource& part : parts) {
    if (part.bias.empty() != parts.front().bias.empty()) KRAIT_BUG("no bias or one a weight is needed: " + part.weight);
    complete = take_part(part, in_features, source, copies, keep) && complete;
  }
  if (planning()) {
    note_matrices(parts, scheme);
    plan_linear(parts, in_features, scheme, options.shard);
  }
  if (!complete) return {};
  PackedWeight packed = pack(std::move(source), parts.front().weight, scheme, options.shard);
  // The mapping's pages are given back, so that loading holds the weights once.
  for (const MatrixSource& part : parts) discard(part);
  return packed;
}

PackScheme WeightLoader::scheme_of(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                                   const LinearOptions& options) const {
  PackScheme scheme{.compute_dtype = options.compute_dtype.value_or(compute_dtype_), .gate_up = options.gate_up};
  // Below a block of 32 the padding costs more than the rounding saves.
  const bool quantized = !options.compute_dtype && parts.front().taps == 0 && in_features >= 32;
  if (quantized && quantization_ != Quantization::kNone) {
    scheme.quantization = quantization_;
    scheme.group_size = group_size_;
  } else if (scheme.compute_dtype == DType::kInt8) {
    scheme.compute_dtype = DType::kBFloat16;
  }
  return scheme;
}

void WeightLoader::plan_linear(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                               const PackScheme& scheme, const Shard& shard) {
  std::int64_t rows = 0;
  for (const MatrixSource& part : parts) rows += part.out_features;
  const auto ranks = static_cast<std::size_t>(shard.axis == Shard::Axis::kNone ? 1 : shard.size);
  const DType dtype = has(parts.front().weight) ? planned_dtype(parts.front().weight) : planned_dtype_;
  const std::size_t bytes = scheme.quantization == Quantization::kNone
                                ? static_cast<std::size_t>(rows * in_features) * dtype_size(dtype)
                                : quantized_bytes(scheme.quantization, rows, in_features, scheme.group());
  packed_bytes_ += bytes / ranks;
  if (!parts.front().bias.empty()) packed_bytes_ += static_cast<std::size_t>(rows) * sizeof(float);
}

// The platform knows no names: its errors get them here.
PackedWeight WeightLoader::pack(WeightSource source, const std::string& first_name, const PackScheme& scheme,
                                const Shard& shard) {
  if (scheme.gate_up) {
    split_in_halves(source.parts);
    split_in_halves(source.quantized, scheme.group());
    split_in_halves(source.biases);
  }
  PackedWeight packed;
  try {
    packed = platform_->pack(source, scheme, shard);
  } catch (const StartupError& error) {
    const std::string file = stored_quantized(first_name) ? checkpoint_->folder() : checkpoint_->file_of(first_name);
    const std::string where = file + ": tensor `" + first_name + "`: ";
    throw StartupError(Error{.code = error.error().code, .message = where + error.what(), .field = first_name});
  }
  packed_bytes_ += packed.bytes();
  return packed;
}

std::vector<std::string> WeightLoader::unexpected() const {
  std::vector<std::string> names;
  if (checkpoint_ == nullptr) return names;
  for (std::string& name : checkpoint_->names()) {
    const bool known = taken_.contains(name) || ignored_.contains(name) || misshapen_.contains(name);
    if (!known) names.push_back(std::move(name));
  }
  return names;
}

void WeightLoader::finish() {
  last_floats_.reset();
  const std::vector<std::string> missing(missing_.begin(), missing_.end());
  std::vector<std::string> misshapen;
  for (const auto& [name, shapes] : misshapen_) misshapen.push_back(name + " (" + shapes + ")");
  const std::string faults = list_names("missing", missing) + list_names("of another shape", misshapen) +
                             list_names("unexpected", unexpected());
  if (faults.empty()) return;
  throw StartupError(checkpoint_->folder() + ": its tensors do not fit the model that config.json describes:" + faults);
}

}  // namespace krait
