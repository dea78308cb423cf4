#include "bench/cpu_bars/comparison.h"

#include <array>
#include <cstdio>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <tuple>

namespace krait::bench {
namespace {

bool same(const ComparisonKey& left, const ComparisonKey& right) { return !(left < right) && !(right < left); }

std::string join(const std::set<int>& numbers) {
  std::string text;
  for (const int number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

}  // namespace

bool ComparisonKey::operator<(const ComparisonKey& other) const {
  return std::tie(shape, bits, avx2, serve) < std::tie(other.shape, other.bits, other.avx2, other.serve);
}

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::string text;
  std::array<char, 4096> piece{};
  while (const std::size_t read = std::fread(piece.data(), 1, piece.size(), pipe)) text.append(piece.data(), read);
  if (const int status = ::pclose(pipe); status != 0) {
    throw std::runtime_error("ended with status " + std::to_string(status) + ": " + command);
  }
  return text;
}

void Comparisons::add(const ComparisonNeed& need) { needs_.push_back(need); }

const std::vector<nlohmann::json>& Comparisons::run(const ComparisonKey& key) {
  for (const auto& [known, rows] : done_) {
    if (same(known, key)) return rows;
  }
  std::set<int> prompts;
  std::set<int> batches;
  for (const ComparisonNeed& need : needs_) {
    if (!same(need.key, key)) continue;
    prompts.insert(need.prompts.begin(), need.prompts.end());
    batches.insert(need.batches.begin(), need.batches.end());
  }
  // Failures are kept as no rows: the next bar need not wait for the same one.
  auto& rows = done_.emplace_back(key, std::vector<nlohmann::json>{}).second;
  std::string command = std::string("python3 '") + KRAIT_COMPARE_DIR + "' " + key.shape + " --json --build '" +
                        KRAIT_BUILD_DIR + "' --bits " + std::to_string(key.bits);
  command += key.avx2 ? " --isa avx2" : "";
  command += key.serve ? " --serve" : " --prompt " + (prompts.empty() ? "0" : join(prompts));
  if (!batches.empty()) command += " --batch " + join(batches);
  std::istringstream lines(output_of(command));
  for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
  return rows;
}

std::vector<nlohmann::json> Comparisons::rows(const ComparisonKey& key, const std::string& test, int batch) {
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& row : run(key)) {
    if (row.at("test") == test && row.value("batch", 1) == batch) found.push_back(row);
  }
  if (found.empty()) throw std::runtime_error("the comparison has no row of " + test + " on " + key.shape);
  return found;
}

}  // namespace krait::bench
