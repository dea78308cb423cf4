// Reading is most of a tokenizer's load time. The long lists (up to a quarter of a million tokens, and as many merges)
// never become JSON nodes: the parser's events fill their tables directly, and all spellings of a table share one
// string.
#include "models/tokenizer/tokenizer_file.h"

#include <fstream>

#include "models/tokenizer/score_text.h"

namespace krait {

void MergeList::add(std::string_view left, std::string_view right) {
  entries_.push_back({.begin = text_.size(),
                      .left = static_cast<std::uint32_t>(left.size()),
                      .right = static_cast<std::uint32_t>(right.size())});
  text_.append(left).append(right);
}

MergeList::Merge MergeList::operator[](std::size_t rank) const {
  const Entry& entry = entries_[rank];
  const std::string_view text = text_;
  return {.left = text.substr(entry.begin, entry.left), .right = text.substr(entry.begin + entry.left, entry.right)};
}

namespace {

using nlohmann::json;

/// Receives the parser's events. `model.vocab` (an object) and `model.merges` go straight to their tables; a tree of
/// half a million JSON nodes would take several times as long. All else becomes a tree.
class FileReader : public nlohmann::json_sax<json> {
 public:
  FileReader(TokenizerFile& file, const LoadContext& context) : file_(file), context_(context) {}

  bool null() override { return scalar(json()); }
  bool boolean(bool value) override { return scalar(json(value)); }
  bool number_integer(number_integer_t value) override { return scalar(json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return scalar(json(value)); }
  bool number_float(number_float_t /*value*/, const string_t& text) override {
    return scalar(json(score_from_text(text)));
  }
  bool binary(binary_t& /*value*/) override { return false; }

  bool string(string_t& value) override {
    if (mode_ == Mode::kMerges) return merge_line(value);
    if (mode_ == Mode::kMergePair) return merge_half(value);
    return scalar(json(std::move(value)));
  }

  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }

  bool start_object(std::size_t /*size*/) override {
    if (mode_ != Mode::kTree) wrong_element();
    if (is_model_field("vocab")) {
      mode_ = Mode::kVocabulary;
      return true;
    }
    return open(json::object());
  }

  bool end_object() override {
    if (mode_ == Mode::kVocabulary) {
      mode_ = Mode::kTree;
      return true;
    }
    return close();
  }

  bool start_array(std::size_t /*size*/) override {
    if (mode_ == Mode::kMerges) {
      mode_ = Mode::kMergePair;
      halves_ = 0;
      return true;
    }
    if (mode_ != Mode::kTree) wrong_element();
    if (is_model_field("merges")) {
      mode_ = Mode::kMerges;
      return true;
    }
    return open(json::array());
  }

  bool end_array() override {
    if (mode_ == Mode::kMergePair) {
      if (halves_ != 2) wrong_element();
      file_.merges.add(left_, right_);
      mode_ = Mode::kMerges;
      return true;
    }
    if (mode_ == Mode::kMerges) {
      mode_ = Mode::kTree;
      return true;
    }
    return close();
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    context_.corrupt("not valid JSON at byte " + std::to_string(position) + ": " + error.what());
  }

 private:
  enum class Mode { kTree, kVocabulary, kMerges, kMergePair };
  static constexpr std::size_t kMaxDepth = 64;

  /// Whether the value that comes is the root's `model`'s field of that name.
  [[nodiscard]] bool is_model_field(const char* name) const {
    return open_.size() == 2 && key_ == name && open_[0]->is_object() && open_[1]->is_object() &&
           open_[0]->contains("model") && &(*open_[0])["model"] == open_[1];
  }

  [[noreturn]] void wrong_element() const {
    if (mode_ == Mode::kVocabulary) context_.corrupt("model.vocab: the id of '" + key_ + "' is not an integer");
    context_.corrupt("model.merges: entry " + std::to_string(file_.merges.size()) +
                     " is neither \"left right\" nor [\"left\", \"right\"]");
  }

  bool scalar(json value) {
    if (mode_ == Mode::kTree) {
      place(std::move(value));
    } else if (mode_ == Mode::kVocabulary) {
      file_.vocabulary.add(key_, context_.token_id(value, "model.vocab '" + key_ + "'"));
    } else {
      wrong_element();
    }
    return true;
  }

  bool merge_line(const std::string& line) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string::npos || line.find(' ', blank + 1) != std::string::npos) wrong_element();
    file_.merges.add(std::string_view(line).substr(0, blank), std::string_view(line).substr(blank + 1));
    return true;
  }

  bool merge_half(std::string& half) {
    if (halves_ == 2) wrong_element();
    (halves_ == 0 ? left_ : right_) = std::move(half);
    ++halves_;
    return true;
  }

  json* place(json value) {
    if (open_.empty()) {
      file_.rest = std::move(value);
      return &file_.rest;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    json& slot = parent[key_];
    slot = std::move(value);
    return &slot;
  }

  bool open(json container) {
    if (open_.size() == kMaxDepth) context_.corrupt("nested deeper than " + std::to_string(kMaxDepth) + " levels");
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  TokenizerFile& file_;
  const LoadContext& context_;
  Mode mode_ = Mode::kTree;
  std::vector<json*>
      open_;  ///< the containers around the next value; a parent is not appended to while a child is open
  std::string key_;
  std::string left_;
  std::string right_;
  int halves_ = 0;
};

std::string read_all(const LoadContext& context) {
  std::ifstream in(context.file, std::ios::binary | std::ios::ate);
  if (!in) {
    throw StartupError(
        Error{.code = ErrorCode::kNotFound, .message = context.file + ": cannot be opened", .field = context.file});
  }
  const std::streamoff size = in.tellg();
  std::string text(static_cast<std::size_t>(size < 0 ? 0 : size), '\0');
  in.seekg(0);
  if (size < 0 || !in.read(text.data(), size)) context.corrupt("cannot be read");
  return text;
}

}  // namespace

TokenizerFile read_tokenizer_file(const LoadContext& context) {
  const std::string text = read_all(context);
  TokenizerFile file;
  FileReader reader(file, context);
  json::sax_parse(text, &reader);
  if (!file.rest.is_object()) context.corrupt("the file is not a JSON object");
  return file;
}

}  // namespace krait
