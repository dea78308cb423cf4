// SentencePiece's compiled character map: a double-array trie (Yata et al., "A compact static double-array keeping
// character codes", 2007, as laid out by the Darts-clone library) from UTF-8 spellings to places in a list of
// NUL-terminated replacements.
#include <utf8proc.h>

#include <cstring>
#include <optional>
#include <vector>

#include "models/tokenizer/normalizer.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

class CharacterMap {
 public:
  /// `blob`: the trie's size in bytes as a little-endian u32, the trie's units, the replacements.
  CharacterMap(std::string_view blob, const LoadContext& context) {
    const auto size = blob.size() >= 4 ? static_cast<std::size_t>(unit_at(blob, 0)) : 0;
    if (blob.size() < 4 || size % 4 != 0 || size > blob.size() - 4) {
      context.corrupt("normalizer.precompiled_charsmap: the trie does not fit into the map");
    }
    units_.resize(size / 4);
    for (std::size_t i = 0; i < units_.size(); ++i) units_[i] = unit_at(blob, 4 + 4 * i);
    replacements_ = blob.substr(4 + size);
    if (!is_valid_utf8(replacements_)) {
      context.corrupt("normalizer.precompiled_charsmap: the replacements are not valid UTF-8");
    }
    check_values(context);
  }

  /// What the shortest prefix of `text` that the map knows becomes. The reference replaces all of `text` by it: whole
  /// grapheme clusters are looked up first, and models are trained on texts that were treated so.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view text) const {
    if (units_.empty()) return std::nullopt;
    std::size_t node = offset_of(units_[0]);
    for (const char c : text) {
      const auto byte = static_cast<std::uint8_t>(c);
      if (byte == 0) return std::nullopt;
      node ^= byte;
      if (node >= units_.size() || label_of(units_[node]) != byte) return std::nullopt;
      const std::uint32_t unit = units_[node];
      node ^= offset_of(unit);
      if (has_value(unit)) return node < units_.size() ? replacement_at(value_of(units_[node])) : std::nullopt;
    }
    return std::nullopt;
  }

 private:
  static std::uint32_t unit_at(std::string_view blob, std::size_t at) {
    std::uint32_t unit = 0;
    for (std::size_t i = 4; i-- > 0;) unit = (unit << 8) | static_cast<std::uint8_t>(blob[at + i]);
    return unit;
  }
  static bool has_value(std::uint32_t unit) { return ((unit >> 8) & 1) == 1; }
  static std::size_t value_of(std::uint32_t unit) { return unit & ((1U << 31) - 1); }
  static std::uint32_t label_of(std::uint32_t unit) { return unit & ((1U << 31) | 0xFFU); }
  static std::size_t offset_of(std::uint32_t unit) {
    return static_cast<std::size_t>(unit >> 10) << ((unit & (1U << 9)) >> 6);
  }

  /// A replacement must start at a character; then each look-up gives valid UTF-8.
  void check_values(const LoadContext& context) const {
    for (std::size_t i = 0; i < units_.size(); ++i) {
      const std::size_t leaf = i ^ offset_of(units_[i]);
      if (i == 0 || !has_value(units_[i]) || leaf >= units_.size()) continue;
      const std::size_t value = value_of(units_[leaf]);
      const bool inside = value < replacements_.size();
      if (inside && (static_cast<std::uint8_t>(replacements_[value]) & 0xC0U) == 0x80U) {
        context.corrupt("normalizer.precompiled_charsmap: a replacement starts inside a character");
      }
    }
  }

  [[nodiscard]] std::optional<std::string_view> replacement_at(std::size_t begin) const {
    if (begin > replacements_.size()) return std::nullopt;
    const std::string_view rest = std::string_view(replacements_).substr(begin);
    return rest.substr(0, rest.find('\0'));
  }

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

class PrecompiledNormalizer : public Normalizer {
 public:
  explicit PrecompiledNormalizer(CharacterMap map) : map_(std::move(map)) {}

  Status normalize(NormalizedText& text) const override {
    NormalizedText result;
    result.text.reserve(text.text.size());
    for (std::size_t pos = 0; pos < text.text.size();) {
      const std::size_t end = cluster_end(text.text, pos);
      append_cluster(std::string_view(text.text).substr(pos, end - pos), text.head > pos, result);
      pos = end;
    }
    text = std::move(result);
    return ok_status();
  }

 private:
  /// Longer clusters are not looked up whole.
  static constexpr std::size_t kMaxWholeBytes = 5;

  static std::size_t cluster_end(std::string_view text, std::size_t pos) {
    utf8proc_int32_t state = 0;
    auto before = static_cast<utf8proc_int32_t>(next_code_point(text, pos));
    while (pos < text.size()) {
      // Between two ASCII characters there is a boundary, but for the pair of carriage return and line feed.
      std::size_t next = pos;
      const auto after = static_cast<utf8proc_int32_t>(next_code_point(text, next));
      if (before < 0x80 && after < 0x80 && !(before == '\r' && after == '\n')) break;
      if (utf8proc_grapheme_break_stateful(before, after, &state)) break;
      before = after;
      pos = next;
    }
    return pos;
  }

  void append_cluster(std::string_view cluster, bool in_head, NormalizedText& result) const {
    const std::size_t begin = result.text.size();
    std::size_t first = 0;
    next_code_point(cluster, first);
    const auto whole = cluster.size() <= kMaxWholeBytes ? map_.find(cluster) : std::nullopt;
    if (whole) {
      result.text += *whole;
      if (in_head) result.head = begin + (first == cluster.size() ? whole->size() : first_length(*whole));
      return;
    }
    for (std::size_t pos = 0; pos < cluster.size();) {
      const std::size_t from = pos;
      next_code_point(cluster, pos);
      const std::string_view character = cluster.substr(from, pos - from);
      result.text += map_.find(character).value_or(character);
      if (in_head && from == 0) result.head = result.text.size();
    }
  }

  static std::size_t first_length(std::string_view text) {
    std::size_t pos = 0;
    if (!text.empty()) next_code_point(text, pos);
    return pos;
  }

  CharacterMap map_;
};

std::string decode_base64(const std::string& text, const LoadContext& context) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  int count = 0;
  const std::size_t end = std::min(text.find('='), text.size());
  for (std::size_t i = 0; i < end; ++i) {
    const char c = text[i];
    int value = -1;
    if (c >= 'A' && c <= 'Z') value = c - 'A';
    if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
    if (c >= '0' && c <= '9') value = c - '0' + 52;
    if (c == '+') value = 62;
    if (c == '/') value = 63;
    if (value < 0) context.corrupt("normalizer.precompiled_charsmap is not base64");
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>(static_cast<std::uint8_t>(bits >> count)));
    }
  }
  return bytes;
}

}  // namespace

std::unique_ptr<Normalizer> make_precompiled_normalizer(const nlohmann::json& description, const LoadContext& context) {
  const nlohmann::json& map = context.required(description, "normalizer", "precompiled_charsmap");
  if (map.is_null()) context.corrupt("normalizer.precompiled_charsmap is null");
  const std::string text = context.string_field(description, "normalizer", "precompiled_charsmap");
  return std::make_unique<PrecompiledNormalizer>(CharacterMap(decode_base64(text, context), context));
}

}  // namespace krait
