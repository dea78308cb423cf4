#include "models/tokenizer/utf8.h"

#include <catch2/catch.hpp>

#include "models/tokenizer/unicode_normalization.h"

namespace krait::test {
namespace {

std::string repaired(std::string_view bytes) {
  std::string text;
  append_repaired(bytes, Tail::kFinal, text);
  return text;
}

TEST_CASE("each maximal invalid part becomes one replacement character") {
  const std::string r = "\xEF\xBF\xBD";
  // The examples of the Unicode standard, table 3-8 and after.
  CHECK(repaired("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(repaired("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(repaired("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == r + r + r + r + r + "A" + r + r + "B");
  CHECK(repaired("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == r + r + r + r + "A");
  CHECK(repaired("plain é 東 🙂") == "plain é 東 🙂");
}

TEST_CASE("an unfinished character waits where more may come") {
  std::string text;
  CHECK(append_repaired("a\xF0\x9F\x99", Tail::kMayContinue, text) == 1);
  CHECK(text == "a");
  text.clear();
  CHECK(append_repaired("a\xF0\x9F\x41", Tail::kMayContinue, text) == 4);
  CHECK(text == "a\xEF\xBF\xBD\x41");
}

TEST_CASE("the four normalization forms") {
  CHECK(to_normalization_form("e\xCC\x81", NormalizationForm::kNfc) == "é");
  CHECK(to_normalization_form("é", NormalizationForm::kNfd) == "e\xCC\x81");
  CHECK(to_normalization_form("ﬁ①", NormalizationForm::kNfkc) == "fi1");
  CHECK(to_normalization_form("ﬁé", NormalizationForm::kNfkd) == "fie\xCC\x81");
  CHECK(to_normalization_form("ﬁ", NormalizationForm::kNfc) == "ﬁ");
  CHECK(to_normalization_form("a\xCC\x81\xCC\xA3", NormalizationForm::kNfd) ==
        "a\xCC\xA3\xCC\x81");  // marks in canonical order
  CHECK(to_normalization_form("각", NormalizationForm::kNfd) == "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8");
}

}  // namespace
}  // namespace krait::test
