#pragma once

#include "kernels/cuda/cuda_weight.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/flashinfer/flashinfer.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/linear/product.h"
#include "kernels/cuda/moe/expert_tables.h"
#include "kernels/cuda/scan_chunks.h"
#include "kernels/cuda/step_memory.h"
#include "kernels/cuda/step_stage.h"
#include "kernels/operations.h"

namespace krait::cuda {

struct DeltaRule;

/// The operations of the CUDA platform, all in one stream: a call returns when its kernels are queued, `sample` when
/// its tokens are there. Activations are float32 in device memory; spans are host memory, staged as they come.
class CudaOperations final : public Operations {
 public:
  CudaOperations(Device& device, Gemm& gemm, Stream stream);

  void embedding(const EmbeddingArgs& args) override;
  void linear(const LinearArgs& args) override;
  void gate(const GateArgs& args) override;
  void scaled_add(const ScaledAddArgs& args) override;
  void activate(const ActivateArgs& args) override;
  void add_rms_norm(const AddRmsNormArgs& args) override;
  void gated_rms_norm(const GatedRmsNormArgs& args) override;
  void qk_norm_rope_write_kv(const WriteKvArgs& args) override;
  void paged_attention(const PagedAttentionArgs& args) override;
  [[nodiscard]] bool leaves_snapshots() const override { return true; }
  void causal_conv1d(const CausalConv1dArgs& args) override;
  void grouped_causal_conv1d(const GroupedCausalConv1dArgs& args) override;
  void ssm_scan(const SsmScanArgs& args) override;
  void selective_scan(const SelectiveScanArgs& args) override;
  void selective_state_update(const SelectiveStateUpdateArgs& args) override;
  void delta_rule(const DeltaRuleArgs& args) override;
  void linear_attention(const LinearAttentionArgs& args) override;
  void rg_lru(const RgLruArgs& args) override;
  void moe(const MoeArgs& args) override;
  void gather_rows(const GatherRowsArgs& args) override;
  void sample(const SampleArgs& args) override;

  /// Until everything queued is done; what was staged is forgotten.
  void wait();

  /// As Queue and GraphRecorder (kernels/platform.h, kernels/operation_graph.h) have them.
  void stage(const StepArrays& arrays);
  std::unique_ptr<OperationGraph> record(const StepArrays& arrays, const std::function<void()>& operations);
  void launch(const OperationGraph& graph);
  /// As TokenSampler (kernels/token_sampler.h) has them.
  std::unique_ptr<PendingTokens> queue_sampling(const SampleArgs& args);
  void feed_tokens(std::span<const std::int32_t> ids, std::span<const std::int32_t> rows);

 private:
  /// x as rows of `dtype` for a product: x itself, or rounded in the scratch.
  struct GemmInput {
    const void* data = nullptr;
    std::int64_t stride = 0;
    DType dtype = DType::kFloat32;
    int rows = 0;
    int columns = 0;
  };
  GemmInput gemm_input(const TensorView& x, DType dtype);
  void library_product(const CudaWeight& weight, const GemmInput& x, const Rows& y, const EpilogueForm& epilogue);

  /// Our own kernels; `x_rows` rows of x, which those for many rows want rounded first.
  void run_product(Product product, DType compute_dtype, bool many_rows, std::int64_t x_rows);

  /// Where the rows of each expert are, all on the device.
  struct Routing {
    const float* weights = nullptr;          ///< [T, top_k]
    const std::int32_t* row_of = nullptr;    ///< [T, top_k] row of the sorted matrix, or -1
    const std::int32_t* token_of = nullptr;  ///< token of each sorted row
    const RowTile* tiles = nullptr;
    const std::int32_t* tile_count = nullptr;
    int most_tiles = 0;
    int assignments = 0;     ///< T * top_k
    bool many_rows = false;  ///< tiles are of kManyRows
  };
  Routing route_tokens(const MoeArgs& args, bool many_rows);
  /// `rows` rows of x.
  void run_experts(const Routing& routing, const ExpertTable& table, const ConstRows& x, std::int64_t rows,
                   const std::int32_t* x_rows, const Rows& y, const EpilogueForm& epilogue);

  void delta_rule_in_chunks(const DeltaRule& kernel, const ScanChunks& cut);

  Device& device_;
  Gemm& gemm_;
  Stream stream_;
  StepMemory memory_;
  StepStage stage_;
  std::unique_ptr<FlashInfer> flashinfer_;  ///< null in a build without it
  DeviceScratch rounded_;                   ///< input rows of a product
  DeviceScratch products_;                  ///< its sums before the epilogue
  DeviceScratch sampled_;                   ///< tokens, log-probabilities, and the raw logits that they are of
  HostResults host_results_;
  DeviceScratch partials_;  ///< what the blocks of one attention row leave to be merged
  ExpertTables expert_tables_;
  DeviceScratch routing_;         ///< lists of a Routing
  DeviceScratch moe_inner_;       ///< between the experts' products
  DeviceScratch moe_outer_;       ///< and after them
  DeviceScratch conv_rows_;       ///< what a grouped convolution multiplies, and its sums
  DeviceScratch chunk_operands_;  ///< of a delta rule in chunks
  DeviceScratch ssd_memory_;      ///< between the stages of a chunked scan
  // Of the last scan: where they lie does not change, so they are staged once a step.
  ScanChunks ssd_chunks_;
  ScanChunks delta_chunks_;
};

}  // namespace krait::cuda
