// Any bytes can be encoded or are refused, any ids can be decoded, and text comes back where nothing in the tokenizer
// may change it. An input's first byte chooses the tokenizer; the rest is a text, and also a list of ids.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/utf8.h"

namespace {

using Ids = std::vector<std::int32_t>;

struct Subject {
  std::shared_ptr<const krait::Tokenizer> tokenizer;
  bool round_trip = false;  ///< no normalizer, no stripping of blanks: decoding gives the text back
};

Subject load(const std::string& folder, bool round_trip) {
  const std::string path = std::string(KRAIT_SOURCE_DIR) + "/" + folder + "/tokenizer.json";
  return {.tokenizer = krait::value_or_throw(krait::load_tokenizer(path)), .round_trip = round_trip};
}

const std::array<Subject, 4>& subjects() {
  static const std::array<Subject, 4> all = {load("tests/golden/tokenizers/trained-bytes-only", true),
                                             load("tests/golden/tokenizers/trained-lfm2-style", true),
                                             load("tests/golden/tokenizers/trained-split-behaviours", false),
                                             load("demo/aesop", false)};
  return all;
}

std::string streamed(const Subject& subject, const Ids& ids) {
  krait::IncrementalDetokenizer stream(subject.tokenizer, false);
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string piece = stream.push(id);
    if (!krait::is_valid_utf8(piece)) std::abort();
    text += piece;
  }
  return text + stream.flush();
}

/// Two bytes an id: past the end of a small vocabulary, too.
Ids ids_of(std::string_view bytes) {
  Ids ids;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    ids.push_back(static_cast<std::uint8_t>(bytes[i]) | (static_cast<std::int32_t>(bytes[i + 1]) << 8));
  }
  return ids;
}

void check_text(const Subject& subject, std::string_view text) {
  const auto ids = subject.tokenizer->encode(text, {.add_special_tokens = false});
  if (ids.ok() != krait::is_valid_utf8(text)) std::abort();
  if (!ids.ok()) return;
  const std::string decoded = subject.tokenizer->decode(*ids, false);
  if (decoded != streamed(subject, *ids)) std::abort();
  if (subject.round_trip && decoded != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Subject& subject = subjects()[data[0] % subjects().size()];
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  check_text(subject, bytes);
  const Ids ids = ids_of(bytes);
  if (streamed(subject, ids) != subject.tokenizer->decode(ids, false)) std::abort();
  return 0;
}
