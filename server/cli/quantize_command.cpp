#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "engine/checkpoint_quantizer.h"
#include "kernels/result.h"
#include "server/cli/commands.h"
#include "server/cli/hub.h"
#include "server/cli/sizes.h"

namespace krait::server {
namespace {

[[noreturn]] void refuse(const char* field, const std::string& message) {
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = message, .field = field});
}

/// "lm_head=bf16".
KeepRule parse_rule(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  const std::string type = equals == std::string::npos ? "" : text.substr(equals + 1);
  KeepRule rule{.module = text.substr(0, equals)};
  if (type == "bf16" || type == "bfloat16") {
    rule.dtype = DType::kBFloat16;
  } else if (type == "f16" || type == "float16") {
    rule.dtype = DType::kFloat16;
  } else if (type == "f32" || type == "float32") {
    rule.dtype = DType::kFloat32;
  } else {
    refuse("keep", "--keep must be MODULE=bf16, =f16 or =f32, found '" + text + "'");
  }
  if (rule.module.empty()) refuse("keep", "--keep names no module in '" + text + "'");
  return rule;
}

}  // namespace

int run_quantize(const QuantizeFlags& flags) {
  QuantizeOptions options;
  std::error_code ignored;
  const auto lookup = [](const char* name) -> const char* { return std::getenv(name); };
  const bool folder = std::filesystem::is_directory(flags.source, ignored);
  options.source = folder ? flags.source : value_or_throw(resolve_model(flags.source, lookup));
  options.target = flags.target;
  options.weights = flags.weights == "int4" ? Quantization::kInt4 : Quantization::kInt8;
  if (flags.group_size) {
    if (*flags.group_size < 32 || *flags.group_size > 1 << 20 || *flags.group_size % 32 != 0) {
      refuse("group-size", "--group-size is " + std::to_string(*flags.group_size) + ". Valid: multiples of 32");
    }
    options.group_size = static_cast<int>(*flags.group_size);
  }
  for (const std::string& text : flags.keep) options.keep.push_back(parse_rule(text));
  options.threads = static_cast<int>(flags.threads);
  const QuantizeResult result = quantize_checkpoint(options);
  std::printf("%s: %d matrices in %s, %d tensors as they were; %s, before %s\n", options.target.c_str(),
              result.quantized, flags.weights.c_str(), result.others, format_byte_size(result.bytes_after).c_str(),
              format_byte_size(result.bytes_before).c_str());
  return 0;
}

}  // namespace krait::server
