#include "server/chat/output/reasoning_format.h"

#include <functional>
#include <utility>

#include "server/chat/output/call_body.h"
#include "server/chat/output/format_table.h"
#include "server/chat/output/harmony_stage.h"
#include "server/chat/output/structural_tag.h"
#include "server/chat/output/think_stage.h"

namespace krait::server {
namespace {

using structural_tag::Json;

class MarkedReasoning final : public ReasoningFormat {
 public:
  MarkedReasoning(std::string name, ThinkMarkers markers, std::function<bool(std::string_view)> matches)
      : name_(std::move(name)), markers_(std::move(markers)), matches_(std::move(matches)) {}

  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] bool matches(std::string_view source) const override { return matches_(source); }
  [[nodiscard]] std::vector<std::string> special_markers() const override {
    std::vector<std::string> all = markers_.open;
    all.insert(all.end(), markers_.close.begin(), markers_.close.end());
    all.insert(all.end(), markers_.dropped_after.begin(), markers_.dropped_after.end());
    return all;
  }
  [[nodiscard]] PromptThinking prompt_thinking(std::string_view prompt) const override {
    while (!prompt.empty() && is_blank(prompt.back())) prompt.remove_suffix(1);
    for (const std::string& marker : markers_.close) {
      if (prompt.ends_with(marker)) return PromptThinking::kClosed;
    }
    for (std::string_view marker : markers_.open) {
      while (is_blank(marker.back())) marker.remove_suffix(1);
      if (prompt.ends_with(marker)) return PromptThinking::kOpen;
    }
    return PromptThinking::kMayOpen;
  }
  [[nodiscard]] std::unique_ptr<OutputStage> make_parser(PromptThinking prompt) const override {
    return std::make_unique<ThinkStage>(markers_, prompt == PromptThinking::kOpen);
  }
  [[nodiscard]] Json constraint(PromptThinking prompt, Json answer) const override {
    if (prompt == PromptThinking::kClosed) return answer;
    const bool open = prompt == PromptThinking::kOpen;
    const Json thought = structural_tag::tag(open ? std::string() : markers_.open.front(), structural_tag::any_text(),
                                             markers_.close[0]);
    // The model writes a few newlines after its thoughts, as many as it was trained on.
    const Json gap = {{"type", "regex"}, {"pattern", "\\n{0,2}"}};
    const Json thoughts = structural_tag::sequence({thought, gap});
    return structural_tag::sequence({open ? thoughts : structural_tag::optional(thoughts), std::move(answer)});
  }

 private:
  std::string name_;
  ThinkMarkers markers_;
  std::function<bool(std::string_view)> matches_;
};

class HarmonyReasoning final : public ReasoningFormat {
 public:
  [[nodiscard]] std::string_view name() const override { return "openai_gptoss"; }
  [[nodiscard]] bool matches(std::string_view source) const override {
    return contains({"<|channel|>", "analysis", "<|message|>"})(source);
  }
  [[nodiscard]] std::vector<std::string> special_markers() const override {
    return {"<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"};
  }
  [[nodiscard]] bool is_harmony() const override { return true; }
  [[nodiscard]] PromptThinking prompt_thinking(std::string_view /*prompt*/) const override {
    return PromptThinking::kMayOpen;
  }
  [[nodiscard]] std::unique_ptr<OutputStage> make_parser(PromptThinking /*prompt*/) const override {
    return std::make_unique<HarmonyStage>(true, false);
  }
  [[nodiscard]] Json constraint(PromptThinking /*prompt*/, Json answer) const override {
    const Json analysis =
        structural_tag::tag("<|channel|>analysis<|message|>", structural_tag::any_text(), "<|end|><|start|>assistant");
    return structural_tag::sequence({structural_tag::optional(analysis), std::move(answer)});
  }
};

std::vector<std::unique_ptr<const ReasoningFormat>> make_formats() {
  std::vector<std::unique_ptr<const ReasoningFormat>> formats;
  const auto add = [&](const std::string& name, const ThinkMarkers& markers,
                       std::function<bool(std::string_view)> matches) {
    formats.push_back(std::make_unique<const MarkedReasoning>(name, markers, std::move(matches)));
  };
  const ThinkMarkers think{{"<think>"}, {"</think>"}, {}};
  formats.push_back(std::make_unique<const HarmonyReasoning>());
  add("gemma4", {{"<|channel>thought"}, {"<channel|>"}, {}}, contains({"<|channel>thought"}));
  add("mistral", {{"[THINK]"}, {"[/THINK]"}, {}}, contains({"[THINK]"}));
  // Versions 3.2 and 3.3 differ in the words; either may come.
  add("granite",
      {{"<think>", "Here is my thought process:", "Here's my thought process:"},
       {"</think>", "Here is my response:", "Here's my response:"},
       {"<response>", "</response>"}},
      [](std::string_view source) {
        return contains({"<think>", "<response>"})(source) || contains({"Here is my thought process:"})(source);
      });
  // MiniMax-M1's template does not mention the marks that the model writes.
  add("minimax", think, contains({"<beginning_of_sentence>ai"}));
  add("deepseek_r1", think, contains({"</think>"}));
  for (const char* name :
       {"qwen3", "deepseek_v3", "glm45", "minimax_m2", "nemotron_v3", "olmo3", "smollm3", "lfm2", "kimi_k2"}) {
    add(name, think, never);
  }
  return formats;
}

}  // namespace

const std::vector<const ReasoningFormat*>& reasoning_formats() {
  static const std::vector<std::unique_ptr<const ReasoningFormat>> kOwned = make_formats();
  static const std::vector<const ReasoningFormat*> kFormats = [] {
    std::vector<const ReasoningFormat*> formats;
    for (const auto& format : kOwned) formats.push_back(format.get());
    return formats;
  }();
  return kFormats;
}

Result<const ReasoningFormat*> find_reasoning_format(std::string_view name) {
  if (name == "none") return static_cast<const ReasoningFormat*>(nullptr);
  std::string known;
  for (const ReasoningFormat* format : reasoning_formats()) {
    if (format->name() == name) return format;
    known += ", " + std::string(format->name());
  }
  return Error{ErrorCode::kInvalidArgument,
               "unknown reasoning parser '" + std::string(name) + "'; known ones: auto, none" + known,
               "--reasoning-parser"};
}

}  // namespace krait::server
