#include "tests/server/chat/rendering.h"

namespace krait::test {
namespace {

using Json = nlohmann::ordered_json;

TEST_CASE("values print as Python prints them") {
  CHECK(render("{{ 1 }} {{ 1.0 }} {{ 1e20 }} {{ 1e-5 }} {{ true }} {{ none }}") == "1 1.0 1e+20 1e-05 True None");
  CHECK(render(R"({{ [1,"a",none,1.5] }} {{ {"k":"v's"} }} {{ (1,) }} {{ ['é\n"q"', "it's"] }})") ==
        R"([1, 'a', None, 1.5] {'k': "v's"} (1,) ['é\n"q"', "it's"])");
  CHECK(render("{{ x }}", {{"x", 18446744073709551615ULL}}) == "18446744073709551615");
}

TEST_CASE("tojson writes what transformers writes, in the client's order") {
  const Json x = {{"b", Json::array({1, 2.0, nullptr, "é\"</b>\n"})}, {"a", Json::object()}};
  CHECK(render("{{ x|tojson }}", {{"x", x}}) == R"({"b": [1, 2.0, null, "é\"</b>\n"], "a": {}})");
  CHECK(render("{{ x|tojson(indent=2, sort_keys=true) }}", {{"x", {{"b", 1}, {"a", 2}}}}) ==
        "{\n  \"a\": 2,\n  \"b\": 1\n}");
  CHECK(render("{{ 'é'|tojson(ensure_ascii=true) }}") == "\"\\u00e9\"");
}

TEST_CASE("operators bind and compute as in Jinja") {
  CHECK(render("{{ 1+2*3-4 }} {{ 7//2 }} {{ -7//2 }} {{ -7%3 }} {{ 7/2 }} {{ 2**5 }}") == "3 3 -4 2 3.5 32");
  CHECK(render("{{ 'a' ~ 1 ~ none }} {{ 'ab'*2 }} {{ [1]+[2] }}") == "a1None abab [1, 2]");
  CHECK(render("{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' not in 'abc' }} {{ not true or true and false }}") ==
        "True True False False");
  CHECK(render("{{ 'x' if false }}|{{ 'y' if true else 'z' }}|{{ none or [] or 'e' }}") == "|y|e");
}

TEST_CASE("strings, lists and slices count characters") {
  CHECK(render("{{ 'héllo'[1] }}{{ 'héllo'[-2:] }}{{ 'héllo'[::-1] }}{{ 'héllo'|length }}") == "élooll\xC3\xA9h5");
  CHECK(render("{{ l[1:] }}{{ l[::-1] }}{{ l[-1] }}{{ l[5:] }}{{ l[9] }}", {{"l", {3, 1, 2}}}) == "[1, 2][2, 1, 3]2[]");
}

TEST_CASE("undefined prints as nothing and fails when it is used") {
  CHECK(render("[{{ x }}][{{ x is defined }}][{{ x|default('d') }}][{{ m.a }}]", {{"m", Json::object()}}) ==
        "[][False][d][]");
  const Error error = render_error("\n{{ x.a }}");
  CHECK(error.code == ErrorCode::kInvalidArgument);
  CHECK(error.message == "chat template, line 2, column 4: 'x' is undefined");
  CHECK_THAT(render_error("{{ x + 'a' }}").message, Catch::Contains("'x' is undefined"));
  CHECK_THAT(render_error("{{ 'a' + none }}").message, Catch::Contains("can only concatenate str"));
}

TEST_CASE("loops have their variables, filters, else and scope") {
  CHECK(render("{% for x in l %}{{ loop.index }}{{ loop.first }}{{ loop.last }};{% endfor %}", {{"l", {7, 8}}}) ==
        "1TrueFalse;2FalseTrue;");
  CHECK(render("{% for x in l if x > 1 %}{{ x }}{% else %}none{% endfor %}", {{"l", {3, 1, 2}}}) == "32");
  CHECK(render("{% for x in [] %}a{% else %}empty{% endfor %}") == "empty");
  CHECK(render("{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}{% if x == 3 %}{% break %}{% endif %}{{ "
               "x }}{% endfor %}") == "02");
  CHECK(render("{% set x = 1 %}{% set ns = namespace(x=1) %}{% for i in range(3) %}{% set x = x + 1 %}{% set ns.x = "
               "ns.x + 1 %}"
               "{% endfor %}{{ x }} {{ ns.x }}") == "1 4");
  CHECK(render("{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", {{"d", {{"b", 1}, {"a", 2}}}}) == "b=1;a=2;");
}

TEST_CASE("a generator gives its items once, as in Python") {
  CHECK(render("{% set g = ['a']|map('upper') %}{{ g|join }}|{{ g|join }}") == "A|");
}

TEST_CASE("filters and methods") {
  CHECK(render("{{ ' a '|trim }}{{ 'x,y'.split(',') }}{{ 'xay'.strip('xy') }}{{ 'ab'|replace('a', 'c') }}") ==
        "a['x', 'y']acb");
  CHECK(render("{{ [3,1,2]|sort|join('-') }}{{ 'Abc'|lower|first }}{{ 'ß'|upper }}{{ '12'|int + 1 }}") == "1-2-3aSS13");
  CHECK(render("{{ m|selectattr('r', 'equalto', 'u')|map(attribute='c')|list }}",
               {{"m", {{{"r", "u"}, {"c", 1}}, {{"r", "a"}, {"c", 2}}}}}) == "[1]");
  CHECK(render("{{ 'abc'.startswith(('x', 'a')) }}{{ {'k': 1}.get('z', 5) }}") == "True5");
}

TEST_CASE("text marked safe escapes what is added to it, as in Jinja") {
  CHECK(render("{{ '<a>'|safe }}{{ '<a>'|safe ~ '<b>' }}{{ '<a>'|safe + '<b>' }}") == "<a><a><b><a>&lt;b&gt;");
  CHECK(render("{{ ('<a>'|safe).strip() + '<' }}") == "<a>&lt;");
  CHECK(render("{{ ('<a>'|safe).replace('a', '<') }}") == "<&lt;>");
  CHECK_THAT(render_error("{{ ('<a>'|safe).join(['<']) }}").message, Catch::Contains("not supported"));
}

TEST_CASE("macros see their arguments and the template's variables") {
  CHECK(render("{% macro m(a, b=2) -%}{{ a }}-{{ b }}{%- endmacro %}{{ m(1) }} {{ m('x', b=3) }} {{ m(*[4, 5]) }}") ==
        "1-2 x-3 4-5");
  CHECK(render("{% set g = 1 %}{% macro m() %}{{ g }}{{ x is defined }}{% endmacro %}{% for x in [1] %}{{ m() }}{% "
               "endfor %}") == "1False");
}

TEST_CASE("block assignments, filter blocks and tuples") {
  CHECK(render("{% set b %}a {{ 1 + 1 }}\n{% endset %}[{{ b }}]{% set c | upper %}abc{% endset %}{{ c }}") ==
        "[a 2\n]ABC");
  CHECK(render("{% filter upper %}a{{ 'b' }}{% endfilter %}{% set a, b = 1, 2 %}{{ a }}{{ b }}") == "AB12");
}

}  // namespace
}  // namespace krait::test
