#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cuda/attention/paged_attention.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/flashinfer/attention_calls.h"
#include "kernels/cuda/step_memory.h"
#include "kernels/operations/attention_args.h"

namespace krait::cuda {

/// How FlashInfer cuts one batch of a step, and the batch in its form: requests without tokens left out, and the page
/// numbers of each request only as far as it has tokens.
struct AttentionPlan {
  std::vector<std::int32_t> query_start_loc;   ///< [R + 1]
  std::vector<std::int32_t> page_start_loc;    ///< [R + 1] into `pages`
  std::vector<std::int32_t> pages;             ///< page numbers
  std::vector<std::int32_t> last_page_tokens;  ///< [R] tokens in a request's last page
  std::vector<std::int64_t> values;            ///< FlashInfer's plan
  Buffer tables;                               ///< on the device
  Buffer pinned;                               ///< from where they are copied
};

/// The plans of a step: layers whose batches are alike share one. Two steps may be under way: what the host wrote for
/// one is not written over while the next is planned. Memory is kept for later steps.
class AttentionPlans {
 public:
  AttentionPlans(Device& device, StepMemory& memory, Stream stream)
      : device_(device), stream_(stream), partials_(memory) {}

  /// Valid until the next step but one begins.
  const AttentionPlan& of(const PagedAttentionArgs& args, const PagedAttention& kernel);
  /// For partial results, of as many bytes as any plan has needed.
  [[nodiscard]] void* partials() const { return partials_.get(); }
  /// As FlashInfer::begin_step.
  void begin_step() {
    side_ = 1 - side_;
    sides_[side_].used = 0;
  }
  /// The stream was waited for: no plan is used any more.
  void reset() {
    for (Side& side : sides_) side.used = 0;
  }

 private:
  /// What a plan is made for, beside the arrays.
  struct Form {
    int heads = 0;
    int kv_heads = 0;
    int head_dim = 0;
    int block_size = 0;
    int sliding_window = 0;
    bool operator==(const Form&) const = default;
  };
  struct Kept {
    Form form;
    AttentionPlan plan;
  };
  struct Side {
    std::vector<std::unique_ptr<Kept>> kept;  ///< plans stay where they are: their arrays are staged by address
    std::size_t used = 0;                     ///< of them
  };
  void grow(Buffer& buffer, std::size_t bytes, bool pinned);
  void make(Kept& kept);

  Device& device_;
  Stream stream_;
  std::array<Side, 2> sides_;
  std::size_t side_ = 0;
  DeviceScratch partials_;
};

}  // namespace krait::cuda
