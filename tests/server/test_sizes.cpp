#include <catch2/catch.hpp>

#include "server/cli/sizes.h"

namespace krait::server {
namespace {

TEST_CASE("Byte sizes with and without units") {
  CHECK(parse_byte_size("0") == 0U);
  CHECK(parse_byte_size("1024") == 1024U);
  CHECK(parse_byte_size("512KiB") == 524288U);
  CHECK(parse_byte_size("512MiB") == 536870912U);
  CHECK(parse_byte_size("2 GiB") == 2147483648U);
  CHECK(parse_byte_size("1.5GB") == 1500000000U);
}

TEST_CASE("What is no byte size is refused") {
  for (const char* text : {"", "MiB", "-1", "1.5", "12 parsecs", "1e3", "nan", "99999999999TiB", "1 GiB more"}) {
    INFO(text);
    CHECK_FALSE(parse_byte_size(text).has_value());
  }
}

TEST_CASE("Cache memory is a share up to one, or a size") {
  CHECK(parse_cache_memory("0.5")->share == 0.5);
  CHECK_FALSE(parse_cache_memory("0.5")->bytes.has_value());
  CHECK(parse_cache_memory("1")->share == 1.0);
  CHECK(parse_cache_memory("2GiB")->bytes == 2147483648U);
  CHECK(parse_cache_memory("1048576")->bytes == 1048576U);
  for (const char* text : {"0", "0.0", "-0.5", "1.5", "half", "0MiB"}) {
    INFO(text);
    CHECK_FALSE(parse_cache_memory(text).has_value());
  }
}

TEST_CASE("Sizes for people") {
  CHECK(format_byte_size(0) == "0 bytes");
  CHECK(format_byte_size(1536) == "1.5 KiB");
  CHECK(format_byte_size(std::size_t{3} << 30) == "3.0 GiB");
}

}  // namespace
}  // namespace krait::server
