#include "server/cli/engine_bench.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace krait::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxTestNumber = 1000000;

/// Tokens that a sequence may generate beyond the measured ones: those of its first steps, while the others' prompts
/// are still computed in pieces of at least kLeastPiece tokens.
constexpr int kSlack = 256;
constexpr int kLeastPiece = 16;

/// One request, with when its tokens came: noted on the engine's thread, as soon as a step is over.
class TimedStream {
 public:
  TimedStream(Engine& engine, EngineRequest request) : engine_(engine), id_(request.id) {
    Result<std::shared_ptr<TokenStream>> stream = engine.submit(std::move(request));
    if (!stream.ok()) throw std::runtime_error(stream.error().message);
    (*stream)->set_listener([state = state_, raw = stream->get()] { state->take_all(*raw); });
  }
  /// Aborts what still runs, and waits for its end.
  ~TimedStream() {
    engine_.abort(id_, FinishReason::kAborted);
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->ended; });
  }
  TimedStream(const TimedStream&) = delete;
  TimedStream& operator=(const TimedStream&) = delete;

  /// When the token number `index` came; waits for it.
  Clock::time_point time_of(std::size_t index) {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->ended || state_->times.size() > index; });
    if (!state_->error.empty()) throw std::runtime_error(state_->error);
    if (state_->times.size() <= index) throw std::runtime_error("a sequence ended before it was measured");
    return state_->times[index];
  }
  /// Tokens that came in (begin, end]; throws when it ended before `end`.
  [[nodiscard]] std::int64_t tokens_between(Clock::time_point begin, Clock::time_point end) {
    const std::lock_guard lock(state_->mutex);
    if (state_->ended && state_->times.back() < end) {
      throw std::runtime_error("a sequence ended before the others were measured");
    }
    return std::ranges::count_if(state_->times, [&](Clock::time_point time) { return time > begin && time <= end; });
  }

 private:
  /// Shared with the listener, which may still run when the reader has gone.
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Clock::time_point> times;
    bool ended = false;
    std::string error;

    /// One caller at a time, so that no event overtakes another.
    void take_all(TokenStream& stream) {
      const std::lock_guard lock(mutex);
      const Clock::time_point now = Clock::now();
      while (const auto event = stream.try_pop()) {
        times.insert(times.end(), event->tokens.size(), now);
        ended = event->finish.has_value();
        if (event->error) error = event->error->message;
      }
      changed.notify_all();
    }
  };

  Engine& engine_;
  std::string id_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

std::string EngineTest::name() const {
  if (prompt > 0) return "pp" + std::to_string(prompt);
  return "tg" + std::to_string(generate) + (depth > 0 ? " @ d" + std::to_string(depth) : "");
}

std::vector<EngineTest> make_engine_tests(const std::vector<int>& prompts, const std::vector<int>& generates,
                                          const std::vector<int>& depths, const std::vector<int>& batches) {
  std::vector<EngineTest> tests;
  for (const int prompt : prompts) {
    for (const int batch : batches) {
      if (prompt > 0) tests.push_back({.prompt = prompt, .generate = 0, .depth = 0, .batch = batch});
    }
  }
  for (const int generate : generates) {
    for (const int depth : depths) {
      for (const int batch : batches) {
        if (generate > 0) tests.push_back({.prompt = 0, .generate = generate, .depth = depth, .batch = batch});
      }
    }
  }
  return tests;
}

Result<std::vector<int>> parse_test_list(const std::string& text, const std::string& flag, int minimum) {
  std::vector<int> numbers;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view part = std::string_view(text).substr(begin, end - begin);
    int number = 0;
    const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc{} || rest != part.data() + part.size() || number < minimum || number > kMaxTestNumber) {
      return Error{.code = ErrorCode::kInvalidArgument,
                   .message = flag + " is '" + text + "'. Valid: integers from " + std::to_string(minimum) + " to " +
                              std::to_string(kMaxTestNumber) + ", separated by commas",
                   .field = flag};
    }
    numbers.push_back(number);
    begin = end + 1;
  }
  return numbers;
}

Status check_engine_test(const EngineTest& test, const EngineConfig& config) {
  const auto refuse = [&](const std::string& why) {
    return Error{
        .code = ErrorCode::kInvalidArgument, .message = "test " + test.name() + ": " + why, .field = "max-num-seqs"};
  };
  if (test.batch > config.max_num_seqs) {
    return refuse("--batch is " + std::to_string(test.batch) + ", but --max-num-seqs allows " +
                  std::to_string(config.max_num_seqs) + " sequences at once");
  }
  const int tokens = test.prompt > 0 ? test.prompt + 1 : std::max(test.depth, 1) + test.generate + 1;
  if (tokens > config.max_model_len) {
    return refuse("it needs " + std::to_string(tokens) + " tokens a sequence, the model has " +
                  std::to_string(config.max_model_len));
  }
  return ok_status();
}

EngineRequest EngineBench::make_request(int prompt, int max_tokens) {
  std::mt19937_64 random(++requests_);
  std::uniform_int_distribution<std::int32_t> any(0, engine_.config().vocab_size - 1);
  EngineRequest request;
  request.id = "bench-" + std::to_string(requests_);
  request.prompt.resize(static_cast<std::size_t>(prompt));
  for (std::int32_t& token : request.prompt) token = any(random);
  request.sampling.temperature = 0.0F;
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = max_tokens;
  return request;
}

double EngineBench::run_prompts(const EngineTest& test) {
  std::vector<EngineRequest> requests;
  for (int i = 0; i < test.batch; ++i) requests.push_back(make_request(test.prompt, 1));
  std::vector<std::unique_ptr<TimedStream>> streams;
  const Clock::time_point begin = Clock::now();
  for (EngineRequest& request : requests) {
    streams.push_back(std::make_unique<TimedStream>(engine_, std::move(request)));
  }
  Clock::time_point end = begin;
  for (const auto& stream : streams) end = std::max(end, stream->time_of(0));
  return static_cast<double>(test.prompt) * test.batch / seconds(end - begin);
}

double EngineBench::run_generation(const EngineTest& test) {
  const int depth = std::max(test.depth, 1);
  const std::int64_t waiting = std::int64_t{test.batch} * depth / kLeastPiece;
  const auto most = static_cast<int>(
      std::min<std::int64_t>(test.generate + 1 + kSlack + waiting, engine_.config().max_model_len - depth));
  std::vector<std::unique_ptr<TimedStream>> streams;
  for (int i = 0; i < test.batch; ++i) {
    streams.push_back(std::make_unique<TimedStream>(engine_, make_request(depth, most)));
  }
  Clock::time_point begin{};
  TimedStream* last = nullptr;
  for (const auto& stream : streams) {
    const Clock::time_point first = stream->time_of(0);
    if (last != nullptr && first <= begin) continue;
    begin = first;
    last = stream.get();
  }
  const Clock::time_point end = last->time_of(static_cast<std::size_t>(test.generate));
  std::int64_t tokens = 0;
  for (const auto& stream : streams) tokens += stream->tokens_between(begin, end);
  return static_cast<double>(tokens) / seconds(end - begin);
}

double EngineBench::run(const EngineTest& test) { return test.prompt > 0 ? run_prompts(test) : run_generation(test); }

EngineTestResult EngineBench::measure(const EngineTest& test, int repetitions) {
  EngineTestResult result{.test = test, .tokens_per_second = {}};
  run(test);
  for (int i = 0; i < repetitions; ++i) result.tokens_per_second.push_back(run(test));
  return result;
}

std::size_t decode_step_bytes(const ModelSummary& summary, const EngineTest& test) {
  const auto batch = static_cast<std::size_t>(test.batch);
  const auto context = static_cast<std::size_t>(std::max(test.depth, 1) + test.generate / 2);
  return summary.weight_bytes - summary.lookup_bytes +
         batch * (2 * summary.state_bytes_per_request + summary.kv_bytes_per_token * context);
}

}  // namespace krait::server
