#include "engine/constraint/deep_stack_thread.h"

#include <system_error>
#include <utility>

namespace krait {
namespace {

void* run(void* body) {
  (*static_cast<std::function<void()>*>(body))();
  return nullptr;
}

}  // namespace

DeepStackThread::DeepStackThread(std::size_t stack_bytes, std::function<void()> body) : body_(std::move(body)) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  int code = pthread_attr_setstacksize(&attributes, stack_bytes);
  if (code == 0) code = pthread_create(&thread_, &attributes, run, &body_);
  pthread_attr_destroy(&attributes);
  if (code != 0) throw std::system_error(code, std::generic_category(), "a thread with a deep stack");
}

DeepStackThread::~DeepStackThread() { pthread_join(thread_, nullptr); }

}  // namespace krait
