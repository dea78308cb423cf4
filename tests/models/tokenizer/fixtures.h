#pragma once

#include <unistd.h>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "models/tokenizer/tokenizer.h"
#include "tests/models/tokenizer/gzip.h"

namespace krait::test {

inline std::string source_path(const std::string& path) { return std::string(KRAIT_SOURCE_DIR) + "/" + path; }

inline nlohmann::json read_json(const std::string& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

inline std::shared_ptr<const Tokenizer> load(const std::string& path) {
  auto loaded = load_tokenizer(path);
  INFO(path << ": " << (loaded.ok() ? "" : loaded.error().message));
  REQUIRE(loaded.ok());
  return std::move(loaded).value();
}

inline std::shared_ptr<const Tokenizer> demo_tokenizer() { return load(source_path("demo/aesop/tokenizer.json")); }

/// A file in the temporary folder that goes with the test.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content) {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() /
            ("krait_tokenizer_" + std::to_string(getpid()) + "_" + std::to_string(count++) + ".json");
    std::ofstream(path_, std::ios::binary) << content;
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// A small valid byte-level tokenizer: `a` to `e`, the blank, merges ab, abc; an added token.
inline nlohmann::json small_tokenizer() {
  return nlohmann::json::parse(R"({
    "added_tokens": [{"id": 8, "content": "<end>", "special": true, "normalized": false}],
    "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null, "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "Ġ": 5, "ab": 6, "abc": 7},
              "merges": ["a b", "ab c"]}})");
}

/// The content of `path` or, if that is not there, of `path`.gz.
inline std::string read_packed(const std::filesystem::path& path) {
  const bool packed = !std::filesystem::exists(path);
  std::ifstream in(packed ? path.string() + ".gz" : path.string(), std::ios::binary);
  REQUIRE(in);
  std::string content{std::istreambuf_iterator<char>(in), {}};
  return packed ? gunzip(content) : content;
}

inline std::shared_ptr<const Tokenizer> load_packed(const std::filesystem::path& path) {
  if (std::filesystem::exists(path)) return load(path);
  const TemporaryFile file(read_packed(path));
  return load(file.path());
}

inline std::shared_ptr<const Tokenizer> load_json(const nlohmann::json& json) {
  const TemporaryFile file(json.dump());
  return load(file.path());
}

inline std::vector<std::int32_t> encode(const Tokenizer& tokenizer, std::string_view text, bool special = false) {
  auto ids = tokenizer.encode(text, {.add_special_tokens = special});
  REQUIRE(ids.ok());
  return *ids;
}

}  // namespace krait::test
