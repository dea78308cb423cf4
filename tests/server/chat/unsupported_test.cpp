// What the interpreter does not implement must fail when the template is parsed, with its name and line.
#include "tests/server/chat/rendering.h"

namespace krait::test {
namespace {

void check_unsupported(const std::string& construct, const std::string& named) {
  const Error error = parse_error("text\n{% if false %}" + construct + "{% endif %}");
  CHECK(error.code == ErrorCode::kUnsupported);
  CHECK_THAT(error.message, Catch::Contains("line 2") && Catch::Contains(named));
}

TEST_CASE("statements that are not implemented are named") {
  for (const std::string name :
       {"include", "import", "from", "extends", "block", "call", "with", "do", "autoescape", "frob"}) {
    check_unsupported("{% " + name + " x %}", "statement '" + name + "'");
  }
  check_unsupported("{% for x in y recursive %}{% endfor %}", "recursive loop");
  check_unsupported("{% macro m() %}{{ caller() }}{% endmacro %}", "'caller'");
  check_unsupported("{% for x in y %}{% macro m() %}{% endmacro %}{% endfor %}", "macro inside a loop");
}

TEST_CASE("filters, tests, methods and functions that are not implemented are named") {
  check_unsupported("{{ x|frob }}", "filter 'frob'");
  check_unsupported("{{ x is frob }}", "test 'frob'");
  check_unsupported("{{ x.frob() }}", "method 'frob'");
  check_unsupported("{{ x.encode() }}", "method 'encode'");
  check_unsupported("{{ frob(1) }}", "function 'frob'");
  check_unsupported("{{ lipsum() }}", "function 'lipsum'");
  check_unsupported("{{ 99999999999999999999 }}", "64 bits");
}

TEST_CASE("what only the rendering can tell fails there") {
  CHECK_THAT(render_error("{{ '%s' % 1 }}").message, Catch::Contains("% is not supported"));
  CHECK_THAT(render_error("{{ ['a']|map('frob')|list }}").message, Catch::Contains("filter 'frob'"));
  CHECK_THAT(render_error("{{ [1]|map('string') }}").message, Catch::Contains("generator"));
  CHECK_THAT(render_error("{% set l = [] %}{% set _ = l.append(1) %}").message, Catch::Contains("unsafe"));
  CHECK_THAT(render_error("{{ 9223372036854775807 + 1 }}").message, Catch::Contains("64 bits"));
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
