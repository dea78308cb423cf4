#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/packed_weight.h"
#include "kernels/tensor.h"
#include "models/weights/checkpoint.h"
#include "models/weights/matrix_source.h"
#include "models/weights/quantized_reader.h"

namespace krait {

class Platform;
class WeightStore;

/// One depthwise convolution of several that run as one.
struct ConvSource {
  std::string weight;
  std::int64_t channels = 0;
};

struct LinearOptions {
  /// The parts are gate and up (one part: both, one after the other), used with a gated epilogue.
  bool gate_up = false;
  Shard shard{};
  /// nullopt: the loader's. Routers are kept in float32, whose near ties decide between experts.
  std::optional<DType> compute_dtype{};
};

/// Hands tensors to layers by name and keeps account: after the model has taken what it needs, `finish` lists what was
/// missing, what had another shape, and what nobody asked for. A tensor that is missing or misshapen gives an undefined
/// Tensor or PackedWeight, so that the layers go on and the report is whole. A dtype other than float32, bfloat16,
/// float16 or 8-bit floating point is a StartupError at once.
///
/// 8-bit floats become float32, times the scales in `<name>_scale_inv` or `<name>_scale` where the checkpoint has them:
/// one for the tensor, one a row, or one a block. Scales of activations (`input_scale`) are left alone: activations are
/// not rounded to 8 bits here.
///
/// A loader that plans reads nothing and takes no memory: it counts what is asked for and gives only undefined Tensors
/// and PackedWeights.
class WeightLoader {
 public:
  WeightLoader(const Checkpoint& checkpoint, Platform& platform, DType compute_dtype);
  /// Plans a model whose weights would have this dtype. Every tensor that is asked for counts as there.
  explicit WeightLoader(DType planned_dtype);
  /// Plans a model by the headers of its checkpoint, which `finish` compares with what was asked for.
  explicit WeightLoader(const Checkpoint& checkpoint);

  /// A tensor of this shape as float32 in the platform's memory. `transpose` swaps the last two of a 2-d tensor.
  Tensor float32(const std::string& name, const Shape& shape, bool transpose = false);
  /// The same, each number changed on its way.
  Tensor transformed(const std::string& name, const Shape& shape, const std::function<float(float)>& change);
  /// Its numbers in the host's memory, for what is computed from them and given to `vector`. Zeros when it is missing,
  /// misshapen or planned.
  std::vector<float> values(const std::string& name, const Shape& shape);
  /// The tensor's own bytes and dtype, copied into the platform's memory (embedding tables).
  Tensor raw(const std::string& name, const Shape& shape);
  /// Numbers that the checkpoint does not have but a formula or the config gives: [n] float32 in the platform's memory.
  Tensor vector(std::span<const float> values);
  /// A depthwise convolution's weight `[channels, 1, kernel]` as float32 [kernel, channels].
  Tensor conv_weight(const std::string& name, std::int64_t channels, std::int64_t kernel);
  /// Several of them side by side: [kernel, sum of channels] (delta nets keep q, k and v apart).
  Tensor conv_weight(const std::vector<ConvSource>& parts, std::int64_t kernel);
  /// A linear weight `[sum of out_features, in_features]` out of one or several matrices of the checkpoint, whole or a
  /// rank's share of it.
  PackedWeight linear(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                      const LinearOptions& options = {});
  /// Marks a tensor as known and not needed (buffers that follow from a formula); "vision.*" all tensors whose names
  /// begin with "vision.".
  void ignore(const std::string& name);
  [[nodiscard]] bool has(const std::string& name) const;

  /// Rows and columns that share a scale in matrices of 8-bit floats whose scales lie in blocks.
  void set_scale_blocks(std::int64_t rows, std::int64_t columns) {
    block_rows_ = rows;
    block_columns_ = columns;
  }

  /// Weights of `linear` are quantised so, in groups of `group_size` inputs (0: the default of the form), save those
  /// that have a compute dtype of their own, taps of convolutions, and matrices of fewer than 32 inputs. Rows of int8
  /// meet only quantised weights; those of the others are rounded to bfloat16.
  void set_quantization(Quantization quantization, int group_size = 0) {
    quantization_ = quantization;
    group_size_ = group_size;
  }

  /// Whether `linear` quantises a weight of this one part, or keeps it as integers.
  [[nodiscard]] bool quantizes(const MatrixSource& part, std::int64_t in_features) const;

  /// The checkpoint keeps some matrices as integers. They stay as they are where the platform can keep them and all
  /// parts of a weight agree in bits and groups; else they become float32, and are treated like other weights.
  void set_stored_quantization(const QuantizationConfig& config);

  /// What `store` has is taken from there, and what it lacks is given to it. The checkpoint's headers are still
  /// compared with what is asked for. `store` outlives the loader.
  void set_store(WeightStore& store) { store_ = &store; }

  /// Called with the bytes taken so far after every tensor.
  void on_progress(std::function<void(std::size_t)> callback) { progress_ = std::move(callback); }

  /// Throws one StartupError that lists every missing, misshapen and unexpected tensor (the first 20 of each).
  void finish();

  /// The tensors taken (or planned), with their shapes in the checkpoint.
  [[nodiscard]] const std::map<std::string, Shape>& taken() const { return taken_; }
  /// Planning: the matrices of the checkpoint that `linear` would quantise and nothing else reads, stored as they are
  /// multiplied (`krait quantize` replaces them).
  [[nodiscard]] std::set<std::string> quantizable() const;
  /// Elements of the tensors taken, each name once.
  [[nodiscard]] std::int64_t parameters() const { return parameters_; }
  /// Bytes that the taken tensors occupy on the platform; planned ones by shape and dtype, without a platform's
  /// padding.
  [[nodiscard]] std::size_t packed_bytes() const { return packed_bytes_; }
  /// Of those, the tables that `raw` gave, of which a token reads one row.
  [[nodiscard]] std::size_t lookup_bytes() const { return lookup_bytes_; }

 private:
  /// The numbers of a tensor as float32; nothing when it is missing, misshapen or planned.
  std::optional<std::vector<float>> read_values(const std::string& name, const Shape& shape, bool transpose);
  /// Counts the float32 numbers and gives them to the platform; an undefined Tensor for none.
  Tensor give(const std::optional<std::vector<float>>& values, const Shape& shape);
  /// Checks and counts by the headers alone; false (recorded for `finish`) when the tensor is missing or misshapen.
  bool note(const std::string& name, const Shape& shape);
  /// The same and its bytes; an undefined view where `note` is false, and always when planning.
  TensorView take(const std::string& name, const Shape& shape);
  [[nodiscard]] bool planning() const { return platform_ == nullptr; }
  /// The dtype that a planned tensor has.
  [[nodiscard]] DType planned_dtype(const std::string& name) const;
  /// `linear` without the store.
  PackedWeight make_linear(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                           const LinearOptions& options);
  /// The store's key of a linear weight. Like those of tensors it need not tell options or checkpoints apart, which the
  /// store does by itself.
  [[nodiscard]] std::string weight_key(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                                       const LinearOptions& options) const;
  PackedWeight find_weight(const std::string& key, const std::vector<MatrixSource>& parts, std::int64_t in_features);
  using NamedShapes = std::vector<std::pair<std::string, Shape>>;
  /// What the store has, not to be written; `sources` are counted as taken then.
  Tensor find_tensor(const std::string& key, const NamedShapes& sources);
  void note_matrices(const std::vector<MatrixSource>& parts, const PackScheme& scheme);
  /// Counts a linear weight that is planned.
  void plan_linear(const std::vector<MatrixSource>& parts, std::int64_t in_features, const PackScheme& scheme,
                   const Shard& shard);
  /// How the weight that these parts make is packed.
  [[nodiscard]] PackScheme scheme_of(const std::vector<MatrixSource>& parts, std::int64_t in_features,
                                     const LinearOptions& options) const;
  using Floats = std::shared_ptr<const std::vector<float>>;
  /// The matrix and the bias of one part as `[out, in]` and `[out]`; false when one of them is missing or misshapen.
  bool take_part(const MatrixSource& part, std::int64_t in_features, WeightSource& source,
                 std::vector<std::vector<std::byte>>& copies, std::vector<Floats>& keep);
  void discard(const MatrixSource& part) const;
  /// Whether the checkpoint keeps the matrix `name` as integers.
  [[nodiscard]] bool stored_quantized(const std::string& name) const;
  /// The shape of a tensor, or of the matrix that integers stand for.
  [[nodiscard]] Shape stored_shape(const std::string& name) const;
  /// Counts a matrix of integers.
  void note_quantized(const std::string& name, const Shape& shape);
  /// What it gives stands for the matrix and is read by `dequantize_integers` alone.
  TensorView view_quantized(const std::string& name, const Shape& shape);
  Floats dequantize_integers(const std::string& name);
  /// All parts are integers that can stay so, in one form: then they are taken into `source`, which refers to `keep`
  /// and `copies`, and `scheme` says which form.
  bool take_quantized_parts(const std::vector<MatrixSource>& parts, std::int64_t in_features, WeightSource& source,
                            std::vector<PackableMatrix>& keep, std::vector<std::vector<std::byte>>& copies,
                            PackScheme& scheme);
  /// A matrix of 8-bit floats, or number `index` of a stack of them, as float32.
  Floats dequantize(const std::string& name, const TensorView& stored, std::int64_t stack_count = 0,
                    std::int64_t stack_index = 0);
  /// The values of `view`, which holds `name`, as a type that platforms read; what they need is put into `keep`.
  TensorView readable(const std::string& name, const TensorView& view, std::vector<Floats>& keep);
  /// Marks the scales of a tensor as taken.
  void note_scales(const std::string& name);
  /// The name of the scales of a tensor; empty: none.
  [[nodiscard]] std::string scale_of(const std::string& name) const;
  void require_float(const std::string& name, const TensorView& view) const;
  void account(const std::string& name, const Shape& shape, std::size_t bytes);
  PackedWeight pack(WeightSource source, const std::string& first_name, const PackScheme& scheme, const Shard& shard);
  [[nodiscard]] std::vector<std::string> unexpected() const;

  const Checkpoint* checkpoint_ = nullptr;  ///< null when a config alone is planned
  Platform* platform_ = nullptr;            ///< null when planning
  WeightStore* store_ = nullptr;            ///< null: everything is read
  DType compute_dtype_ = DType::kFloat32;
  DType planned_dtype_ = DType::kFloat32;
  Quantization quantization_ = Quantization::kNone;
  int group_size_ = 0;
  std::optional<QuantizedReader> stored_;
  std::set<std::string> matrices_;          ///< that would be quantised
  std::set<std::string> read_as_they_are_;  ///< by others
  std::int64_t block_rows_ = 128;
  std::int64_t block_columns_ = 128;
  /// The matrix converted last: several weights may be cut out of one.
  std::string last_name_;
  std::int64_t last_index_ = 0;
  Floats last_floats_;
  std::map<std::string, Shape> taken_;
  std::set<std::string> ignored_;
  std::set<std::string> missing_;
  std::map<std::string, std::string> misshapen_;  ///< name to "found …, expected …"
  std::function<void(std::size_t)> progress_;
  std::size_t bytes_taken_ = 0;
  std::int64_t parameters_ = 0;
  std::size_t packed_bytes_ = 0;
  std::size_t lookup_bytes_ = 0;
};

}  // namespace krait
