// A template may come from anywhere: parsing and rendering end, with an error, whatever it says.
#include <random>

#include "tests/server/chat/rendering.h"

namespace krait::test {
namespace {

std::string repeat(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

TEST_CASE("nesting is bounded when a template is parsed") {
  constexpr int kMany = 20'000;
  for (const std::string& source :
       {"{{ " + repeat("(", kMany), "{{ " + repeat("[", kMany), "{{ " + repeat("{1:", kMany),
        "{{ " + repeat("not ", kMany) + "1 }}", "{{ " + repeat("-", kMany) + "1 }}",
        "{{ 1" + repeat(" + 1", kMany) + " }}", "{{ x" + repeat("|trim", kMany) + " }}",
        "{{ x" + repeat(".a", kMany) + " }}", "{{ x" + repeat("[0]", kMany) + " }}",
        "{{ x" + repeat(" if 1", kMany) + " }}", "{{ 1" + repeat(" if 1 else 1", kMany) + " }}",
        "{{ x" + repeat(" and 1", kMany) + " }}", repeat("{% if 1 %}", kMany), repeat("{% for a in b %}", kMany),
        repeat("{% set a %}", kMany), "{{ f" + repeat("()", kMany) + " }}"}) {
    CHECK(parse_error(source).code != ErrorCode::kInternal);
  }
}

TEST_CASE("loops and ranges are bounded") {
  CHECK_THAT(render_error("{% for i in range(10**9) %}{% endfor %}").message, Catch::Contains("Range too big"));
  CHECK_THAT(render_error("{{ range(0, 9223372036854775807) }}").message, Catch::Contains("Range too big"));
  CHECK_THAT(
      render_error("{% for i in range(99999) %}{% for j in range(99999) %}{{ 1 }}{% endfor %}{% endfor %}").message,
      Catch::Contains("too"));
  CHECK_THAT(render_error("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").message,
             Catch::Contains("nests too deeply"));
}

TEST_CASE("the size of values and of the output is bounded") {
  CHECK_THAT(render_error("{{ 'a' * 10**12 }}").message, Catch::Contains("too long"));
  CHECK_THAT(render_error("{{ [0] * 10**12 }}").message, Catch::Contains("too"));
  CHECK_THAT(render_error("{{ 'aa' * 9223372036854775807 }}").message, Catch::Contains("too long"));
  CHECK_THAT(
      render_error("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}")
          .message,
      Catch::Contains("too"));
  CHECK_THAT(render_error("{% set s = 'a' * 1000000 %}{% for i in range(99) %}{{ s }}{% endfor %}").message,
             Catch::Contains("too long"));
  CHECK_THAT(render_error("{% set s = 'a' * 60000000 %}{{ s|replace('a', s) }}").message, Catch::Contains("too long"));
  CHECK_THAT(render_error("{{ ''|indent('x' * 9) }}{{ ('\n' * 10000000)|indent(100) }}").message,
             Catch::Contains("too long"));
}

TEST_CASE("values that nest into each other are bounded") {
  CHECK_THAT(
      render_error(
          "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}")
          .message,
      Catch::Contains("nested too deeply"));
  CHECK(render("{% set ns = namespace() %}{% set ns.self = ns %}{{ ns.self.self is defined }}") == "True");
  nlohmann::ordered_json deep = 1;
  for (int i = 0; i < 500; ++i) deep = nlohmann::ordered_json::array({deep});
  CHECK_THAT(render_error("{{ x }}", {{"x", deep}}).message, Catch::Contains("nested too deeply"));
}

TEST_CASE("what is printed, compared or formatted is bounded") {
  const std::string doubled =
      "{% set ns = namespace(l=['x']) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}";
  for (const std::string use :
       {"{{ ns.l }}", "{{ ns.l|tojson }}", "{{ ns.l ~ '' }}", "{{ ns.l|string }}", "{{ '%s' % (ns.l,) }}",
        "{{ '{}'.format(ns.l) }}", "{{ [ns.l]|join }}", "{{ raise_exception(ns.l) }}"}) {
    CHECK_THAT(render_error(doubled + use).message, Catch::Contains("too"));
  }
  const std::string other =
      "{% set o = namespace(l=['x']) %}{% for i in range(60) %}{% set o.l = [o.l, o.l] %}{% endfor %}";
  CHECK_THAT(render_error(doubled + other + "{{ ns.l == o.l }}").message, Catch::Contains("too"));
  CHECK_THAT(render_error(doubled + other + "{{ ns.l in [o.l] }}").message, Catch::Contains("too"));
  CHECK_THAT(render_error("{{ '%999999999d' % 1 }}").message, Catch::Contains("too wide"));
  CHECK_THAT(render_error("{{ '{:999999999}'.format(1) }}").message, Catch::Contains("too wide"));
  CHECK_THAT(render_error("{{ '%.99999f' % 1.5 }}").message, Catch::Contains("too large"));
  CHECK_THAT(render_error("{{ 'a'.center(10**15) }}").message, Catch::Contains("too long"));
  CHECK_THAT(render_error("{{ [1]|batch(10**15, 0)|list }}").message, Catch::Contains("too"));
  CHECK_THAT(render_error("{{ range(9)|tojson(indent='x' * 60000000) }}").message, Catch::Contains("range"));
  CHECK_THAT(render_error("{% for x in [0] recursive %}{{ loop([0]) }}{% endfor %}").message,
             Catch::Contains("nests too deeply"));
  CHECK_THAT(
      render_error(
          "{% macro m() %}{% if false %}{{ caller }}{% endif %}{% call m() %}{% endcall %}{% endmacro %}{{ m() }}")
          .message,
      Catch::Contains("nests too deeply"));
}

TEST_CASE("values that hold each other are freed with the rendering") {
  CHECK(render("{% set ns = namespace() %}{% macro m() %}{{ ns.f is defined }}{% endmacro %}{% set ns.f = m %}{{ "
               "ns.f() }}") == "True");
  CHECK(render(
            "{% set ns = namespace() %}{% for i in [1, 2] %}{% set ns.loop = loop %}{% endfor %}{{ ns.loop.index }}") ==
        "2");
  CHECK_THAT(
      render_error(
          "{% set ns = namespace() %}{% for i in [1] recursive %}{% set ns.l = loop %}{% endfor %}{{ ns.l([1]) }}")
          .message,
      Catch::Contains("recursive"));
}

TEST_CASE("random templates end in a text or an error") {
  const std::vector<std::string> parts = {
      "{{",   "}}",   "{%",     "%}",    "{%-",       "-%}",    "{#",   "#}", " if ", " for ", " in ",
      "x",    "l",    " set ",  "=",     "endif",     "endfor", "else", "(",  ")",    "[",     "]",
      "{",    "}",    ":",      ",",     "|",         "trim",   ".",    "1",  "'a'",  "+",     "*",
      " is ", "not ", "string", "range", "namespace", "\n",     " ",    "~",  "loop", "tojson"};
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    std::string source;
    for (std::size_t i = random() % 25; i > 0; --i) source += parts[random() % parts.size()];
    auto parsed = server::ChatTemplate::parse(source);
    if (parsed.ok())
      static_cast<void>((*parsed)->render(nlohmann::ordered_json{{"x", "text"}, {"l", {1, "b", nullptr}}}).ok());
  }
}

}  // namespace
}  // namespace krait::test
