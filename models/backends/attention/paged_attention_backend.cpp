#include "kernels/result.h"
#include "models/backends/attention/attention_backend.h"
#include "models/layers/cache_group.h"

namespace krait {
namespace {

class PagedAttentionBackend final : public AttentionBackend {
 public:
  explicit PagedAttentionBackend(KernelLibrary library) : library_(library) {
    const bool native = library == KernelLibrary::kNative;
    capabilities_ = {.platforms = {},
                     .state_dtypes = {},
                     // FlashInfer splits the keys by how many requests there are and how long they are.
                     .exact_splits = native,
                     .snapshots_inside_prefill = true,
                     .drafts = false,
                     .batch_invariant = native,
                     .graph_capture = native};
  }

  [[nodiscard]] std::string_view name() const override {
    return library_ == KernelLibrary::kNative ? "paged_attention" : kernel_library_name(library_);
  }

  [[nodiscard]] const BackendCapabilities& capabilities() const override { return capabilities_; }

  [[nodiscard]] std::unique_ptr<MetadataBuilder> make_metadata_builder(const CacheGroup& group) const override {
    if (!group.kv_group) KRAIT_BUG("an attention group without a page pool");
    return std::make_unique<AttentionMetadataBuilder>(*group.kv_group, group.block_size);
  }

  void forward(const BackendContext& context, const AttentionMetadata& metadata, const AttentionParameters& parameters,
               const KvCacheView& cache, const AttentionActivations& activations) const override {
    const BatchLayout& batch = *metadata.batch;
    WriteKvArgs write;
    write.q = activations.q;
    write.k = activations.k;
    write.v = activations.v;
    write.q_norm = parameters.q_norm;
    write.k_norm = parameters.k_norm;
    write.norm_eps = parameters.norm_eps;
    write.rope = parameters.rope;
    write.positions = batch.positions;
    write.slot_mapping = metadata.slot_mapping;
    write.cache = cache;
    context.ops->qk_norm_rope_write_kv(write);

    PagedAttentionArgs attend;
    attend.q = activations.q;
    attend.out = activations.out;
    attend.cache = cache;
    attend.query_start_loc = batch.query_start_loc;
    attend.seq_lens = batch.seq_lens;
    attend.block_table = metadata.block_table->pages;
    attend.max_blocks = metadata.block_table->max_blocks;
    attend.max_seq_len = batch.max_seq_len;
    attend.scale = parameters.scale;
    attend.sliding_window = parameters.sliding_window;
    attend.logits_soft_cap = parameters.logits_soft_cap;
    attend.sinks = parameters.sinks;
    attend.library = library_;
    context.ops->paged_attention(attend);
  }

 private:
  KernelLibrary library_;
  BackendCapabilities capabilities_;
};

}  // namespace

const AttentionBackend& paged_attention_backend(KernelLibrary library) {
  static const PagedAttentionBackend native(KernelLibrary::kNative);
  static const PagedAttentionBackend flashinfer(KernelLibrary::kFlashInfer);
  return library == KernelLibrary::kFlashInfer ? flashinfer : native;
}

}  // namespace krait
