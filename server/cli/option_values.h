#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/result.h"
#include "server/cli/option_table.h"

namespace krait::server {

/// Options as text, with where each came from. Every value in it is valid for its option's type.
class OptionValues {
 public:
  /// Later sources win over earlier ones, so add them in rising order: file, environment, command line. `source` is
  /// named in errors
  /// ("--port", "configs/demo.yaml", "KRAIT_PORT"). A list replaces the list of an earlier source.
  Status set(const OptionSpec& spec, std::vector<std::string> texts, const std::string& source);

  /// The value, else the default; nullopt when there is neither.
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] std::optional<long long> integer(std::string_view name) const;
  [[nodiscard]] std::optional<double> number(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const;
  /// False when only the default speaks.
  [[nodiscard]] bool is_set(std::string_view name) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

/// Reads a YAML file into `values`: a map from option names to values. Errors name the file, the line, the key, what
/// was found and what is valid; an unknown key is one.
Status read_config_file(const std::string& path, OptionValues& values);
/// Reads the KRAIT_* variables. `lookup` is std::getenv but for tests.
Status read_environment(const std::function<const char*(const char*)>& lookup, OptionValues& values);

}  // namespace krait::server
