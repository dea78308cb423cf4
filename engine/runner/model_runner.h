#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/cache/cache_layout.h"
#include "engine/runner/batch_builder.h"
#include "engine/runner/decode_graphs.h"
#include "engine/runner/step_plan.h"
#include "kernels/stochastic_rounding.h"
#include "models/backends/selective_state_update.h"
#include "models/layers/cache_group.h"
#include "models/layers/workspace.h"
#include "models/model.h"

namespace krait {

class CachePools;

/// Runs steps of one model on one platform: lays the batch out, has every cache group's builder build its metadata
/// once, runs the layers, and samples. Used by the engine's thread only.
class ModelRunner final : public StepRunner {
 public:
  /// Chooses every layer's backend and forms the groups (`initialize_attn_backends`). Throws StartupError.
  ModelRunner(Platform& platform, Model& model, const MambaConfig& mamba, int block_size);

  [[nodiscard]] CacheLayout cache_layout() const;
  /// Must be called once, before the first step.
  void bind_pools(std::shared_ptr<CachePools> pools);

  [[nodiscard]] const std::vector<CacheGroup>& groups() const { return groups_; }
  /// The backend of each group's layers, in the order of the groups.
  [[nodiscard]] std::vector<const LayerBackend*> get_attn_backends_for_group(std::size_t group) const;

  std::unique_ptr<ThreadPlacement> place_calling_thread() override { return platform_.place_calling_thread(); }
  /// Whether steps of decodes may be started as graphs: the platform records them, and every backend can be recorded.
  [[nodiscard]] bool has_graphs() const { return graphs_.has_value(); }
  /// Without graphs there is nothing to say.
  void set_graph_use(GraphUse use) {
    if (graphs_) graphs_->set_use(use);
  }
  /// Steps that were started as a graph.
  [[nodiscard]] std::int64_t graph_launches() const { return graphs_ ? graphs_->launches() : 0; }

  /// Where steps of decodes have their arrays at addresses that stay, and tokens stay on the device.
  [[nodiscard]] bool runs_ahead() const override { return graphs_.has_value() && queue_->sampler() != nullptr; }
  void abandon() noexcept override;
  /// On a synchronous platform the work is done when `submit` returns.
  StepHandle submit(StepPlan plan) override;
  StepResult wait(StepHandle handle) override;

  /// Called with the logits that are about to be sampled, in the platform's memory, row i for the i-th sampling request
  /// of the plan: fault injection in tests.
  void on_logits(std::function<void(const StepPlan&, const TensorView&)> hook) { logits_hook_ = std::move(hook); }

 private:
  /// A step that was submitted: what is known of its result, and who gets the tokens that are being sampled.
  struct InFlight {
    StepResult result;
    std::unique_ptr<PendingTokens> tokens{};  ///< null: the result is whole
    std::vector<std::size_t> owners{};        ///< the output of each token
  };
  /// The step's results in the platform's memory.
  struct StepRows {
    TensorView hidden{};  ///< [T, hidden]
    TensorView logits{};  ///< [T, vocabulary]; undefined: computed for the rows that are asked for
  };

  void initialize_attn_backends(int block_size);
  void initialize_graphs();
  InFlight run(const StepPlan& plan);
  StepRows forward(ForwardContext& context, const StepPlan& plan, const PackedBatch& batch,
                   const std::optional<DecodeBucket>& bucket);
  /// By token of a step of decodes: the row of the tokens sampled last that it is, or -1.
  [[nodiscard]] std::vector<std::int32_t> token_sources(const StepPlan& plan, std::size_t tokens) const;
  /// Logits of some rows, in the workspace.
  TensorView logits_of(ForwardContext& context, const StepRows& step, std::span<const std::int32_t> rows);
  void sample(ForwardContext& context, const StepPlan& plan, const StepRows& step, InFlight& run);
  void copy_logits(ForwardContext& context, const StepPlan& plan, const StepRows& step, StepResult& result);
  void score_prompts(ForwardContext& context, const StepPlan& plan, const StepRows& step, StepResult& result);

  Platform& platform_;
  Model& model_;
  int block_size_;
  std::unique_ptr<Queue> queue_;
  std::optional<DecodeGraphs> graphs_;
  Workspace workspace_;
  SelectiveStateUpdateDispatcher selective_state_update_;
  std::vector<CacheGroup> groups_;
  std::vector<std::unique_ptr<MetadataBuilder>> builders_;
  std::size_t kv_groups_ = 0;
  StateRounding state_rounding_;
  std::shared_ptr<CachePools> pools_;
  std::map<StepHandle, InFlight> in_flight_;
  std::vector<std::int32_t> last_rows_;  ///< of the step submitted last that sampled: each request's row there, or -1
  StepHandle next_handle_ = 1;
  std::function<void(const StepPlan&, const TensorView&)> logits_hook_;
};

}  // namespace krait
