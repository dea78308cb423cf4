#include "server/cli/supported_families.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "models/architectures/architecture_registry.h"

namespace krait::server {
namespace {

/// The kinds of "mamba2 + full_attention".
std::vector<std::string> split_kinds(std::string_view kinds) {
  constexpr std::string_view kSeparator = " + ";
  std::vector<std::string> names;
  while (true) {
    const std::size_t end = kinds.find(kSeparator);
    names.emplace_back(kinds.substr(0, end));
    if (end == std::string_view::npos) return names;
    kinds.remove_prefix(end + kSeparator.size());
  }
}

/// A row "| a | b |".
std::string row(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += (cell.empty() ? " " : " " + cell + " ") + "|";
  return text + "\n";
}

}  // namespace

std::string supported_markdown() {
  std::set<std::string> kinds;
  for (const Architecture& architecture : architectures()) {
    for (std::string& kind : split_kinds(architecture.kinds)) kinds.insert(std::move(kind));
  }
  std::vector<std::string> head{"family", "`architectures`"};
  for (const std::string& kind : kinds) head.push_back("`" + kind + "`");
  head.emplace_back("checked against");
  std::string text = row(head) + "|---|---|";
  for (std::size_t i = 0; i < kinds.size(); ++i) text += ":-:|";
  text += "---|\n";
  for (const Architecture& architecture : architectures()) {
    const std::vector<std::string> own = split_kinds(architecture.kinds);
    const std::set<std::string> has(own.begin(), own.end());
    std::vector<std::string> cells{std::string(architecture.family), "`" + std::string(architecture.hf_name) + "`"};
    for (const std::string& kind : kinds) cells.emplace_back(has.contains(kind) ? "✓" : "");
    cells.emplace_back(architecture.verified ? "a reference's logits" : "formulas only");
    text += row(cells);
  }
  return text;
}

nlohmann::json supported_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const Architecture& architecture : architectures()) {
    list.push_back({{"architecture", architecture.hf_name},
                    {"family", architecture.family},
                    {"kinds", split_kinds(architecture.kinds)},
                    {"verified", architecture.verified}});
  }
  return list;
}

}  // namespace krait::server
