#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "engine/packed_weights/packed_file.h"
#include "engine/packed_weights/packed_file_writer.h"
#include "models/weights/weight_store.h"

namespace krait {

class Platform;

/// Which file of `--packed-weights-dir` belongs to a model and its flags, and what must be in it.
struct PackedWeightsPlace {
  std::string folder;
  std::string file_name;
  std::uint64_t identity = 0;  ///< of all that decides about the bytes

  [[nodiscard]] std::string path() const;
};

struct PackedWeightsOptions {
  int threads = 0;  ///< that check the file; 0: all cores
  /// `save` only begins to write, and a thread of its own goes on.
  bool write_behind = false;
  /// What an operator may, and what he should know; called by the thread that writes too. May be empty.
  std::function<void(const std::string&)> on_note{};
  std::function<void(const std::string&)> on_warning{};
};

/// `--packed-weights-dir`: gives a WeightLoader the weights that an earlier start has packed, straight from the mapped
/// file. Where there is no such file, or one that cannot be used, it collects what the loader packs and writes it.
class PackedWeightCache final : public WeightStore {
 public:
  /// Throws StartupError, which names the flag, where the file must be written and cannot be. `platform` outlives it.
  PackedWeightCache(PackedWeightsPlace place, PackedWeightsOptions options, Platform& platform);
  /// Gives up what is not written yet.
  ~PackedWeightCache() override;
  PackedWeightCache(const PackedWeightCache&) = delete;
  PackedWeightCache& operator=(const PackedWeightCache&) = delete;

  /// Bytes of the file that weights are taken from; 0: there is none.
  [[nodiscard]] std::size_t mapped_bytes() const { return mapped_bytes_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  PackedWeight find_weight(const std::string& key) override;
  Tensor find_tensor(const std::string& key) override;
  void keep(const std::string& key, const PackedWeight& weight) override;
  void keep(const std::string& key, const Tensor& tensor) override;

  /// Everything has been loaded: what the file lacks is written. `unchanged` false: the checkpoint is not what it was
  /// when its identity was taken, and nothing is. Throws as the constructor does.
  void save(bool unchanged);

 private:
  /// Null where the file lacks it.
  [[nodiscard]] const PackedImage* find(const std::string& key) const;
  void keep(const std::string& key, PackedImage image);
  /// kNotFound where there is none.
  Status open_file();
  void begin_writing();
  void write();
  void note(const std::string& text) const;
  void warn(const std::string& text) const;

  const PackedWeightsPlace place_;
  const PackedWeightsOptions options_;
  Platform& platform_;
  const std::string path_;
  std::optional<PackedFile> file_;  ///< until everything is loaded; the weights keep the mapping
  std::size_t mapped_bytes_ = 0;
  std::unique_ptr<PackedFileWriter> writer_;  ///< null: nothing is to be written, or another process writes it
  PackedImages images_;                       ///< of what was kept
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace krait
