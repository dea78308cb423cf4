// What the interpreter does not implement must fail when the template is parsed, with its name and line.
#include "tests/server/chat/rendering.h"

namespace krait::test {
namespace {

void check_unsupported(const std::string& construct, const std::string& named) {
  const Error error = parse_error("text\n" + construct);
  CHECK(error.code == ErrorCode::kUnsupported);
  CHECK_THAT(error.message, Catch::Contains("line 2, column") && Catch::Contains(named));
}

TEST_CASE("statements that are not implemented are named") {
  for (const std::string name : {"include", "import", "from", "extends", "do", "autoescape", "trans", "frob"}) {
    check_unsupported("{% " + name + " x %}", "statement '" + name + "'");
  }
}

TEST_CASE("unknown filters and tests are named, where they stand in a branch only if it is taken") {
  check_unsupported("{{ x|frob }}", "filter 'frob'");
  check_unsupported("{{ x is frob }}", "test 'frob'");
  check_unsupported("{% if x %}{% for y in x %}{{ y|frob }}{% endfor %}{% endif %}", "filter 'frob'");
  CHECK(render("{% if false %}{{ x|frob }}{% else %}a{% endif %}{{ x|frob if false else 'b' }}") == "ab");
  CHECK_THAT(render_error("{% if true %}{{ x|frob }}{% endif %}").message, Catch::Contains("filter 'frob'"));
  check_unsupported("{{ 99999999999999999999 }}", "64 bits");
}

TEST_CASE("what only the rendering can tell fails there") {
  CHECK_THAT(render_error("{{ ['a']|map('frob')|list }}").message, Catch::Contains("filter 'frob'"));
  CHECK_THAT(render_error("{{ lipsum() }}").message, Catch::Contains("'lipsum' is not supported"));
  CHECK_THAT(render_error("{{ 'a'.encode() }}").message, Catch::Contains("'encode'"));
  CHECK_THAT(render_error("{{ frob(1) }}").message, Catch::Contains("'frob' is undefined"));
  CHECK_THAT(render_error("{{ [1]|map('string') }}").message, Catch::Contains("generator"));
  CHECK_THAT(render_error("{% set l = [] %}{% set _ = l.append(1) %}").message, Catch::Contains("unsafe"));
  CHECK_THAT(render_error("{{ 9223372036854775807 + 1 }}").message, Catch::Contains("64 bits"));
  CHECK_THAT(render_error("{{ 10**20 }}").message, Catch::Contains("64 bits"));
  CHECK_THAT(render_error("a\n{{ 'é' }}{{ x.y }}").message, Catch::Contains("line 2, column 13"));
}

TEST_CASE("syntax errors have their line") {
  CHECK_THAT(parse_error("a\n\n{% if x %}").message, Catch::Contains("'endif'"));
  CHECK_THAT(parse_error("\n{{ 1 + }}").message, Catch::Contains("line 2"));
  CHECK_THAT(parse_error("{{ (1 }}").message, Catch::Contains("line 1"));
  CHECK_THAT(parse_error("{{ 'a }}").message, Catch::Contains("string is not closed"));
  CHECK_THAT(parse_error("{# a").message, Catch::Contains("comment"));
  CHECK_THAT(parse_error("{% endif %}").message, Catch::Contains("endif"));
  CHECK_THAT(parse_error("{{ a ! b }}").message, Catch::Contains("'!'"));
  CHECK_THAT(parse_error("{% break %}").message, Catch::Contains("outside a loop"));
  CHECK_THAT(parse_error("\xFF").message, Catch::Contains("UTF-8"));
}

}  // namespace
}  // namespace krait::test
