#pragma once

#include <catch2/catch.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "models/layers/cache_group.h"
#include "models/model.h"
#include "tests/models/backends/fake_platform.h"
#include "tests/temp_folder.h"

namespace krait::test {

/// What a layer is, without weights: its name, its kind, its backend and its specs.
struct Row {
  std::string name;
  std::string kind;
  std::string backend;
  std::size_t bytes_per_token;
  std::size_t bytes_per_request;
  bool operator==(const Row&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Row& row) {
  return out << row.name << " " << row.kind << " " << row.backend << " " << row.bytes_per_token << " "
             << row.bytes_per_request;
}

inline std::vector<Row> dispatch(const std::string& folder) {
  HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  const auto model = make_model(std::string(KRAIT_SOURCE_DIR) + "/" + folder, context);
  std::vector<Row> rows;
  for (const AttentionLayerBase* layer : model->attention_layers()) {
    const auto specs = layer->cache_specs();
    REQUIRE(specs.size() == 1);
    rows.push_back({layer->name(), kind_of(specs[0]), std::string(layer->get_attn_backend(0)->name()),
                    bytes_per_token(specs[0]), bytes_per_request(specs[0])});
  }
  return rows;
}

/// What start-up says to a config.json of this text; empty where it accepts it.
inline std::string model_error(const std::string& text) {
  const TempFolder folder;
  folder.write("config.json", text);
  HookedPlatform platform;
  const LayerContext context{.platform = platform, .mamba = {}, .parallel = {}};
  try {
    const auto model = make_model(folder.path(), context);
    for (const CacheGroup& group : form_cache_groups(model->attention_layers(), 16)) {
      static_cast<void>(group.backend->make_metadata_builder(group));
    }
  } catch (const StartupError& error) {
    return error.what();
  }
  return "";
}

}  // namespace krait::test
