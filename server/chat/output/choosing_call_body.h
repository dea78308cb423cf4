#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "server/chat/output/call_body.h"

namespace krait::server {

/// A body in one of several layouts, chosen by how it begins.
class ChoosingCallBody final : public CallBody {
 public:
  /// Gets the bytes so far; null asks for another.
  using Choose = std::function<std::unique_ptr<CallBody>(const std::string& seen)>;
  explicit ChoosingCallBody(Choose choose) : choose_(std::move(choose)) {}

  Step feed(char byte, CallWriter& out) override {
    if (chosen_ != nullptr) return chosen_->feed(byte, out);
    seen_ += byte;
    chosen_ = choose_(seen_);
    if (chosen_ == nullptr) return Step::kMore;
    Step step = Step::kMore;
    for (std::size_t i = 0; i < seen_.size() && step == Step::kMore; ++i) step = chosen_->feed(seen_[i], out);
    return step;
  }
  void finish(CallWriter& out) override {
    if (chosen_ != nullptr) chosen_->finish(out);
  }
  [[nodiscard]] bool begun() const override { return chosen_ != nullptr && chosen_->begun(); }

 private:
  Choose choose_;
  std::string seen_;
  std::unique_ptr<CallBody> chosen_;
};

}  // namespace krait::server
