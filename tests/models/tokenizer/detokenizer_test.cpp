#include "models/tokenizer/utf8.h"
#include "tests/models/tokenizer/fixtures.h"

namespace krait::test {
namespace {

std::string stream(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<std::int32_t>& ids, bool skip) {
  IncrementalDetokenizer detokenizer(tokenizer, skip);
  std::string text;
  for (const std::int32_t id : ids) {
    const std::string piece = detokenizer.push(id);
    CHECK(is_valid_utf8(piece));
    text += piece;
  }
  return text + detokenizer.flush();
}

TEST_CASE("a character that two tokens share comes out whole, with the second") {
  const auto tokenizer = load(source_path("tests/golden/tokenizers/trained-bytes-only/tokenizer.json"));
  const auto ids = encode(*tokenizer, "é");
  REQUIRE(ids.size() == 2);
  IncrementalDetokenizer detokenizer(tokenizer, true);
  CHECK(detokenizer.push(ids[0]).empty());
  CHECK(detokenizer.push(ids[1]) == "é");
  CHECK(detokenizer.push(ids[0]).empty());
  CHECK(detokenizer.flush() == "\xEF\xBF\xBD");
  CHECK(detokenizer.flush().empty());
}

TEST_CASE("the pieces of random ids join to their decoding") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto bytes = load(source_path("tests/golden/tokenizers/trained-bytes-only/tokenizer.json"));
  for (const auto& tokenizer : {demo_tokenizer(), bytes}) {
    for (int round = 0; round < 500; ++round) {
      std::vector<std::int32_t> ids(random() % 40);
      for (auto& id : ids)
        id = static_cast<std::int32_t>(random() % static_cast<unsigned>(tokenizer->vocab_size() + 2));
      CAPTURE(ids);
      CHECK(stream(tokenizer, ids, true) == tokenizer->decode(ids, true));
      CHECK(stream(tokenizer, ids, false) == tokenizer->decode(ids, false));
    }
  }
}

TEST_CASE("random bytes come back through byte tokens") {
  const auto tokenizer = load(source_path("tests/golden/tokenizers/trained-bytes-only/tokenizer.json"));
  std::vector<std::int32_t> id_of(256, -1);
  for (std::int32_t id = 0; id < tokenizer->vocab_size(); ++id) {
    const std::string bytes = tokenizer->token_bytes(id, true);
    if (bytes.size() == 1) id_of[static_cast<std::uint8_t>(bytes[0])] = id;
  }
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    std::vector<std::int32_t> ids;
    for (std::size_t i = random() % 30; i > 0; --i) {
      bytes += static_cast<char>(random() % 4 == 0 ? random() % 256 : 0x80 + random() % 0x80);
      ids.push_back(id_of[static_cast<std::uint8_t>(bytes.back())]);
    }
    std::string joined;
    for (const std::int32_t id : ids) joined += tokenizer->token_bytes(id, false);
    CHECK(joined == bytes);
    std::string repaired;
    append_repaired(bytes, Tail::kFinal, repaired);
    CHECK(stream(tokenizer, ids, false) == repaired);
  }
}

}  // namespace
}  // namespace krait::test
