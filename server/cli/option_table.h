#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace krait::server {

enum class OptionType { kText, kInteger, kNumber, kFlag, kChoice, kBytes, kCacheMemory, kDevice, kPairs };

/// Which commands take an option: bits.
enum OptionScope : std::uint8_t {
  kServeOnly = 1,  ///< `krait serve`
  kAnyModel = 2,   ///< every command that loads a model
};

/// One option. From this table come the command line's flags, the keys of the YAML file, the KRAIT_* variables and
/// docs/configuration.md; there is no other list.
struct OptionSpec {
  std::string_view name;  ///< "max-num-seqs": the flag without dashes, and the key of the file
  OptionType type;
  std::string_view default_text;  ///< empty: none
  std::string_view value_name;    ///< "N", "FILE": for help
  std::string_view help;          ///< one sentence
  OptionScope scope;
  double minimum = 0;  ///< of kInteger and kNumber
  double maximum = 0;
  std::vector<std::string_view> choices = {};  ///< of kChoice
};

std::span<const OptionSpec> option_table();
const OptionSpec* find_option(std::string_view name);
/// "max-num-seqs" → "KRAIT_MAX_NUM_SEQS".
std::string environment_name(std::string_view option);
/// "an integer from 1 to 65535", "one of auto, float32", …: the words of errors and of the documentation.
std::string describe_valid(const OptionSpec& spec);
/// docs/configuration.md.
std::string configuration_markdown();

}  // namespace krait::server
