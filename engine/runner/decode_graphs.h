#pragma once

#include <functional>
#include <map>
#include <memory>

#include "engine/runner/decode_bucket.h"
#include "kernels/platform.h"

namespace krait {

/// How steps of decodes are started on a platform that records operations. What they compute is the same.
enum class GraphUse {
  kNever,     ///< operation by operation (`--enforce-eager`)
  kRecorded,  ///< as a graph, recorded at the second step of a bucket
  /// Before a graph is started, its step is recorded again and must be the same: else std::logic_error. For tests.
  kVerified,
};

/// The graphs of one queue. Graphs of other buckets stay; one whose memory has moved is recorded again.
class DecodeGraphs {
 public:
  DecodeGraphs(Queue& queue, GraphRecorder& recorder) : queue_(queue), recorder_(recorder) {}
  void set_use(GraphUse use) { use_ = use; }

  /// Stages `arrays`, does `prepare`, which may differ from step to step, and then what `operations` puts into the
  /// queue: within a bucket the same each time, its results at the same addresses.
  void run(const DecodeBucket& bucket, const StepArrays& arrays, const std::function<void()>& prepare,
           const std::function<void()>& operations);

  /// Steps that were started as a graph.
  [[nodiscard]] std::int64_t launches() const { return launches_; }

 private:
  /// Null at the first step of a bucket, which finds the memory and the kernels that a recording must not look for.
  const OperationGraph* graph_of(const DecodeBucket& bucket, const StepArrays& arrays,
                                 const std::function<void()>& operations);
  void verify(const OperationGraph& graph, const StepArrays& arrays, const std::function<void()>& operations);

  Queue& queue_;
  GraphRecorder& recorder_;
  GraphUse use_ = GraphUse::kRecorded;
  std::map<DecodeBucket, std::unique_ptr<OperationGraph>> graphs_;  ///< null: seen once
  std::int64_t launches_ = 0;
};

}  // namespace krait
