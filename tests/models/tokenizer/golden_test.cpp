// Against what Hugging Face's `tokenizers` gives for the same files.
#include <cstdlib>
#include <thread>

#include "models/tokenizer/hf_tokenizer.h"
#include "models/tokenizer/utf8.h"
#include "tests/models/tokenizer/fixtures.h"

namespace krait::test {
namespace {

using Ids = std::vector<std::int32_t>;

/// The pieces may be cut elsewhere than the reference's, but none may come later, and all must be whole characters.
void check_streamed(const std::shared_ptr<const Tokenizer>& tokenizer, const nlohmann::json& sample, const Ids& ids) {
  if (sample.value("stream_differs", false)) return;
  const auto expected = sample["decode_skip_special"].get<std::string>();
  IncrementalDetokenizer detokenizer(tokenizer, true);
  std::string text;
  std::string due;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::string piece = detokenizer.push(ids[i]);
    if (!is_valid_utf8(piece)) FAIL_CHECK("half a character at token " << i);
    text += piece;
    due += sample["stream"][i].get<std::string>();
    if (text.size() < due.size())
      FAIL_CHECK("token " << i << " gives '" << text << "', too little for '" << due << "'");
  }
  CHECK(text + detokenizer.flush() == expected);
}

void check_decoded(const std::shared_ptr<const Tokenizer>& tokenizer, const nlohmann::json& sample, const Ids& ids) {
  CAPTURE(ids);
  CHECK(tokenizer->decode(ids, false) == sample["decode"].get<std::string>());
  CHECK(tokenizer->decode(ids, true) == sample["decode_skip_special"].get<std::string>());
  check_streamed(tokenizer, sample, ids);
}

void check_text_case(const std::shared_ptr<const Tokenizer>& tokenizer, const nlohmann::json& sample) {
  const auto text = sample["text"].get<std::string>();
  CAPTURE(text);
  const auto with_special = sample["ids_with_special"].get<Ids>();
  CHECK(encode(*tokenizer, text) == sample["ids"].get<Ids>());
  CHECK(encode(*tokenizer, text, true) == with_special);
  check_decoded(tokenizer, sample, with_special);
}

void check_pair(const Tokenizer& tokenizer, const nlohmann::json& sample) {
  const auto* hf = dynamic_cast<const HfTokenizer*>(&tokenizer);
  REQUIRE(hf != nullptr);
  auto pair = hf->encode_pair(sample["a"].get<std::string>(), sample["b"].get<std::string>(), {});
  REQUIRE(pair.ok());
  CHECK(pair->ids == sample["ids"].get<Ids>());
  CHECK(pair->type_ids == sample["type_ids"].get<Ids>());
}

/// Checks all of a folder's golden.json; the files may be packed.
void check_folder(const std::filesystem::path& folder) {
  INFO(folder.filename().string());
  const auto tokenizer = load_packed(folder / "tokenizer.json");
  const auto golden = nlohmann::json::parse(read_packed(folder / "golden.json"));
  REQUIRE(golden["cases"].size() > 200);
  for (const auto& sample : golden["cases"]) check_text_case(tokenizer, sample);
  REQUIRE(golden["id_cases"].size() > 0);
  for (const auto& sample : golden["id_cases"]) check_decoded(tokenizer, sample, sample["ids"].get<Ids>());
  check_pair(*tokenizer, golden["pair"]);
}

/// How many folders of `root` hold a tokenizer.
int check_folders(const std::filesystem::path& root) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!entry.is_directory()) continue;
    check_folder(entry.path());
    ++count;
  }
  return count;
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
  CHECK(check_folders(source_path("tests/golden/tokenizers")) >= 3);
}

/// More of them, too large to live here: KRAIT_TOKENIZER_FIXTURES names a folder of the same form.
TEST_CASE("the tokenizers of a folder elsewhere give the reference's ids, texts and streams") {
  const char* root = std::getenv("KRAIT_TOKENIZER_FIXTURES");
  if (root == nullptr) return;
  CHECK(check_folders(root) > 0);
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
