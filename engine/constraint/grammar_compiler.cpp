#include "engine/constraint/grammar_compiler.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/constraint/constraint_cache.h"
#include "engine/constraint/deep_stack_thread.h"
#include "engine/constraint/text_checks.h"
#include "engine/constraint/xgrammar_constraint.h"

namespace krait {
namespace {

/// The library recurses over references between rules, of which a text of the largest size can chain some 20,000, in
/// frames of up to a few KiB.
constexpr std::size_t kStackBytes = std::size_t{512} << 20;

Error refusal(ErrorCode code, std::string message) {
  return {.code = code, .message = std::move(message), .field = {}};
}

}  // namespace

/// The compiler's threads and all they share. One mutex, never held while anything is compiled or called.
class GrammarCompiler::Work {
 public:
  Work(std::function<ConstraintVocabulary()> vocabulary, const ConstraintLimits& limits)
      : limits_(limits), make_vocabulary_(std::move(vocabulary)), cache_(limits.cache_bytes) {}

  ~Work() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_all();
    threads_.clear();  // joins
  }

  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  void compile(Constraint constraint, Done done) {
    if (Status status = check_constraint_text(constraint, limits_.text_bytes, limits_.nesting); !status.ok()) {
      return done(std::move(status).error());
    }
    std::optional<Compiled> known = find_or_enqueue(std::move(constraint), done);
    if (known) done(*std::move(known));
  }

 private:
  /// An outcome that is known at once, or nullopt when `done` was taken.
  std::optional<Compiled> find_or_enqueue(Constraint constraint, Done& done) {
    const std::lock_guard lock(mutex_);
    if (std::optional<Compiled> cached = cache_.find(constraint)) return cached;
    if (const auto pending = pending_.find(constraint); pending != pending_.end()) {
      pending->second.push_back(std::move(done));
      return std::nullopt;
    }
    if (queue_.size() >= limits_.max_waiting) {
      return refusal(ErrorCode::kResourceExhausted,
                     "too many constraints wait to be compiled (" + std::to_string(queue_.size()) + "); try again");
    }
    if (std::optional<Error> error = add_thread()) return *std::move(error);
    pending_[constraint].push_back(std::move(done));
    queue_.push_back(std::move(constraint));
    work_.notify_one();
    return std::nullopt;
  }

  /// Threads come as they are needed. The mutex is held.
  std::optional<Error> add_thread() {
    if (idle_ > queue_.size() || threads_.size() >= static_cast<std::size_t>(limits_.threads)) return std::nullopt;
    try {
      threads_.emplace_back(kStackBytes, [this] { run(); });
    } catch (const std::exception& error) {
      if (threads_.empty()) return refusal(ErrorCode::kResourceExhausted, error.what());
    }
    return std::nullopt;
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      ++idle_;
      work_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      --idle_;
      if (queue_.empty()) return;
      Constraint constraint = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      Compiled outcome = compile_now(constraint);
      lock.lock();
      if (outcome.ok() || outcome.error().code == ErrorCode::kInvalidArgument) cache_.put(constraint, outcome);
      const std::vector<Done> waiting = std::move(pending_.extract(constraint).mapped());
      lock.unlock();
      for (const Done& done : waiting) done(outcome);
      lock.lock();
    }
  }

  Compiled compile_now(const Constraint& constraint) {
    if (stop_) return refusal(ErrorCode::kCancelled, "the server is shutting down");
    std::call_once(tokens_made_, [this] { make_tokens(); });
    if (!tokens_->ok()) return tokens_->error();
    return compile_constraint(constraint, ***tokens_, limits_, stop_);
  }

  void make_tokens() {
    try {
      tokens_ = make_tokenizer_info(make_vocabulary_());
    } catch (const std::exception& error) {
      tokens_ = refusal(ErrorCode::kInternal, std::string("the model's vocabulary could not be read: ") + error.what());
    }
  }

  const ConstraintLimits limits_;
  const std::function<ConstraintVocabulary()> make_vocabulary_;
  std::once_flag tokens_made_;
  std::optional<Result<std::shared_ptr<const xgrammar::TokenizerInfo>>> tokens_;

  std::mutex mutex_;
  std::condition_variable work_;
  ConstraintCache cache_;
  std::deque<Constraint> queue_;
  std::unordered_map<Constraint, std::vector<Done>, ConstraintHash> pending_;  ///< queued or being compiled
  std::size_t idle_ = 0;
  std::atomic<bool> stop_ = false;
  std::list<DeepStackThread> threads_;
};

GrammarCompiler::GrammarCompiler(std::function<ConstraintVocabulary()> vocabulary, ConstraintLimits limits)
    : work_(std::make_unique<Work>(std::move(vocabulary), limits)) {}

GrammarCompiler::~GrammarCompiler() = default;

void GrammarCompiler::compile(Constraint constraint, Done done) {
  work_->compile(std::move(constraint), std::move(done));
}

GrammarCompiler::Compiled GrammarCompiler::compile_and_wait(Constraint constraint) {
  auto promise = std::make_shared<std::promise<Compiled>>();
  std::future<Compiled> future = promise->get_future();
  compile(std::move(constraint), [promise](Compiled outcome) { promise->set_value(std::move(outcome)); });
  return future.get();
}

}  // namespace krait
