// Against what Hugging Face's `tokenizers` gives for the same files.
#include <thread>

#include "tests/models/tokenizer/fixtures.h"

namespace krait::test {
namespace {

using Ids = std::vector<std::int32_t>;

void check_streamed(const std::shared_ptr<const Tokenizer>& tokenizer, const Ids& ids, const std::string& expected) {
  IncrementalDetokenizer detokenizer(tokenizer, true);
  std::string text;
  for (const std::int32_t id : ids) text += detokenizer.push(id);
  CHECK(text + detokenizer.flush() == expected);
}

void check_text_case(const std::shared_ptr<const Tokenizer>& tokenizer, const nlohmann::json& sample) {
  const auto text = sample["text"].get<std::string>();
  CAPTURE(text);
  const auto with_special = sample["ids_with_special"].get<Ids>();
  CHECK(encode(*tokenizer, text) == sample["ids"].get<Ids>());
  CHECK(encode(*tokenizer, text, true) == with_special);
  CHECK(tokenizer->decode(with_special, false) == sample["decode"].get<std::string>());
  CHECK(tokenizer->decode(with_special, true) == sample["decode_skip_special"].get<std::string>());
  check_streamed(tokenizer, with_special, sample["decode_skip_special"]);
}

TEST_CASE("the demo model's tokenizer gives the reference's ids and texts") {
  const auto tokenizer = demo_tokenizer();
  const auto golden = read_json(source_path("demo/aesop/goldens/golden.json"));
  REQUIRE(golden["tokenizer"].size() > 0);
  for (const auto& sample : golden["tokenizer"]) {
    CAPTURE(sample["text"]);
    CHECK(encode(*tokenizer, sample["text"].get<std::string>()) == sample["ids"].get<Ids>());
    CHECK(tokenizer->decode(sample["ids"].get<Ids>(), false) == sample["decoded"].get<std::string>());
  }
  for (const auto& sample : golden["cases"]) {
    CHECK(encode(*tokenizer, sample["prompt"].get<std::string>()) == sample["prompt_ids"].get<Ids>());
    CHECK(tokenizer->decode(sample["ids"].get<Ids>(), true) == sample["text"].get<std::string>());
  }
  CHECK(encode(*tokenizer, golden["passage"]["text"].get<std::string>()) == golden["passage"]["ids"].get<Ids>());
}

TEST_CASE("the tokenizers of the golden folder give the reference's ids, texts and streams") {
  for (const std::string name : {"trained-bytes-only", "trained-lfm2-style", "trained-split-behaviours"}) {
    const std::string folder = source_path("tests/golden/tokenizers/" + name);
    const auto tokenizer = load(folder + "/tokenizer.json");
    const auto golden = read_json(folder + "/golden.json");
    INFO(name);
    REQUIRE(golden["cases"].size() > 200);
    for (const auto& sample : golden["cases"]) check_text_case(tokenizer, sample);
    for (const auto& sample : golden["id_cases"]) {
      const auto ids = sample["ids"].get<Ids>();
      CHECK(tokenizer->decode(ids, false) == sample["decode"].get<std::string>());
      CHECK(tokenizer->decode(ids, true) == sample["decode_skip_special"].get<std::string>());
      check_streamed(tokenizer, ids, sample["decode_skip_special"]);
    }
  }
}

TEST_CASE("threads that share a tokenizer agree with each other") {
  const auto tokenizer = demo_tokenizer();
  const std::string text = read_json(source_path("demo/aesop/goldens/golden.json"))["passage"]["text"];
  const Ids expected = encode(*tokenizer, text);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&tokenizer, &text, &expected, &wrong] {
      for (int round = 0; round < 50; ++round) {
        const auto ids = tokenizer->encode(text, {.add_special_tokens = false});
        if (!ids.ok() || *ids != expected) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace krait::test
