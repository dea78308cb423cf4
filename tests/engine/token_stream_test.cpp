#include "engine/request/token_stream.h"

#include <catch2/catch.hpp>
#include <thread>

using krait::FinishReason;
using krait::TokenEvent;
using krait::TokenStream;

namespace {

TokenEvent event_of(std::int32_t token) {
  TokenEvent event;
  event.tokens.push_back({.token = token, .logprob = 0.0F, .rank = 0, .top = {}});
  return event;
}

}  // namespace

TEST_CASE("events come out in the order in which they went in", "[stream]") {
  TokenStream stream;
  CHECK_FALSE(stream.try_pop());
  stream.push(event_of(1));
  stream.push(event_of(2));
  CHECK(stream.pop().tokens[0].token == 1);
  CHECK(stream.try_pop()->tokens[0].token == 2);
  CHECK_FALSE(stream.try_pop());
}

TEST_CASE("a listener hears of every push, and at once of what waits already", "[stream]") {
  TokenStream stream;
  int first = 0;
  int second = 0;
  stream.set_listener([&] { ++first; });
  CHECK(first == 0);
  stream.push(event_of(1));
  CHECK(first == 1);
  stream.set_listener([&] { ++second; });
  CHECK(second == 1);
  stream.push(event_of(2));
  CHECK(first == 1);
  CHECK(second == 2);
}

TEST_CASE("a listener may take events: it is called outside the lock", "[stream]") {
  TokenStream stream;
  std::int32_t seen = 0;
  stream.set_listener([&] {
    while (auto event = stream.try_pop()) seen += event->tokens[0].token;
  });
  stream.push(event_of(3));
  stream.push(event_of(4));
  CHECK(seen == 7);
}

TEST_CASE("pop waits for the other thread", "[stream]") {
  TokenStream stream;
  std::thread writer([&] {
    for (int i = 0; i < 100; ++i) stream.push(event_of(i));
  });
  int sum = 0;
  for (int i = 0; i < 100; ++i) sum += stream.pop().tokens[0].token;
  writer.join();
  CHECK(sum == 4950);
}
