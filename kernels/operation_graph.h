#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace krait {

/// The small arrays of the host that a step's operations are given (slots, positions, block tables), in an order that
/// steps of one kind share. They keep their place and content until the queue has been waited for.
class StepArrays {
 public:
  template <typename T>
  void add(const std::vector<T>& values) {
    arrays_.push_back(std::as_bytes(std::span(values)));
  }
  [[nodiscard]] const std::vector<std::span<const std::byte>>& all() const { return arrays_; }

 private:
  std::vector<std::span<const std::byte>> arrays_;
};

/// Operations of a queue that were recorded, to be started again with one call.
class OperationGraph {
 public:
  virtual ~OperationGraph() = default;
  /// False once memory that its operations use may have moved: it can be started no more.
  [[nodiscard]] virtual bool is_current() const = 0;
  /// One line an operation, with what the platform can tell of its arguments: graphs that do the same have one text.
  [[nodiscard]] virtual std::string listing() const = 0;
};

/// Records a queue's operations. Used by the thread that uses the queue. What is asked against the contract is a
/// std::logic_error, and nothing was started.
class GraphRecorder {
 public:
  virtual ~GraphRecorder() = default;
  /// Records what `operations` puts into the queue instead of doing it. All of it must have been done once before, so
  /// that no memory is wanted now, and every array that it is given must lie in one of `arrays`.
  virtual std::unique_ptr<OperationGraph> record(const StepArrays& arrays, const std::function<void()>& operations) = 0;
  /// Starts a current graph of this queue over the arrays that were staged last, of the same sizes as those that it was
  /// recorded with.
  virtual void launch(const OperationGraph& graph) = 0;
};

}  // namespace krait
