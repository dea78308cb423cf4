#include <catch2/catch.hpp>

#include "server/service/utf8.h"

namespace krait::server {
namespace {

TEST_CASE("Valid UTF-8 of every length is accepted") {
  CHECK_FALSE(find_invalid_utf8("").has_value());
  CHECK_FALSE(find_invalid_utf8("plain").has_value());
  CHECK_FALSE(find_invalid_utf8("é € 😀 \xF4\x8F\xBF\xBF").has_value());
}

TEST_CASE("The first wrong byte is named") {
  CHECK(find_invalid_utf8("ab\xFF") == 2U);
  CHECK(find_invalid_utf8("a\xC0\xAF") == 1U);         // overlong
  CHECK(find_invalid_utf8("\xE0\x80\xAF") == 0U);      // overlong
  CHECK(find_invalid_utf8("x\xED\xA0\x80") == 1U);     // a surrogate
  CHECK(find_invalid_utf8("\xF4\x90\x80\x80") == 0U);  // past U+10FFFF
  CHECK(find_invalid_utf8("é\xE2\x82") == 2U);         // cut short
}

TEST_CASE("Characters are counted, not bytes") { CHECK(count_characters("é€😀a") == 4); }

}  // namespace
}  // namespace krait::server
