#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/result.h"
#include "server/service/json_text.h"

namespace krait::server {

/// Reads fields of a JSON object one by one, with their types. Keeps the first error instead of returning it, so that a
/// parser reads like a list of fields; null counts as absent everywhere, as in OpenAI's API. Remembers which fields
/// were asked for.
class FieldReader {
 public:
  /// `prefix` goes before names in messages ("stream_options.").
  explicit FieldReader(const Json& object, std::string prefix = {});

  /// nullptr when absent or null.
  const Json* find(const std::string& name);
  std::optional<double> number(const std::string& name);
  std::optional<std::int64_t> integer(const std::string& name);
  /// Any 64-bit integer; a negative one is taken by its bits.
  std::optional<std::uint64_t> seed(const std::string& name);
  std::optional<std::string> text(const std::string& name);
  bool flag(const std::string& name, bool default_value);
  std::vector<std::string> texts(const std::string& name);  ///< a string, or a list of strings
  std::vector<std::int64_t> integers(const std::string& name);
  /// An object, or nullptr.
  const Json* object(const std::string& name);

  void fail(const std::string& name, const std::string& expected, const Json& found);
  void fail(Error error);
  /// The first error, or success.
  [[nodiscard]] Status status() const;
  /// Fields of the object that nobody asked for.
  [[nodiscard]] std::vector<std::string> unknown() const;

 private:
  const Json& object_;
  std::string prefix_;
  std::set<std::string> known_;
  std::optional<Error> error_;
};

/// A 64-bit integer: 3, and also 3.0, which some clients write.
std::optional<std::int64_t> as_integer(const Json& value);

}  // namespace krait::server
