#include "kernels/cpu/router.h"

#include <algorithm>

#include "kernels/cpu/view_checks.h"

namespace krait::cpu {
namespace {

constexpr float kWorst = -__builtin_inff();

/// The best `limit` of the classes offered so far, best first; of equal keys the class that came first. Classes are
/// offered in ascending order.
class Ranking {
 public:
  Ranking(std::int32_t* chosen, Index limit, const float* keys) : chosen_(chosen), limit_(limit), keys_(keys) {}

  void offer(Index index) {
    const float key = keys_[index];
    if (count_ == limit_ && !(key > keys_[chosen_[count_ - 1]])) return;
    Index place = count_ < limit_ ? count_++ : count_ - 1;
    for (; place > 0 && key > keys_[chosen_[place - 1]]; --place) chosen_[place] = chosen_[place - 1];
    chosen_[place] = static_cast<std::int32_t>(index);
  }

 private:
  std::int32_t* chosen_;
  Index limit_;
  const float* keys_;
  Index count_ = 0;
};

/// The sum of the two best keys, or the only one.
float group_score(const float* keys, Index count) {
  float best = kWorst;
  float second = kWorst;
  for (Index i = 0; i < count; ++i) {
    if (keys[i] > best) {
      second = best;
      best = keys[i];
    } else if (keys[i] > second) {
      second = keys[i];
    }
  }
  return count == 1 ? best : best + second;
}

}  // namespace

Router::Router(const KernelTable& kernels, const RouterOptions& options, Index classes)
    : kernels_(kernels),
      scoring_(options.scoring),
      selection_bias_(vector_or_null(options.selection_bias, classes, "selection bias of the router")),
      classes_(classes),
      groups_(options.groups),
      top_groups_(options.groups > 1 ? options.top_groups : 1),
      top_k_(options.top_k),
      renormalize_(options.renormalize),
      renormalize_eps_(options.renormalize_eps),
      weight_scale_(options.weight_scale) {
  require(groups_ > 0 && classes_ % groups_ == 0 && top_groups_ > 0 && top_groups_ <= groups_, "groups of the router");
  require(top_k_ > 0 && top_k_ <= classes_ / groups_ * top_groups_, "top_k of the router");
}

void Router::route(const float* logits, std::int32_t* chosen, float* weights, float* scratch) const {
  float* scores = scratch;
  float* keys = scores + classes_;
  float* group_keys = keys + classes_;
  std::copy_n(logits, classes_, scores);
  if (scoring_ == RouterScoring::kSoftmaxThenTopK) kernels_.activate_row(RowActivation::kSoftmax, scores, classes_);
  if (scoring_ == RouterScoring::kSigmoid) kernels_.activate_row(RowActivation::kSigmoid, scores, classes_);
  for (Index i = 0; i < classes_; ++i) {
    const float key = selection_bias_ == nullptr ? scores[i] : scores[i] + selection_bias_[i];
    keys[i] = key == key ? key : kWorst;
  }

  const Index width = classes_ / groups_;
  Ranking ranking(chosen, top_k_, keys);
  if (groups_ == 1) {
    for (Index i = 0; i < classes_; ++i) ranking.offer(i);
  } else {
    for (Index g = 0; g < groups_; ++g) group_keys[g] = group_score(keys + g * width, width);
    for (Index g = 0; g < groups_; ++g) {
      // Groups that are better, or as good and earlier.
      Index before = 0;
      for (Index other = 0; other < groups_; ++other) {
        before += group_keys[other] > group_keys[g] || (group_keys[other] == group_keys[g] && other < g) ? 1 : 0;
      }
      if (before >= top_groups_) continue;
      for (Index i = g * width; i < (g + 1) * width; ++i) ranking.offer(i);
    }
  }
  for (Index i = 0; i < top_k_; ++i) weights[i] = scores[chosen[i]];
  weigh(weights);
}

void Router::weigh(float* weights) const {
  if (scoring_ == RouterScoring::kTopKThenSoftmax) {
    kernels_.activate_row(RowActivation::kSoftmax, weights, top_k_);
  } else if (renormalize_) {
    float sum = 0.0F;
    for (Index i = 0; i < top_k_; ++i) sum += weights[i];
    sum += renormalize_eps_;
    for (Index i = 0; i < top_k_; ++i) weights[i] /= sum;
  }
  for (Index i = 0; i < top_k_; ++i) weights[i] *= weight_scale_;
}

}  // namespace krait::cpu
