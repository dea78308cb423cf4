#include "engine/cache/context_image.h"

#include <catch2/catch.hpp>

using Catch::Matchers::Contains;
using namespace krait;

namespace {

ContextIdentity identity_of(std::uint64_t model) {
  return {.model = model,
          .formats = 5,
          .layout = {.block_size = 4,
                     .kv_groups = {{.name = "full", .page_bytes = 8, .sliding_window = 0},
                                   {.name = "window", .page_bytes = 6, .sliding_window = 5}},
                     .slot_bytes = 10}};
}

/// Three blocks, of which the image has the last two; the window has left the second behind.
ContextImage small_image() {
  return {.salt = std::string("a\0b", 3),
          .tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
          .first_block = 1,
          .pages = {{"full one", "full two"}, {"", "window"}},
          .state = "0123456789"};
}

std::string error_of(const Result<ContextImage>& result) { return result.ok() ? "" : result.error().message; }

}  // namespace

TEST_CASE("a context comes back as it was written") {
  for (const bool with_state : {true, false}) {
    ContextImage image = small_image();
    if (!with_state) image.state.clear();
    const auto back = parse_context(serialize_context(image, identity_of(1)), identity_of(1), "file");
    REQUIRE(error_of(back).empty());
    CHECK(*back == image);
  }
  const ContextImage nothing{.salt = "", .tokens = {}, .first_block = 0, .pages = {{}, {}}, .state = ""};
  const auto back = parse_context(serialize_context(nothing, identity_of(1)), identity_of(1), "file");
  REQUIRE(error_of(back).empty());
  CHECK(*back == nothing);
}

TEST_CASE("a context that was cut, grew, or has a flipped bit is refused with a reason") {
  const std::string bytes = serialize_context(small_image(), identity_of(1));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    REQUIRE_THAT(error_of(parse_context(bytes.substr(0, size), identity_of(1), "session file")),
                 Contains("the session file") && Contains("truncated"));
  }
  CHECK_THAT(error_of(parse_context(bytes + "x", identity_of(1), "file")), Contains("checksum"));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xFFU}) {
      CAPTURE(at, flip);
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ flip);
      REQUIRE_FALSE(parse_context(damaged, identity_of(1), "file").ok());
    }
  }
}

TEST_CASE("a context of another model, layout, format or kind of file is refused with a reason") {
  const std::string bytes = serialize_context(small_image(), identity_of(1));
  CHECK_THAT(error_of(parse_context(bytes, identity_of(2), "file")), Contains("another model"));
  const auto with = [](auto change) {
    ContextIdentity identity = identity_of(1);
    change(identity);
    return identity;
  };
  const std::vector<ContextIdentity> others = {
      with([](ContextIdentity& i) { i.formats = 6; }),
      with([](ContextIdentity& i) { i.layout.block_size = 2; }),
      with([](ContextIdentity& i) { i.layout.slot_bytes = 11; }),
      with([](ContextIdentity& i) { i.layout.kv_groups[0].page_bytes = 9; }),
      with([](ContextIdentity& i) { i.layout.kv_groups[1].sliding_window = 6; }),
      with([](ContextIdentity& i) { i.layout.kv_groups[1].name = "full"; }),
      with([](ContextIdentity& i) { i.layout.kv_groups.pop_back(); }),
  };
  for (std::size_t i = 0; i < others.size(); ++i) {
    CAPTURE(i);
    CHECK_THAT(error_of(parse_context(bytes, others[i], "file")), Contains("another layout"));
  }
  std::string newer = bytes;
  newer[8] = 99;
  CHECK_THAT(error_of(parse_context(newer, identity_of(1), "file")), Contains("format version 99"));
  CHECK_THAT(error_of(parse_context("PK\x03\x04 this is a zip", identity_of(1), "file")),
             Contains("not a saved context"));
}

TEST_CASE("parts of wrong sizes are refused before anything is copied") {
  const CacheLayout layout = identity_of(1).layout;
  CHECK(check_context(small_image(), layout).ok());
  const auto refused = [&](auto change) {
    ContextImage image = small_image();
    change(image);
    return !check_context(image, layout).ok();
  };
  CHECK(refused([](ContextImage& i) { i.tokens.pop_back(); }));
  CHECK(refused([](ContextImage& i) { i.first_block = 4; }));
  CHECK(refused([](ContextImage& i) { i.first_block = -1; }));
  CHECK(refused([](ContextImage& i) { i.pages.pop_back(); }));
  CHECK(refused([](ContextImage& i) { i.pages[1].pop_back(); }));
  CHECK(refused([](ContextImage& i) { i.pages[0][1] = "short"; }));
  CHECK(refused([](ContextImage& i) { i.pages[0][1] = ""; }));
  CHECK(refused([](ContextImage& i) { i.state += "x"; }));
  CHECK(refused([](ContextImage& i) { i = {.salt = "", .tokens = {}, .pages = {{}, {}}, .state = "0123456789"}; }));
}
