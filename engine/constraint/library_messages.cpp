#include "engine/constraint/library_messages.h"

#include <stdexcept>
#include <string_view>
#include <utility>

#include "kernels/result.h"

namespace krait {
namespace {

constinit thread_local LibraryMessages* current_messages = nullptr;
constexpr std::size_t kMostWarnings = 4;
constexpr int kWarningLevel = 2;  ///< XGRAMMAR_LOG_LEVEL_WARNING

}  // namespace

LibraryMessages::LibraryMessages() {
  if (current_messages != nullptr) KRAIT_BUG("a thread listens to the grammar library twice");
  current_messages = this;
}

LibraryMessages::~LibraryMessages() { current_messages = nullptr; }

void LibraryMessages::add(std::string warning) {
  if (warnings_.size() < kMostWarnings) warnings_.push_back(std::move(warning));
}

std::string plain_message(const std::string& message) {
  constexpr std::string_view kPrefix = "heck failed: (";
  constexpr std::string_view kEnd = ") is false: ";
  const std::size_t prefix = message.find(kPrefix);
  const std::size_t end = message.find(kEnd);
  if (prefix == std::string::npos || prefix > 10 || end == std::string::npos) return message;
  std::string plain = message.substr(end + kEnd.size());
  return plain.empty() ? message : plain;
}

}  // namespace krait

namespace xgrammar {

[[noreturn]] void LogFatalImpl(const std::string& /*file*/, int /*line*/, const std::string& message) {
  throw std::runtime_error(krait::plain_message(message));
}

/// Called from a destructor: nothing may leave it.
void LogMessageImpl(const std::string& /*file*/, int /*line*/, int level, const std::string& message) {
  if (krait::current_messages == nullptr || level < krait::kWarningLevel) return;
  try {
    krait::current_messages->add(message);
  } catch (const std::bad_alloc&) {
    // The thread's budget is spent, which ends the call anyhow.
  }
}

}  // namespace xgrammar
