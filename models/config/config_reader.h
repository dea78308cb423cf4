#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace krait {

/// Reads one `config.json` (or a nested object of it) with types and ranges. Every getter throws StartupError with the
/// file, the key, what was found and what is valid. `null` counts as absent. Infinity may be written `Infinity` or
/// `{"__float__": "Infinity"}`.
class ConfigReader {
 public:
  static ConfigReader from_file(const std::string& path);
  static ConfigReader from_text(const std::string& text, const std::string& name);

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool has(std::string_view key) const;
  /// Written as null: "none", where a family's default for an absent key is something.
  [[nodiscard]] bool is_null(std::string_view key) const;

  /// What `integer` accepts at most unless told otherwise: every value then fits an `int`.
  static constexpr std::int64_t kMaximumInteger = std::numeric_limits<std::int32_t>::max();
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t minimum = 1,
                                     std::int64_t maximum = kMaximumInteger) const;
  [[nodiscard]] std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t minimum = 0,
                                        std::int64_t maximum = kMaximumInteger) const;
  /// Infinite values pass; a NaN is refused, since no setting of a model means one.
  [[nodiscard]] double number(std::string_view key) const;
  [[nodiscard]] double number_or(std::string_view key, double fallback) const;
  [[nodiscard]] bool boolean_or(std::string_view key, bool fallback) const;
  [[nodiscard]] std::string string(std::string_view key) const;
  [[nodiscard]] std::string string_or(std::string_view key, std::string_view fallback) const;
  [[nodiscard]] bool is_string(std::string_view key) const;
  [[nodiscard]] bool is_object(std::string_view key) const;
  [[nodiscard]] std::vector<std::string> strings(std::string_view key) const;
  [[nodiscard]] std::vector<double> numbers(std::string_view key) const;
  /// A list of integers from `minimum` to `maximum`.
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::int64_t minimum = 0,
                                                   std::int64_t maximum = kMaximumInteger) const;
  /// An integer, a list of integers, or absent (empty): `eos_token_id`.
  [[nodiscard]] std::vector<std::int32_t> token_ids(std::string_view key) const;
  /// A nested object; nullopt when absent.
  [[nodiscard]] std::optional<ConfigReader> object(std::string_view key) const;
  /// The names of all keys.
  [[nodiscard]] std::vector<std::string> keys() const;

  /// Fails by name when `key` is present with another value than `only`: an option that this version does not
  /// implement.
  void require_value(std::string_view key, std::string_view only) const;
  void require_false(std::string_view key) const;

  /// Throws StartupError "<file>: `key` …message".
  [[noreturn]] void fail(std::string_view key, const std::string& message) const;

 private:
  struct Json;
  ConfigReader(std::string file, std::string prefix, std::shared_ptr<const Json> json);
  std::string file_;
  std::string prefix_;  ///< "text_config." inside a nested object
  std::shared_ptr<const Json> json_;
};

}  // namespace krait
