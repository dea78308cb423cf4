// Compiling constraints, and one token of a constrained answer: constraint_bench TOKENIZER.json [END_TOKEN]
// Prints, for each constraint, the median time of a compilation, and of a token (its acceptance and the next mask) over
// random walks: the median, the 99th of a hundred, and the slowest.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "engine/constraint/grammar_compiler.h"
#include "models/tokenizer/tokenizer.h"

namespace {

using namespace krait;
using Clock = std::chrono::steady_clock;

struct Case {
  const char* name;
  Constraint constraint;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"any JSON object", {.kind = ConstraintKind::kJsonObject, .text = ""}},
      {"flat schema", {.kind = ConstraintKind::kJsonSchema, .text = R"({"type": "object", "properties": {
         "name": {"type": "string"}, "age": {"type": "integer"}, "mail": {"type": "string"}},
         "required": ["name", "age", "mail"]})"}},
      {"nested schema", {.kind = ConstraintKind::kJsonSchema, .text = R"({"type": "object", "properties": {
         "title": {"type": "string", "maxLength": 60}, "kind": {"enum": ["a", "b", "c"]},
         "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 8},
         "parts": {"type": "array", "maxItems": 10, "items": {"type": "object", "properties": {
           "id": {"type": "integer", "minimum": 0, "maximum": 100000}, "note": {"type": "string"}}, "required": ["id"]}}},
         "required": ["title", "kind", "tags", "parts"]})"}},
      {"regex", {.kind = ConstraintKind::kRegex, .text = R"([A-Z][a-z]+( [A-Z][a-z]+){1,3}, \d{4}-\d{2}-\d{2})"}},
      {"structural tag", {.kind = ConstraintKind::kStructuralTag, .text = R"({"type": "structural_tag", "format": {
         "type": "triggered_tags", "triggers": ["<tool_call>"], "tags": [{"type": "tag",
         "begin": "<tool_call>\n{\"name\": \"f\", \"arguments\": ", "content": {"type": "json_schema", "json_schema":
         {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
         "end": "}\n</tool_call>"}]}})"}},
  };
  return all;
}

double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

double at(std::vector<double>& times, double share) {
  std::sort(times.begin(), times.end());
  return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
}

void walk(const CompiledConstraint& constraint, std::mt19937_64& random, std::vector<double>& times) {
  const auto matcher = constraint.make_matcher();
  std::vector<std::uint32_t> mask(constraint.mask_words());
  if (!matcher->fill_mask(mask).ok()) return;
  for (int step = 0; step < 200; ++step) {
    std::vector<std::int32_t> allowed;
    for (std::int32_t token = 0; token < constraint.vocab_size(); ++token) {
      const auto index = static_cast<std::size_t>(token);
      if (((mask[index / 32] >> (index % 32)) & 1U) != 0) allowed.push_back(token);
    }
    const std::int32_t token = allowed[random() % allowed.size()];
    if (constraint.is_end_token(token)) return;
    const auto start = Clock::now();
    if (!matcher->accept(token).ok() || !matcher->fill_mask(mask).ok()) return;
    times.push_back(microseconds(Clock::now() - start));
  }
}

void measure(const Case& one, const Tokenizer& tokenizer, std::int32_t end_token) {
  const auto vocabulary = make_constraint_vocabulary(tokenizer, tokenizer.vocab_size(), std::vector{end_token});
  std::vector<double> compilations;
  std::shared_ptr<const CompiledConstraint> compiled;
  for (int run = 0; run < 3; ++run) {
    GrammarCompiler compiler([&] { return vocabulary; });
    // The first compilation makes the vocabulary ready, which is not what is measured.
    (void)compiler.compile_and_wait({.kind = ConstraintKind::kRegex, .text = "a"});
    const auto start = Clock::now();
    auto outcome = compiler.compile_and_wait(one.constraint);
    compilations.push_back(microseconds(Clock::now() - start) / 1000.0);
    if (!outcome.ok()) {
      std::printf("%-16s %s\n", one.name, outcome.error().message.c_str());
      return;
    }
    compiled = outcome.value();
  }
  std::mt19937_64 random(1);
  std::vector<double> times;
  for (int run = 0; run < 20; ++run) walk(*compiled, random, times);
  if (times.empty()) times.push_back(0.0);
  std::printf("%-16s %10.1f ms %8.1f KiB %10.1f us %10.1f us %10.1f us\n", one.name, at(compilations, 0.5),
              static_cast<double>(compiled->bytes()) / 1024.0, at(times, 0.5), at(times, 0.99), at(times, 1.0));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: constraint_bench TOKENIZER.json [END_TOKEN]\n");
    return 2;
  }
  auto tokenizer = load_tokenizer(argv[1]);
  if (!tokenizer.ok()) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
    return 1;
  }
  std::printf("%-16s %13s %12s %13s %13s %13s\n", "constraint", "compilation", "memory", "token: median", "99 of 100",
              "slowest");
  for (const Case& one : cases()) measure(one, **tokenizer, argc > 2 ? std::atoi(argv[2]) : 0);
  return 0;
}
