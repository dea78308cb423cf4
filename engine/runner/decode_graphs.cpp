#include "engine/runner/decode_graphs.h"

#include <stdexcept>
#include <string>

namespace krait {

void DecodeGraphs::run(const DecodeBucket& bucket, const StepArrays& arrays, const std::function<void()>& prepare,
                       const std::function<void()>& operations) {
  const OperationGraph* graph = graph_of(bucket, arrays, operations);
  queue_.stage(arrays);
  prepare();
  if (graph == nullptr) return operations();
  recorder_.launch(*graph);
  ++launches_;
}

const OperationGraph* DecodeGraphs::graph_of(const DecodeBucket& bucket, const StepArrays& arrays,
                                             const std::function<void()>& operations) {
  const auto [found, first] = graphs_.try_emplace(bucket);
  if (use_ == GraphUse::kNever || first) return nullptr;
  std::unique_ptr<OperationGraph>& graph = found->second;
  if (graph == nullptr || !graph->is_current()) {
    graph.reset();
    graph = recorder_.record(arrays, operations);
  } else if (use_ == GraphUse::kVerified) {
    verify(*graph, arrays, operations);
  }
  return graph.get();
}

void DecodeGraphs::verify(const OperationGraph& graph, const StepArrays& arrays,
                          const std::function<void()>& operations) {
  const std::string recorded = graph.listing();
  const std::string now = recorder_.record(arrays, operations)->listing();
  if (recorded != now) throw std::logic_error("a step is not what its graph does:\n" + now + "recorded:\n" + recorded);
}

}  // namespace krait
