#include "kernels/cuda/moe/expert_tables.h"

#include <algorithm>
#include <utility>

#include "kernels/cuda/cuda_weight.h"
#include "kernels/view_checks.h"

namespace krait::cuda {

ExpertTables::Entry ExpertTables::make(std::span<const PackedWeight> weights) {
  const CudaWeight& first = cuda_weight(weights.front());
  std::vector<WeightView> views;
  for (const PackedWeight& weight : weights) {
    const CudaWeight& storage = cuda_weight(weight);
    require(storage.shape == first.shape && storage.compute_dtype == first.compute_dtype,
            "experts of different shapes or forms");
    views.push_back(storage.view);
  }
  Entry entry;
  entry.weights.assign(weights.begin(), weights.end());
  const std::size_t bytes = views.size() * sizeof(WeightView);
  entry.memory = memory_.allocate(bytes);
  device_.copy_to_device(entry.memory.data.get(), views.data(), bytes, stream_);
  device_.wait(stream_);
  entry.table = {.compute_dtype = first.compute_dtype,
                 .shape = first.shape,
                 .experts = static_cast<const WeightView*>(entry.memory.data.get())};
  return entry;
}

const ExpertTable& ExpertTables::table(std::span<const PackedWeight> weights) {
  const void* key = &weights.front().storage();
  const auto found = entries_.find(key);
  if (found != entries_.end()) {
    const auto same = [](const PackedWeight& a, const PackedWeight& b) { return &a.storage() == &b.storage(); };
    const std::vector<PackedWeight>& known = found->second.weights;
    if (std::equal(known.begin(), known.end(), weights.begin(), weights.end(), same)) return found->second.table;
  }
  return entries_.insert_or_assign(key, make(weights)).first->second.table;
}

}  // namespace krait::cuda
