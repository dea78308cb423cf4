#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

#include "server/cli/hub.h"

namespace krait::server {
namespace {

namespace fs = std::filesystem;

void write_file(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

/// A folder of its own that goes away with the test, and an environment that points into it.
struct HubFixture {
  HubFixture() { fs::create_directories(root); }
  ~HubFixture() { fs::remove_all(root); }
  [[nodiscard]] EnvironmentLookup lookup() const {
    return [this](const char* name) -> const char* {
      const auto found = variables.find(name);
      return found == variables.end() ? nullptr : found->second.c_str();
    };
  }
  void add_model(const fs::path& cache) const {
    const fs::path repository = cache / "models--org--name";
    write_file(repository / "refs" / "main", "abc123\n");
    write_file(repository / "snapshots" / "abc123" / "config.json", "{}");
  }
  fs::path root = fs::temp_directory_path() / ("krait-hub-" + std::to_string(getpid()));
  std::map<std::string, std::string> variables;
};

TEST_CASE_METHOD(HubFixture, "A folder with a config.json is itself") {
  write_file(root / "model" / "config.json", "{}");
  CHECK(*resolve_model((root / "model").string(), lookup()) == (root / "model").string());
}

TEST_CASE_METHOD(HubFixture, "A folder without a config.json is refused by name") {
  const auto result = resolve_model(root.string(), lookup());
  REQUIRE_FALSE(result.ok());
  CHECK_THAT(result.error().message, Catch::Contains("config.json"));
}

TEST_CASE_METHOD(HubFixture, "A Hub name is found in the cache that the environment names") {
  const std::string snapshot = "models--org--name/snapshots/abc123";
  SECTION("HF_HUB_CACHE") {
    variables["HF_HUB_CACHE"] = (root / "a").string();
    variables["HF_HOME"] = (root / "elsewhere").string();
    add_model(root / "a");
    CHECK(*resolve_model("org/name", lookup()) == (root / "a" / snapshot).string());
  }
  SECTION("HF_HOME") {
    variables["HF_HOME"] = (root / "b").string();
    add_model(root / "b" / "hub");
    CHECK(*resolve_model("org/name", lookup()) == (root / "b" / "hub" / snapshot).string());
  }
  SECTION("HOME") {
    variables["HOME"] = (root / "c").string();
    add_model(root / "c" / ".cache" / "huggingface" / "hub");
    CHECK(*resolve_model("org/name", lookup()) == (root / "c" / ".cache/huggingface/hub" / snapshot).string());
  }
}

TEST_CASE_METHOD(HubFixture, "A Hub name that is not in the cache gives the download command") {
  variables["HF_HUB_CACHE"] = root.string();
  const auto result = resolve_model("org/name", lookup());
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().code == ErrorCode::kNotFound);
  CHECK_THAT(result.error().message, Catch::Contains("hf download org/name"));
  CHECK_THAT(result.error().message, Catch::Contains(root.string()));
}

TEST_CASE_METHOD(HubFixture, "What is neither a folder nor a name is refused") {
  for (const char* name : {"nothing", "a/b/c", "../x", "/no/such", "org/", "or g/x"}) {
    INFO(name);
    CHECK_FALSE(resolve_model(name, lookup()).ok());
  }
}

}  // namespace
}  // namespace krait::server
