#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/serving_model.h"
#include "server/cli/option_values.h"
#include "server/service/session_service.h"

namespace krait::server {

/// The options of `krait serve` that are not the model's.
struct ServerOptions {
  std::string host;
  std::uint16_t port = 0;
  std::uint16_t grpc_port = 0;               ///< 0: off
  std::string served_model_name;             ///< empty: as the model was given
  std::string api_key;                       ///< empty: none asked for
  int api_key_rate = 0;                      ///< requests a minute; 0: any number
  std::optional<SessionOptions> sessions{};  ///< nullopt: off
  std::chrono::milliseconds drain_timeout{0};
  std::size_t max_body_size = 0;
  bool vllm_metrics = false;
};

/// Throws StartupError where options contradict each other.
ServerOptions make_server_options(const OptionValues& values);
/// `model_path` is a folder already (see `hub.h`).
LoadOptions make_load_options(const OptionValues& values, const std::string& model_path);

}  // namespace krait::server
