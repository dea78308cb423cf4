// Matrices that a checkpoint keeps as integers.

#include <utility>

#include "models/weights/weight_loader.h"

namespace krait {

void WeightLoader::set_stored_quantization(const QuantizationConfig& config) {
  if (checkpoint_ != nullptr && config.integers) stored_.emplace(*checkpoint_, config);
}

bool WeightLoader::stored_quantized(const std::string& name) const { return stored_ && stored_->has(name); }

Shape WeightLoader::stored_shape(const std::string& name) const {
  return stored_quantized(name) ? stored_->shape(name) : checkpoint_->shape(name);
}

void WeightLoader::note_quantized(const std::string& name, const Shape& shape) {
  const std::vector<std::string> tensors = stored_->tensors(name);
  std::size_t bytes = 0;
  for (const std::string& tensor : tensors) {
    bytes += static_cast<std::size_t>(checkpoint_->shape(tensor).elements()) * dtype_size(checkpoint_->dtype(tensor));
  }
  account(name, shape, bytes);
  for (const std::string& tensor : tensors) taken_.emplace(tensor, checkpoint_->shape(tensor));
}

TensorView WeightLoader::view_quantized(const std::string& name, const Shape& shape) {
  return {checkpoint_->tensor(stored_->tensors(name).front()).data, DType::kInt8, shape};
}

WeightLoader::Floats WeightLoader::dequantize_integers(const std::string& name) {
  if (last_floats_ && last_name_ == name && last_index_ == 0) return last_floats_;
  last_floats_.reset();
  const QuantizedMatrix matrix = stored_->read(name);
  auto floats = std::make_shared<std::vector<float>>(static_cast<std::size_t>(matrix.rows * matrix.columns));
  krait::dequantize(matrix, floats->data());
  last_name_ = name;
  last_index_ = 0;
  last_floats_ = std::move(floats);
  return last_floats_;
}

bool WeightLoader::quantizes(const MatrixSource& part, std::int64_t in_features) const {
  if (!stored_quantized(part.weight)) {
    return scheme_of({part}, in_features, {}).quantization != Quantization::kNone;
  }
  return planning() || can_stay_quantized(stored_->read(part.weight));
}

void WeightLoader::note_matrices(const std::vector<MatrixSource>& parts, const PackScheme& scheme) {
  for (const MatrixSource& part : parts) {
    const bool plain = part.stack_count == 0 && !part.transposed && part.stored_inputs == 0 && part.taps == 0;
    const bool matrix = plain && part.weight.ends_with(".weight") && scheme.quantization != Quantization::kNone;
    (matrix ? matrices_ : read_as_they_are_).insert(part.weight);
    if (!part.bias.empty()) read_as_they_are_.insert(part.bias);
  }
}

std::set<std::string> WeightLoader::quantizable() const {
  std::set<std::string> names;
  for (const std::string& name : matrices_) {
    if (!read_as_they_are_.contains(name) && has(name)) names.insert(name);
  }
  return names;
}

bool WeightLoader::take_quantized_parts(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                                        WeightSource& source, std::vector<PackableMatrix>& keep,
                                        std::vector<std::vector<std::byte>>& copies, PackScheme& scheme) {
  for (const MatrixSource& part : parts) {
    const bool plain = part.stack_count == 0 && !part.transposed && part.stored_inputs == 0 && part.taps == 0;
    if (!plain || !stored_quantized(part.weight)) return false;
    if (stored_->shape(part.weight) != part.weight_shape(in_features)) return false;
    if (!part.bias.empty() && (!has(part.bias) || stored_shape(part.bias) != part.bias_shape())) return false;
  }
  for (const MatrixSource& part : parts) {
    if (planning()) break;
    const QuantizedMatrix matrix = stored_->read(part.weight);
    if (!can_stay_quantized(matrix)) return false;
    keep.push_back(make_packable(matrix, part.rows));
    const PackableMatrix& first = keep.front();
    if (keep.back().form != first.form || keep.back().group_size != first.group_size) {
      keep.clear();
      return false;
    }
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    static_cast<void>(note(parts[i].weight, parts[i].weight_shape(in_features)));
    const TensorView bias = parts[i].bias.empty() ? TensorView{} : take(parts[i].bias, parts[i].bias_shape());
    if (planning()) continue;
    source.quantized.push_back(keep[i].part);
    if (!parts[i].bias.empty()) source.biases.push_back(bias_view(parts[i], bias, copies));
  }
  scheme.quantization = stored_->bits(parts.front().weight) == 4 ? Quantization::kInt4 : Quantization::kInt8;
  scheme.compute_dtype = compute_dtype_;
  if (!planning()) scheme.group_size = keep.front().group_size;
  return true;
}

}  // namespace krait
