#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu_platform.h"
#include "models/backends/selective_state_update.h"
#include "models/layers/attention_layer_base.h"
#include "models/layers/cache_group.h"
#include "models/layers/cache_spec.h"
#include "models/weights/weight_loader.h"

namespace krait::test {

/// A recurrent mixer called "mixer" without a model, for one request: three slots of its own, which hold rubbish, and
/// its backend's metadata.
template <typename Mixer>
class LoneMixer {
 public:
  template <typename Config>
  LoneMixer(const Config& config, const std::string& folder, DType state_dtype = DType::kFloat32)
      : hidden_(config.hidden_size),
        platform_(CpuOptions{.threads = 2}),
        queue_(platform_.create_queue()),
        workspace_(platform_),
        mamba_(with_state_dtype(state_dtype)),
        mixer_("mixer", config, {.platform = platform_, .mamba = mamba_, .parallel = {}}) {
    update_.initialize(mamba_);
    const auto spec = std::get<MambaSpec>(mixer_.cache_specs().at(0));
    slot_bytes_ = bytes_per_request(spec);
    memory_.assign(4 * slot_bytes_ + kStateAlignment, std::byte{0xff});
    slots_ = memory_.data();
    slots_ += (kStateAlignment - reinterpret_cast<std::uintptr_t>(slots_) % kStateAlignment) % kStateAlignment;
    const CacheGroup group = form_cache_groups({&mixer_}, 16).front();
    builder_ = group.backend->make_metadata_builder(group);
    mixer_.bind_cache(0, StateCacheView{.conv = slots_ + state_tensor_offset(spec, 0),
                                        .recurrent = slots_ + state_tensor_offset(spec, 1),
                                        .slot_stride = slot_bytes_,
                                        .conv_dtype = state_dtype,
                                        .recurrent_dtype = state_dtype});
    const Checkpoint checkpoint(folder);
    WeightLoader loader(checkpoint, platform_, DType::kFloat32);
    mixer_.load(loader);
    loader.finish();
  }

  struct Step {
    int begin = 0;  ///< first token
    int end = 0;
    bool decode = false;
    std::int32_t slot = 1;
    std::vector<SnapshotRequest> snapshots{};
  };

  /// Those tokens of `x` [tokens, hidden].
  std::vector<float> run(const std::vector<float>& x, const Step& step) {
    const int tokens = step.end - step.begin;
    BatchLayout batch;
    (step.decode ? batch.num_decodes : batch.num_prefills) = 1;
    (step.decode ? batch.num_decode_tokens : batch.num_prefill_tokens) = tokens;
    batch.query_start_loc = {0, tokens};
    batch.num_computed_tokens = {step.begin};
    batch.seq_lens = {step.end};
    batch.state_read = {step.slot};
    batch.state_write = {step.slot};
    batch.snapshots = step.snapshots;
    std::vector<std::unique_ptr<LayerMetadata>> metadata;
    metadata.push_back(builder_->build(batch));
    ForwardContext context{.ops = queue_->ops(),
                           .workspace = workspace_,
                           .batch = batch,
                           .group_metadata = metadata,
                           .selective_state_update = &update_.get()};
    std::vector<float> in(x.begin() + std::ptrdiff_t{step.begin} * hidden_,
                          x.begin() + std::ptrdiff_t{step.end} * hidden_);
    std::vector<float> out(in.size());
    const Shape shape{tokens, hidden_};
    mixer_.forward(context, TensorView(in.data(), DType::kFloat32, shape),
                   {.into = TensorView(out.data(), DType::kFloat32, shape), .accumulate = false});
    return out;
  }

 private:
  static MambaConfig with_state_dtype(DType dtype) {
    MambaConfig mamba;
    mamba.ssm_cache_dtype = dtype;
    mamba.conv_cache_dtype = dtype;
    return mamba;
  }

  int hidden_;
  CpuPlatform platform_;
  std::unique_ptr<Queue> queue_;
  Workspace workspace_;
  MambaConfig mamba_;
  SelectiveStateUpdateDispatcher update_;
  Mixer mixer_;
  std::unique_ptr<MetadataBuilder> builder_;
  std::vector<std::byte> memory_;
  std::byte* slots_ = nullptr;
  std::size_t slot_bytes_ = 0;
};

}  // namespace krait::test
