#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/models/weights/safetensors_bytes.h"
#include "tests/temp_folder.h"

namespace krait::test {

/// A checkpoint of float32 tensors drawn at random, and the products with them in double.
class RandomCheckpoint {
 public:
  using Vector = std::vector<double>;

  void add(const std::string& name, const std::vector<std::int64_t>& shape, float low = -0.5F, float high = 0.5F) {
    Stored stored{.shape = shape, .values = {}};
    std::int64_t elements = 1;
    for (const std::int64_t dim : shape) elements *= dim;
    std::uniform_real_distribution<float> uniform(low, high);
    for (std::int64_t i = 0; i < elements; ++i) stored.values.push_back(uniform(random_));
    tensors_[name] = std::move(stored);
  }
  /// `<name>.weight` [outputs, inputs].
  void add_linear(const std::string& name, std::int64_t outputs, std::int64_t inputs) {
    add(name + ".weight", {outputs, inputs});
  }

  /// After the last `add`.
  void write() const {
    std::string header = "{";
    std::string data;
    for (const auto& [name, stored] : tensors_) {
      std::string shape;
      for (const std::int64_t dim : stored.shape) shape += (shape.empty() ? "" : ", ") + std::to_string(dim);
      const std::size_t bytes = stored.values.size() * sizeof(float);
      header += std::string(header.size() > 1 ? "," : "") + "\"" + name + R"(": {"dtype": "F32", "shape": [)" + shape +
                R"(], "data_offsets": [)" + std::to_string(data.size()) + "," + std::to_string(data.size() + bytes) +
                "]}";
      data.append(reinterpret_cast<const char*>(stored.values.data()), bytes);
    }
    folder_.write("model.safetensors", safetensors_bytes(header + "}", data));
  }
  [[nodiscard]] const std::string& folder() const { return folder_.path(); }

  /// Element `index` of a tensor.
  [[nodiscard]] double at(const std::string& name, std::size_t index) const {
    return static_cast<double>(tensors_.at(name).values.at(index));
  }
  /// W x.
  [[nodiscard]] Vector linear(const std::string& name, const Vector& x) const {
    const Stored& weight = tensors_.at(name + ".weight");
    Vector y;
    for (std::size_t r = 0; r < static_cast<std::size_t>(weight.shape[0]); ++r) {
      double sum = 0.0;
      for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(weight.values[r * x.size() + i]) * x[i];
      y.push_back(sum);
    }
    return y;
  }

 private:
  struct Stored {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  TempFolder folder_;
  std::mt19937 random_{11};
  std::map<std::string, Stored> tensors_;
};

}  // namespace krait::test
