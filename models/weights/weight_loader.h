#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernels/packed_weight.h"
#include "kernels/tensor.h"

namespace krait {

class Platform;

/// The tensors of one checkpoint folder (`model.safetensors`, or shards by `model.safetensors.index.json`), mapped
/// read-only. Every header field is checked against the file's size before use; faults are StartupErrors with the
/// file's and the tensor's name.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& folder);
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;

  [[nodiscard]] bool has(const std::string& name) const;
  /// The tensor's bytes in the mapping; throws StartupError when it is not there.
  [[nodiscard]] TensorView tensor(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] std::size_t total_bytes() const;
  [[nodiscard]] const std::string& folder() const;
  /// The tensor's shape, and the path of the file that it is in, for messages; throw StartupError when it is not there.
  [[nodiscard]] Shape shape(const std::string& name) const;
  [[nodiscard]] const std::string& file_of(const std::string& name) const;
  /// Gives the memory behind a view of `tensor` back to the system. The view stays valid and is read from the file
  /// again when touched.
  void discard(const TensorView& view) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Hands tensors to layers by name and keeps account: after the model has taken what it needs, `finish` lists what was
/// missing, what had another shape, and what nobody asked for. A tensor that is missing or misshapen gives an undefined
/// Tensor or PackedWeight, so that the layers go on and the report is whole. A dtype other than float32, bfloat16 or
/// float16 is a StartupError at once.
class WeightLoader {
 public:
  WeightLoader(const Checkpoint& checkpoint, Platform& platform, DType compute_dtype);

  /// A tensor of this shape as float32 in the platform's memory. `transpose` swaps the last two of a 2-d tensor.
  Tensor float32(const std::string& name, const Shape& shape, bool transpose = false);
  /// The tensor's own bytes and dtype, copied into the platform's memory (embedding tables).
  Tensor raw(const std::string& name, const Shape& shape);
  /// A depthwise convolution's weight `[channels, 1, kernel]` as float32 [kernel, channels].
  Tensor conv_weight(const std::string& name, std::int64_t channels, std::int64_t kernel);
  /// A linear weight out of one or several `[out, in]` matrices; bias names empty, or one a part. Shapes are
  /// `[out_features[i], in]`, of the whole layer; `shard` says which share of it this rank keeps.
  PackedWeight linear(const std::vector<std::string>& weights, const std::vector<std::string>& biases,
                      const std::vector<std::int64_t>& out_features, std::int64_t in_features, bool gate_up = false,
                      const Shard& shard = {});
  /// Matrix `index` of a stacked tensor `[count, out, in]`; the tensor counts as taken with its first matrix.
  PackedWeight stacked_linear(const std::string& name, std::int64_t index, std::int64_t count,
                              std::int64_t out_features, std::int64_t in_features, bool gate_up = false);
  /// Marks a tensor as known and not needed (buffers that follow from a formula).
  void ignore(const std::string& name);
  [[nodiscard]] bool has(const std::string& name) const;

  /// Called with the bytes taken so far after every tensor.
  void on_progress(std::function<void(std::size_t)> callback) { progress_ = std::move(callback); }

  /// Throws one StartupError that lists every missing, misshapen and unexpected tensor (the first 20 of each).
  void finish();

  /// Elements of the tensors taken, each name once.
  [[nodiscard]] std::int64_t parameters() const { return parameters_; }
  /// Bytes that the taken tensors occupy on the platform.
  [[nodiscard]] std::size_t packed_bytes() const { return packed_bytes_; }

 private:
  /// Checks and counts; an undefined view (recorded for `finish`) when the tensor is missing or misshapen.
  TensorView take(const std::string& name, const Shape& shape);
  /// The parts of a linear weight; false when one of them is missing or misshapen.
  bool take_all(const std::vector<std::string>& names, const std::vector<Shape>& shapes,
                std::vector<TensorView>& views);
  void require_float(const std::string& name, const TensorView& view) const;
  void account(const std::string& name, const TensorView& view);
  PackedWeight pack(WeightSource source, const std::string& first_name, bool gate_up, const Shard& shard);
  [[nodiscard]] std::vector<std::string> unexpected() const;

  const Checkpoint& checkpoint_;
  Platform& platform_;
  DType compute_dtype_;
  std::set<std::string> taken_;
  std::set<std::string> ignored_;
  std::set<std::string> missing_;
  std::map<std::string, std::string> misshapen_;  ///< name to "found …, expected …"
  std::function<void(std::size_t)> progress_;
  std::size_t bytes_taken_ = 0;
  std::int64_t parameters_ = 0;
  std::size_t packed_bytes_ = 0;
};

}  // namespace krait
