#include "server/chat/output/output_parser.h"

#include <array>
#include <random>
#include <utility>

#include "server/chat/output/harmony_stage.h"

namespace krait::server {
namespace {

std::string random_id() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  constexpr const char* kHex = "0123456789abcdef";
  std::string id;
  for (int word = 0; word < 2; ++word) {
    auto bits = random();
    for (int i = 0; i < 16; ++i, bits >>= 4U) id += kHex[bits & 15U];
  }
  return id;
}

}  // namespace

/// The stages in a row, and what comes out of them.
class OutputParser::Builder {
 public:
  explicit Builder(const OutputParserOptions& options) : message_(options), rest_(*this) {
    const OutputFormats& formats = options.formats;
    const std::vector<ToolDefinition> no_tools;
    const bool reasons = options.parse_reasoning && formats.reasoning != nullptr;
    const bool calls = options.parse_tool_calls && formats.tool_calls != nullptr;
    // One format may be both: its messages then say what they are, and only one stage can read them.
    const bool harmony = (formats.reasoning != nullptr && formats.reasoning->is_harmony()) ||
                         (formats.tool_calls != nullptr && formats.tool_calls->is_harmony());
    if (harmony) {
      tool_calls_ = std::make_unique<HarmonyStage>(reasons && formats.reasoning->is_harmony(),
                                                   calls && formats.tool_calls->is_harmony());
      return;
    }
    if (reasons) reasoning_ = formats.reasoning->make_parser(options.prompt);
    if (calls) tool_calls_ = formats.tool_calls->make_parser(options.tools == nullptr ? no_tools : *options.tools);
  }

  MessageDelta push(std::string_view text) {
    if (reasoning_ != nullptr) {
      reasoning_->push(text, rest_);
    } else {
      push_rest(text);
    }
    return std::exchange(message_.delta, {});
  }

  MessageDelta finish() {
    if (reasoning_ != nullptr) reasoning_->finish(rest_);
    if (tool_calls_ != nullptr) tool_calls_->finish(message_);
    reasoning_.reset();
    tool_calls_.reset();
    return std::exchange(message_.delta, {});
  }

  [[nodiscard]] bool has_tool_calls() const { return message_.calls > 0; }

 private:
  /// The end of the row: what the client gets.
  struct Message final : OutputSink {
    explicit Message(const OutputParserOptions& options)
        : id_prefix(options.id_prefix), parallel(options.parallel_tool_calls) {}
    void content(std::string_view text) override { delta.content += text; }
    void reasoning(std::string_view text) override { delta.reasoning += text; }
    void begin_call(std::string_view name, std::string_view id) override {
      dropped = calls > 0 && !parallel;
      if (dropped) return;
      ToolCallDelta call;
      call.index = calls++;
      call.id = id.empty() ? id_prefix + random_id() : std::string(id);
      call.name = name;
      delta.tool_calls.push_back(std::move(call));
    }
    void arguments(std::string_view json) override {
      if (dropped) return;
      if (delta.tool_calls.empty() || delta.tool_calls.back().index != calls - 1) {
        delta.tool_calls.push_back(ToolCallDelta{calls - 1, {}, {}, {}});
      }
      delta.tool_calls.back().arguments += json;
    }

    std::string id_prefix;
    bool parallel;
    bool dropped = false;
    int calls = 0;
    MessageDelta delta;
  };

  /// Between reasoning and calls.
  struct Rest final : OutputSink {
    explicit Rest(Builder& owner) : builder(owner) {}
    void content(std::string_view text) override { builder.push_rest(text); }
    void reasoning(std::string_view text) override { builder.message_.reasoning(text); }
    void begin_call(std::string_view /*name*/, std::string_view /*id*/) override {}
    void arguments(std::string_view /*json*/) override {}
    Builder& builder;
  };

  void push_rest(std::string_view text) {
    if (tool_calls_ != nullptr) {
      tool_calls_->push(text, message_);
    } else {
      message_.content(text);
    }
  }

  std::unique_ptr<OutputStage> reasoning_;
  std::unique_ptr<OutputStage> tool_calls_;
  Message message_;
  Rest rest_;
};

OutputParser::OutputParser(const OutputParserOptions& options) : builder_(std::make_unique<Builder>(options)) {}
OutputParser::~OutputParser() = default;
OutputParser::OutputParser(OutputParser&&) noexcept = default;
OutputParser& OutputParser::operator=(OutputParser&&) noexcept = default;

MessageDelta OutputParser::push(std::string_view text) { return builder_->push(text); }
MessageDelta OutputParser::finish() { return builder_->finish(); }
bool OutputParser::has_tool_calls() const { return builder_->has_tool_calls(); }

}  // namespace krait::server
