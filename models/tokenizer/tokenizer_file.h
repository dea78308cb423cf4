#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/tokenizer/load_context.h"
#include "models/tokenizer/vocabulary.h"

namespace krait {

/// The merges of a BPE file in order of rank, all spellings in one string.
class MergeList {
 public:
  struct Merge {
    std::string_view left;
    std::string_view right;
  };
  void add(std::string_view left, std::string_view right);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] Merge operator[](std::size_t rank) const;

 private:
  struct Entry {
    std::size_t begin = 0;
    std::uint32_t left = 0;   ///< bytes
    std::uint32_t right = 0;  ///< bytes
  };
  std::string text_;
  std::vector<Entry> entries_;
};

/// A `tokenizer.json` as read: its two long lists in a form that loads fast, and the rest as JSON.
struct TokenizerFile {
  Vocabulary vocabulary;  ///< `model.vocab` where it is an object (BPE, WordPiece, WordLevel)
  MergeList merges;       ///< `model.merges`, in either spelling: "a b" or ["a", "b"]
  nlohmann::json rest;    ///< everything else, `model` without those two included
};

/// Reads and checks the form; throws StartupError that names the file and the place.
TokenizerFile read_tokenizer_file(const LoadContext& context);

}  // namespace krait
