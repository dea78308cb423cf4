#include "models/layers/decay_rates.h"

#include <cmath>

namespace krait {
namespace {

void scaled_exp(const Tensor& tensor, double scale) {
  if (!tensor.defined()) return;
  float* values = tensor.view().as<float>();
  for (std::int64_t i = 0; i < tensor.view().shape.elements(); ++i) {
    values[i] = static_cast<float>(scale * std::exp(static_cast<double>(values[i])));
  }
}

}  // namespace

void positive_exp(const Tensor& tensor) { scaled_exp(tensor, 1.0); }
void negative_exp(const Tensor& tensor) { scaled_exp(tensor, -1.0); }

}  // namespace krait
