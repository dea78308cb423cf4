#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "server/service/stop_matcher.h"

namespace krait::server {
namespace {

/// The slow, obvious answer: the first prefix of the text that ends with a stop string; of several, the longest.
std::string reference(const std::string& text, const std::vector<std::string>& stops, std::string& found) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    for (const std::string& stop : stops) {
      const bool ends = end >= stop.size() && text.compare(end - stop.size(), stop.size(), stop) == 0;
      if (ends && stop.size() > found.size()) found = stop;
    }
    if (!found.empty()) return text.substr(0, end - found.size());
  }
  return text;
}

/// Does a suffix of the text that was shown begin a stop string that the whole text may still complete?
bool leaks(const std::string& shown, const std::string& seen, const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    for (std::size_t length = 1; length < stop.size() && length <= seen.size(); ++length) {
      const bool begins = seen.compare(seen.size() - length, length, stop, 0, length) == 0;
      if (begins && shown.size() > seen.size() - length) return true;
    }
  }
  return false;
}

TEST_CASE("A stop string is found wherever the text is cut, and nothing of it is shown") {
  const std::uint32_t seed = 20240613;
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const auto letters = [&](std::size_t least, std::size_t most) {
    std::string text;
    for (std::size_t i = least + below(most - least + 1); i > 0; --i) text += static_cast<char>('a' + below(3));
    return text;
  };
  for (int round = 0; round < 5000; ++round) {
    std::vector<std::string> stops;
    for (std::size_t i = 1 + below(3); i > 0; --i) stops.push_back(letters(1, 6));
    const std::string text = letters(0, 60);
    std::string expected_stop;
    const std::string expected = reference(text, stops, expected_stop);

    StopMatcher matcher(stops);
    std::string shown;
    std::size_t at = 0;
    while (at < text.size() && !matcher.matched()) {
      const std::size_t piece = below(8);
      shown += matcher.push(std::string_view(text).substr(at, piece));
      at = std::min(text.size(), at + piece);
      if (!matcher.matched()) REQUIRE_FALSE(leaks(shown, text.substr(0, at), stops));
    }
    if (!matcher.matched()) shown += matcher.flush();
    INFO("text " << text);
    REQUIRE(shown == expected);
    REQUIRE(matcher.matched() == !expected_stop.empty());
    if (matcher.matched()) REQUIRE(matcher.match() == expected_stop);
  }
}

TEST_CASE("Only the longest suffix that may begin a stop string is held back") {
  StopMatcher matcher({"\n\nEnd"});
  CHECK(matcher.push("one\n") == "one");
  CHECK(matcher.push("two") == "\ntwo");
  CHECK(matcher.push("\n\nEn") == "");
  CHECK(matcher.flush() == "\n\nEn");
}

TEST_CASE("After a stop string nothing comes") {
  StopMatcher matcher({"stop"});
  CHECK(matcher.push("go stop on") == "go ");
  CHECK(matcher.matched());
  CHECK(matcher.match() == "stop");
  CHECK(matcher.push("more") == "");
}

TEST_CASE("Without stop strings text passes at once") {
  StopMatcher matcher({});
  CHECK(matcher.push("anything") == "anything");
  CHECK_FALSE(matcher.matched());
}

}  // namespace
}  // namespace krait::server
