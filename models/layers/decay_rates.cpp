#include "models/layers/decay_rates.h"

#include <cmath>

namespace krait {

float positive_exp(float logarithm) { return static_cast<float>(std::exp(static_cast<double>(logarithm))); }
float negative_exp(float logarithm) { return -positive_exp(logarithm); }

}  // namespace krait
