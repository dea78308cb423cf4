#pragma once

#include <functional>
#include <string>

#include "kernels/cpu/cpu_platform.h"

namespace krait::test {

/// The CPU platform under another name and with a hook of the test's.
class HookedPlatform : public CpuPlatform {
 public:
  using Hook = std::function<MambaBackendOpinion(std::string_view, std::optional<std::string_view>)>;
  explicit HookedPlatform(Hook hook = {}, std::string name = "hooked")
      : CpuPlatform(CpuOptions{.threads = 1}), hook_(std::move(hook)), name_(std::move(name)) {}
  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] MambaBackendOpinion mamba_backend(std::string_view type,
                                                  std::optional<std::string_view> selected) const override {
    return hook_ ? hook_(type, selected) : MambaBackendOpinion{};
  }

 private:
  Hook hook_;
  std::string name_;
};

}  // namespace krait::test
