#pragma once

#include <map>
#include <memory>
#include <optional>

#include "models/layers/rope_table.h"

namespace krait {

/// The position tables of one model: layers with equal settings share one.
class RopeTables {
 public:
  RopeTables(Platform& platform, int positions) : platform_(platform), positions_(positions) {}

  /// Null for a layer without position embedding.
  std::shared_ptr<const RopeTable> get(const std::optional<RopeConfig>& config) {
    if (!config) return nullptr;
    auto& table = tables_[*config];
    if (!table) table = std::make_shared<RopeTable>(platform_, *config, positions_);
    return table;
  }

 private:
  Platform& platform_;
  int positions_;
  std::map<RopeConfig, std::shared_ptr<const RopeTable>> tables_;
};

}  // namespace krait
