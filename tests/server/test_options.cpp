#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "server/cli/option_values.h"
#include "server/cli/server_options.h"

namespace krait::server {
namespace {

/// A configuration file that goes away with the test.
struct ConfigFile {
  explicit ConfigFile(const std::string& text) { std::ofstream(path) << text; }
  ~ConfigFile() { std::filesystem::remove(path); }
  std::string path =
      (std::filesystem::temp_directory_path() / ("krait-config-" + std::to_string(getpid()) + ".yaml")).string();
};

Status read_text(const std::string& text, OptionValues& values) {
  const ConfigFile file(text);
  return read_config_file(file.path, values);
}

std::string config_error(const std::string& text) {
  OptionValues values;
  const Status status = read_text(text, values);
  return status.ok() ? "" : status.error().message;
}

Status read_variables(std::map<std::string, std::string> variables, OptionValues& values) {
  return read_environment(
      [&](const char* name) -> const char* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      values);
}

TEST_CASE("The command line wins over the environment, that over the file, that over the default") {
  OptionValues values;
  CHECK(values.integer("port") == 8000);
  REQUIRE(read_text("port: 1\nmax-num-seqs: 1\nmax-queue: 1\n", values).ok());
  REQUIRE(read_variables({{"KRAIT_PORT", "2"}, {"KRAIT_MAX_NUM_SEQS", "2"}}, values).ok());
  REQUIRE(values.set(*find_option("port"), {"3"}, "--port").ok());
  CHECK(values.integer("port") == 3);
  CHECK(values.integer("max-num-seqs") == 2);
  CHECK(values.integer("max-queue") == 1);
  CHECK(values.integer("block-size") == 16);
}

TEST_CASE("A rate needs a key whose rate it is") {
  OptionValues values;
  REQUIRE(values.set(*find_option("api-key-rate"), {"60"}, "--api-key-rate").ok());
  CHECK_THROWS_WITH(make_server_options(values), Catch::Contains("--api-key-rate") && Catch::Contains("--api-key"));
  REQUIRE(values.set(*find_option("api-key"), {"secret"}, "--api-key").ok());
  CHECK(make_server_options(values).api_key_rate == 60);
}

TEST_CASE("An unknown key names the file, the line, the key and the valid keys") {
  const std::string message = config_error("port: 1\nmax-seqs: 3\n");
  CHECK_THAT(message, Catch::Contains(".yaml:2") && Catch::Contains("'max-seqs'") && Catch::Contains("max-num-seqs"));
}

TEST_CASE("A wrong type or value names the file, the key, what was found and what is valid") {
  CHECK_THAT(config_error("port: abc"),
             Catch::Contains(".yaml:1: port must be an integer from 0 to 65535, found 'abc'"));
  CHECK_THAT(config_error("port: 70000"), Catch::Contains("found '70000'"));
  CHECK_THAT(config_error("port: 1.5"), Catch::Contains("port must be an integer"));
  CHECK_THAT(config_error("port: [1]"), Catch::Contains("port must be an integer from 0 to 65535, found a list"));
  CHECK_THAT(config_error("host: {a: b}"), Catch::Contains("host must be text, found a map"));
  CHECK_THAT(config_error("port:"), Catch::Contains("found nothing"));
  CHECK_THAT(config_error("cache-memory: lots"), Catch::Contains("512MiB"));
  CHECK_THAT(config_error("device: gpu"), Catch::Contains("device must be auto, cpu, cuda or cuda:N, found 'gpu'"));
  CHECK_THAT(config_error("compute-dtype: int3"), Catch::Contains("one of auto, float32, bfloat16"));
  CHECK_THAT(config_error("mamba-attention-backend: [mamba2]"), Catch::Contains("TYPE=NAME, found 'mamba2'"));
  CHECK_THAT(config_error("enable-mamba-cache-stochastic-rounding: 3"), Catch::Contains("true or false"));
  CHECK_THAT(config_error("- a\n- b"), Catch::Contains("must be a map"));
  CHECK_THAT(config_error("a: [b"), Catch::Contains("not valid YAML"));
}

TEST_CASE("A file that cannot be read is an error that names it") {
  OptionValues values;
  CHECK_THAT(read_config_file("/no/such.yaml", values).error().message, Catch::Contains("/no/such.yaml"));
}

TEST_CASE("Environment errors name the variable") {
  OptionValues values;
  const Status status = read_variables({{"KRAIT_BLOCK_SIZE", "0"}}, values);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message == "KRAIT_BLOCK_SIZE: block-size must be an integer from 1 to 1024, found '0'");
}

TEST_CASE("Flags and backends in every spelling of the file") {
  OptionValues values;
  REQUIRE(
      read_text(
          "enable-mamba-cache-stochastic-rounding: yes\nmamba-attention-backend: {mamba2: fast, gdn_attention: x}\n",
          values)
          .ok());
  CHECK(values.flag("enable-mamba-cache-stochastic-rounding"));
  CHECK(make_load_options(values, "m").mamba.attention_backends ==
        std::map<std::string, std::string>{{"mamba2", "fast"}, {"gdn_attention", "x"}});
  REQUIRE(read_text("mamba-attention-backend: [mamba2=a]", values).ok());
  CHECK(values.list("mamba-attention-backend") == std::vector<std::string>{"mamba2=a"});
  REQUIRE(read_variables({{"KRAIT_MAMBA_ATTENTION_BACKEND", "mamba1=b,mamba2=c"}}, values).ok());
  CHECK(values.list("mamba-attention-backend") == std::vector<std::string>{"mamba1=b", "mamba2=c"});
}

TEST_CASE("Every default is valid, every name is unique and documented") {
  std::set<std::string_view> names;
  const std::string markdown = configuration_markdown();
  for (const OptionSpec& spec : option_table()) {
    INFO(spec.name);
    CHECK(names.insert(spec.name).second);
    CHECK_FALSE(spec.help.empty());
    OptionValues values;
    if (!spec.default_text.empty()) CHECK(values.set(spec, {std::string(spec.default_text)}, "default").ok());
    CHECK_THAT(markdown, Catch::Contains("| `" + std::string(spec.name) + "` |"));
    CHECK_THAT(markdown, Catch::Contains(environment_name(spec.name)));
  }
}

TEST_CASE("Defaults become the options of the server and of the loader") {
  const OptionValues values;
  const ServerOptions server = make_server_options(values);
  CHECK(server.host == "127.0.0.1");
  CHECK(server.grpc_port == 0);
  CHECK(server.drain_timeout == std::chrono::seconds(30));
  CHECK(server.max_body_size == std::size_t{32} << 20);
  const LoadOptions load = make_load_options(values, "folder");
  CHECK(load.model_path == "folder");
  CHECK(load.device.kind == DeviceChoice::Kind::kAuto);
  CHECK(load.max_num_seqs == 64);
  CHECK(load.max_queue == 1024);
  CHECK(load.cache_memory.share == 0.5);
  CHECK_FALSE(load.compute_dtype.has_value());
  CHECK_FALSE(load.kv_cache_dtype.has_value());
  CHECK_FALSE(load.max_model_len.has_value());
  CHECK(load.mamba.backend == "native");
}

TEST_CASE("The configurations of the repository are valid") {
  for (const auto& entry : std::filesystem::directory_iterator(KRAIT_SOURCE_DIR "/configs")) {
    INFO(entry.path());
    OptionValues values;
    const Status status = read_config_file(entry.path().string(), values);
    CHECK((status.ok() ? "" : status.error().message) == "");
  }
}

}  // namespace
}  // namespace krait::server
