#include <stdexcept>
#include <utility>

#include "kernels/cuda/cuda_operations.h"

/// Operations that are recorded and started again. Their kernels read the step's arrays at addresses that stay, so that
/// new content is all that another step needs.
namespace krait::cuda {
namespace {

class StepGraph final : public OperationGraph {
 public:
  StepGraph(std::unique_ptr<DeviceGraph> graph, const StepMemory& memory, std::vector<std::size_t> sizes)
      : graph_(std::move(graph)), memory_(memory), generation_(memory.generation()), sizes_(std::move(sizes)) {}
  [[nodiscard]] bool is_current() const override { return generation_ == memory_.generation(); }
  [[nodiscard]] std::string listing() const override { return graph_->listing(); }

  [[nodiscard]] const DeviceGraph& device_graph() const { return *graph_; }
  [[nodiscard]] const std::vector<std::size_t>& sizes() const { return sizes_; }

 private:
  std::unique_ptr<DeviceGraph> graph_;
  const StepMemory& memory_;
  std::uint64_t generation_;
  std::vector<std::size_t> sizes_;
};

/// While it lives the stage finds what a graph may keep, and nothing else.
class RecordingStage {
 public:
  RecordingStage(StepStage& stage, const StepArrays& arrays) : stage_(stage) { stage_.begin_recording(arrays); }
  ~RecordingStage() { stage_.end_recording(); }
  RecordingStage(const RecordingStage&) = delete;
  RecordingStage& operator=(const RecordingStage&) = delete;

 private:
  StepStage& stage_;
};

}  // namespace

void CudaOperations::stage(const StepArrays& arrays) {
  stage_.stage_together(arrays);
  if (flashinfer_ != nullptr) flashinfer_->begin_step();
}

std::unique_ptr<OperationGraph> CudaOperations::record(const StepArrays& arrays,
                                                       const std::function<void()>& operations) {
  const RecordingStage recording(stage_, arrays);
  const std::uint64_t generation = memory_.generation();
  device_.begin_capture(stream_);
  try {
    operations();
  } catch (...) {
    device_.abandon_capture(stream_);
    throw;
  }
  auto graph = std::make_unique<StepGraph>(device_.end_capture(stream_), memory_, stage_.sizes());
  if (memory_.generation() != generation) throw std::logic_error("operations that were recorded wanted memory");
  return graph;
}

void CudaOperations::launch(const OperationGraph& graph) {
  const auto& step = dynamic_cast<const StepGraph&>(graph);
  if (!step.is_current()) throw std::logic_error("a graph is started whose memory has moved");
  if (step.sizes() != stage_.sizes()) throw std::logic_error("a graph is started over arrays of other sizes");
  device_.launch(step.device_graph(), stream_);
}

}  // namespace krait::cuda
