#include <algorithm>
#include <catch2/catch.hpp>

#include "fake_platform.h"
#include "models/backends/mamba2/mamba2_recurrent_backend.h"
#include "models/backends/mamba_registry.h"

using namespace krait;
using krait::test::HookedPlatform;
using Kind = MambaBackendOpinion::Kind;

namespace {

/// A backend that differs from the built-in one by its name only.
class NamedBackend final : public Mamba2RecurrentBackend {
 public:
  explicit NamedBackend(std::string name) : name_(std::move(name)) {}
  [[nodiscard]] std::string_view name() const override { return name_; }

 private:
  std::string name_;
};

MambaBackendEntry entry(const std::string& name, std::vector<std::string> types = {"mamba2"}) {
  return {.name = name, .types = std::move(types), .make = [name] { return std::make_unique<NamedBackend>(name); }};
}

std::string selected(MambaRegistry& registry, const Platform& platform, std::optional<std::string_view> choice = {},
                     std::string_view type = "mamba2") {
  const auto result = registry.select(*registry.type(type), platform, choice);
  return result.ok() ? std::string(result.value()->name()) : "error: " + result.error().message;
}

}  // namespace

TEST_CASE("every mamba type is known from the start, and an unknown one is named with the valid ones") {
  const MambaRegistry registry;
  CHECK(registry.type_names() == std::vector<std::string>{"mamba1", "mamba2", "short_conv", "linear_attention",
                                                          "gdn_attention", "kda_attention", "rg_lru"});
  const std::vector<std::string> served = registry.served_type_names();
  CHECK(std::count(served.begin(), served.end(), "mamba1") == 1);
  CHECK(std::count(served.begin(), served.end(), "mamba2") == 1);
  const auto unknown = registry.type("x");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().message ==
        "Invalid mamba type: 'x'. Valid types: mamba1, mamba2, short_conv, linear_attention, gdn_attention, "
        "kda_attention, rg_lru");
}

TEST_CASE("without hook and choice the default map decides") {
  MambaRegistry registry;
  const HookedPlatform platform;
  CHECK(selected(registry, platform) == "mamba2");
}

TEST_CASE("the user's choice wins over the default, the platform's hook over the default too") {
  MambaRegistry registry;
  REQUIRE(registry.register_backend(entry("other")).ok());
  CHECK(selected(registry, HookedPlatform(), "other") == "other");
  const HookedPlatform naming([](std::string_view, std::optional<std::string_view>) {
    return MambaBackendOpinion{.kind = Kind::kBackend, .backend = "other", .reason = {}};
  });
  CHECK(selected(registry, naming) == "other");
}

TEST_CASE("the hook sees the choice; going against it fails and names both") {
  MambaRegistry registry;
  REQUIRE(registry.register_backend(entry("other")).ok());
  std::optional<std::string> seen;
  const HookedPlatform platform([&](std::string_view, std::optional<std::string_view> choice) {
    if (choice) seen = std::string(*choice);
    return MambaBackendOpinion{.kind = Kind::kBackend, .backend = "other", .reason = {}};
  });
  CHECK(selected(registry, platform, "mamba2") ==
        "error: Platform 'hooked' serves mamba type 'mamba2' with backend 'other', but 'mamba2' was selected for it");
  CHECK(seen == "mamba2");
  CHECK(selected(registry, platform, "other") == "other");
}

TEST_CASE("a platform refuses a type with its reason") {
  MambaRegistry registry;
  const HookedPlatform platform([](std::string_view, std::optional<std::string_view>) {
    return MambaBackendOpinion{.kind = Kind::kRefuse, .backend = {}, .reason = "it has no scan"};
  });
  CHECK(selected(registry, platform) ==
        "error: Mamba type 'mamba2' is not supported on platform 'hooked': it has no scan");
}

TEST_CASE("errors of a choice: unknown backend, one of another type, one that is not built, one for another platform") {
  MambaRegistry registry;
  const HookedPlatform platform;
  CHECK(selected(registry, platform, "nope") ==
        "error: Unknown mamba backend: 'nope'. Valid backends for 'mamba2' are: mamba2");
  CHECK(selected(registry, platform, "mamba1") ==
        "error: Mamba backend 'mamba1' does not serve type 'mamba2'. Valid backends for 'mamba2' are: mamba2");
  REQUIRE(registry.register_type("planned", "planned").ok());
  REQUIRE(registry.register_backend({.name = "planned", .types = {"planned"}, .make = nullptr}).ok());
  CHECK(selected(registry, platform, std::nullopt, "planned") ==
        "error: Mamba type 'planned' is known, but its backend 'planned' is not built in this version");
  const std::vector<std::string> served = registry.served_type_names();
  CHECK(std::count(served.begin(), served.end(), "planned") == 0);
  class ElsewhereBackend : public Mamba2RecurrentBackend {
   public:
    [[nodiscard]] const BackendCapabilities& capabilities() const override {
      static const BackendCapabilities capabilities{.platforms = {"cuda"}, .state_dtypes = {}};
      return capabilities;
    }
  };
  REQUIRE(
      registry
          .register_backend(
              {.name = "elsewhere", .types = {"mamba2"}, .make = [] { return std::make_unique<ElsewhereBackend>(); }})
          .ok());
  CHECK(selected(registry, platform, "elsewhere") ==
        "error: Mamba backend 'elsewhere' does not run on platform 'hooked'. It runs on: cuda");
}

TEST_CASE("selections are cached by type, platform, opinion and choice") {
  MambaRegistry registry;
  REQUIRE(registry.register_backend(entry("other")).ok());
  const HookedPlatform one({}, "one");
  const HookedPlatform two({}, "two");
  CHECK(selected(registry, one) == "mamba2");
  CHECK(registry.cache_hits() == 0);
  CHECK(selected(registry, one) == "mamba2");
  CHECK(registry.cache_hits() == 1);
  CHECK(selected(registry, two) == "mamba2");
  CHECK(selected(registry, one, "other") == "other");
  CHECK(selected(registry, one, "mamba2") == "mamba2");
  CHECK(registry.cache_hits() == 1);
  CHECK(selected(registry, one, "other") == "other");
  CHECK(registry.cache_hits() == 2);
}

TEST_CASE("a hook that changes its mind is not answered from the cache") {
  MambaRegistry registry;
  REQUIRE(registry.register_backend(entry("other")).ok());
  bool opinionated = false;
  const HookedPlatform platform([&](std::string_view, std::optional<std::string_view>) {
    return opinionated ? MambaBackendOpinion{.kind = Kind::kBackend, .backend = "other", .reason = {}}
                       : MambaBackendOpinion{};
  });
  CHECK(selected(registry, platform) == "mamba2");
  opinionated = true;
  CHECK(selected(registry, platform) == "other");
}

TEST_CASE("a registered override replaces the default, after a cached selection too, and can be taken back") {
  MambaRegistry registry;
  const HookedPlatform platform;
  CHECK(selected(registry, platform) == "mamba2");
  REQUIRE(registry.register_backend(entry("fake"), "mamba2").ok());
  CHECK(selected(registry, platform) == "fake");
  CHECK(selected(registry, platform, "mamba2") == "mamba2");
  registry.unregister_backend("fake");
  CHECK(selected(registry, platform) == "mamba2");
}

TEST_CASE("registering twice, or for an unknown type, is an error") {
  MambaRegistry registry;
  CHECK(registry.register_type("mamba2", "x").error().message == "Mamba type 'mamba2' already exists");
  CHECK(registry.register_backend(entry("mamba2")).error().message == "Mamba backend 'mamba2' already exists");
  CHECK(registry.register_backend(entry("fake"), "nope").error().message.starts_with("Invalid mamba type: 'nope'."));
}

TEST_CASE("a new type needs a registration and nothing else") {
  MambaRegistry registry;
  REQUIRE(registry.register_type("a_new_type", "a_new_type").ok());
  REQUIRE(registry.register_backend(entry("a_new_type", {"a_new_type"})).ok());
  CHECK(selected(registry, HookedPlatform(), std::nullopt, "a_new_type") == "a_new_type");
}
