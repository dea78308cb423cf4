// White space as transformers has it: trim_blocks and lstrip_blocks set, keep_trailing_newline not.
#include "tests/server/chat/rendering.h"

namespace krait::test {
namespace {

TEST_CASE("a block's own line leaves nothing behind") {
  CHECK(render("a\n    {% if true %}\n  b\n    {% endif %}\nc\n  {# c #}\n d") == "a\n  b\nc\n d");
  CHECK(render("x {% if true %}\ny{% endif %} z") == "x y z");
  CHECK(render("{% if true %}\n  {% if true %}\nq{% endif %}{% endif %}") == "q");
}

TEST_CASE("a minus takes white space along, a plus leaves it") {
  CHECK(render("  {%- if true -%}  x  {%- endif %}  \n y {{- 1 -}} \n z") == "x  \n y1z");
  CHECK(render("x\n  {%+ if true %}y{% endif +%}\nz") == "x\n  y\nz");
  CHECK(render("a {#- c -#} b") == "ab");
}

TEST_CASE("an output keeps its surroundings") { CHECK(render("  {{ 1 }}\n {{ 2 }} ") == "  1\n 2 "); }

TEST_CASE("line ends are normalized and the last one is dropped") {
  CHECK(render("line\n") == "line");
  CHECK(render("line\n\n") == "line\n");
  CHECK(render("a\r\n{% if true %}\r\nb\r\n{% endif %}\r\nc") == "a\nb\nc");
}

TEST_CASE("raw text is taken as it is") {
  CHECK(render("{% raw %}{{ x }}{% y %}{% endraw %}!") == "{{ x }}{% y %}!");
  CHECK(render("a {%- raw -%} {{ b }} {%- endraw -%} c") == "a{{ b }}c");
}

TEST_CASE("braces inside an expression do not end it") {
  CHECK(render("{{ {'a': {'b': 1}}.a.b }}") == "1");
  CHECK(render("{{ '}}' }}{{ \"%}\" }}") == "}}%}");
}

}  // namespace
}  // namespace krait::test
