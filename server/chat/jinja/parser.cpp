// Statements. Anything that is not implemented ends the parse with its name, because a template that is taken half
// would render a prompt that the model was never trained on, and nobody would notice.
#include "server/chat/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "server/chat/jinja/expression_parser.h"
#include "server/chat/jinja/statements.h"

namespace krait::server::jinja {
namespace {

/// Parses data, outputs and statements; ExpressionParser does what is inside them.
class Parser {
 public:
  explicit Parser(std::string_view source) : stream_(tokenize(source)), expressions_(stream_) {}

  Body run() {
    Body body = parse_body({});
    expressions_.check_calls();
    return body;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  /// Up to one of the tags in `ends` (its name is left in the stream), or to the end of the template for none.
  Body parse_body(Names ends) {
    const TokenStream::Level level(stream_);
    const int opened = stream_.line();
    Body body;
    while (!stream_.is(TokenKind::kEnd)) {
      Token token = stream_.take();
      if (token.kind == TokenKind::kData) {
        body.push_back(make_text(token.line, std::move(token.text)));
      } else if (token.kind == TokenKind::kVariableBegin) {
        body.push_back(parse_output(token.line));
      } else {
        if (std::any_of(ends.begin(), ends.end(), [this](std::string_view end) { return stream_.is_name(end); }))
          return body;
        body.push_back(parse_statement());
      }
    }
    if (ends.size() > 0) {
      throw TemplateError(Failure::kSyntax, "the template ends before '" + std::string(*(ends.end() - 1)) + "'",
                          opened);
    }
    return body;
  }

  /// A body with its end tag.
  Body parse_block(std::string_view end) {
    Body body = parse_body({end});
    stream_.take();
    stream_.expect_end_of_block();
    return body;
  }

  StatementPtr parse_output(int line) {
    stream_.begin_tag();
    ExpressionPtr value = expressions_.parse_tuple();
    if (!stream_.is(TokenKind::kVariableEnd)) stream_.unexpected("the end of the output");
    stream_.take();
    return make_output(line, std::move(value));
  }

  StatementPtr parse_statement() {
    stream_.begin_tag();
    const int line = stream_.line();
    if (!stream_.is(TokenKind::kName)) stream_.unexpected("the name of a statement");
    if (stream_.accept_name("for")) return parse_for(line);
    if (stream_.accept_name("if")) return parse_if(line);
    if (stream_.accept_name("set")) return parse_set(line);
    if (stream_.accept_name("macro")) return parse_macro(line);
    if (stream_.accept_name("filter")) return parse_filter_block(line);
    if (stream_.accept_name("generation")) {
      stream_.expect_end_of_block();
      return make_block(line, parse_block("endgeneration"));
    }
    if (stream_.is_name("break") || stream_.is_name("continue")) return parse_jump(line);
    stream_.unsupported("the statement '" + stream_.peek().text + "'");
  }

  std::string parse_target_name() {
    std::string name = stream_.expect_name();
    expressions_.note_assigned(name);
    return name;
  }

  /// name | name.attribute | name, name, … (in parentheses or not)
  Target parse_target(bool with_attribute) {
    Target target;
    const bool parenthesis = stream_.accept_operator("(");
    target.names.push_back(parse_target_name());
    if (with_attribute && stream_.accept_operator(".")) {
      target.attribute = stream_.expect_name();
      return target;
    }
    while (stream_.accept_operator(",")) {
      target.unpacks = true;
      if (!stream_.is(TokenKind::kName)) break;
      if (stream_.is_name("in")) break;
      target.names.push_back(parse_target_name());
    }
    if (parenthesis) stream_.expect_operator(")");
    return target;
  }

  StatementPtr parse_for(int line) {
    ForLoop loop;
    loop.target = parse_target(false);
    if (!stream_.accept_name("in")) stream_.unexpected("'in'");
    loop.items = parse_for_items();
    if (stream_.accept_name("if")) loop.filter = expressions_.parse_expression();
    if (stream_.is_name("recursive")) stream_.unsupported("a recursive loop");
    stream_.expect_end_of_block();
    ++loop_depth_;
    loop.body = parse_body({"else", "endfor"});
    --loop_depth_;
    const bool has_else = stream_.take().text == "else";
    stream_.expect_end_of_block();
    if (has_else) loop.otherwise = parse_block("endfor");
    return make_for(line, std::move(loop));
  }

  ExpressionPtr parse_for_items() {
    const int line = stream_.line();
    ExpressionPtr first = expressions_.parse_without_condition();
    if (!stream_.is_operator(",")) return first;
    std::vector<ExpressionPtr> items;
    items.push_back(std::move(first));
    while (stream_.accept_operator(",")) items.push_back(expressions_.parse_without_condition());
    return make_list(line, SequenceKind::kTuple, std::move(items));
  }

  StatementPtr parse_if(int line) {
    std::vector<IfBranch> branches;
    bool more = true;
    while (more) {
      IfBranch branch{.condition = expressions_.parse_tuple(), .body = {}};
      stream_.expect_end_of_block();
      branch.body = parse_body({"elif", "else", "endif"});
      branches.push_back(std::move(branch));
      stream_.begin_tag();
      const std::string end = stream_.take().text;
      more = end == "elif";
      if (more) continue;
      stream_.expect_end_of_block();
      if (end == "else") branches.push_back({.condition = nullptr, .body = parse_block("endif")});
    }
    return make_if(line, std::move(branches));
  }

  StatementPtr parse_set(int line) {
    Target target = parse_target(true);
    if (stream_.accept_operator("=")) {
      ExpressionPtr value = expressions_.parse_tuple();
      stream_.expect_end_of_block();
      return make_set(line, std::move(target), std::move(value));
    }
    ExpressionPtr value = parse_captured(line, "endset", stream_.accept_operator("|"));
    return make_set(line, std::move(target), std::move(value));
  }

  StatementPtr parse_filter_block(int line) { return make_output(line, parse_captured(line, "endfilter", true)); }

  /// A block whose text is a value, through filters whose names come before the block does: they are parsed with a
  /// place-holder that the block, once it is parsed, is put into.
  ExpressionPtr parse_captured(int line, std::string_view end, bool has_filters) {
    auto block = std::make_shared<ExpressionPtr>();
    ExpressionPtr value = std::make_unique<FunctionExpression>(
        line, [block](RenderContext& context) { return (*block)->evaluate(context); });
    if (has_filters) value = expressions_.parse_filter_chain(std::move(value));
    stream_.expect_end_of_block();
    const int loops = std::exchange(loop_depth_, 0);  // no jump leads out of a block that is captured
    const bool nested = std::exchange(inside_block_, true);
    *block = make_captured(line, parse_block(end));
    inside_block_ = nested;
    loop_depth_ = loops;
    return value;
  }

  StatementPtr parse_macro(int line) {
    // A macro elsewhere would see variables of the place where it was defined.
    if (loop_depth_ > 0 || inside_block_) stream_.unsupported("a macro inside a loop, a macro or a captured block");
    Macro macro{.name = parse_target_name(), .parameters = {}, .body = {}};
    stream_.expect_operator("(");
    while (!stream_.is_operator(")")) {
      MacroParameter parameter{.name = parse_target_name(), .fallback = nullptr};
      if (stream_.accept_operator("=")) parameter.fallback = expressions_.parse_expression();
      macro.parameters.push_back(std::move(parameter));
      if (!stream_.accept_operator(",")) break;
    }
    stream_.expect_operator(")");
    stream_.expect_end_of_block();
    inside_block_ = true;
    expressions_.set_inside_macro(true);
    macro.body = parse_block("endmacro");
    expressions_.set_inside_macro(false);
    inside_block_ = false;
    return make_macro(line, std::move(macro));
  }

  StatementPtr parse_jump(int line) {
    const std::string name = stream_.take().text;
    if (loop_depth_ == 0) throw TemplateError(Failure::kSyntax, "'" + name + "' outside a loop", line);
    stream_.expect_end_of_block();
    return make_jump(line, name == "break" ? Flow::kBreak : Flow::kContinue);
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  int loop_depth_ = 0;
  bool inside_block_ = false;  ///< of a macro or a captured block
};

}  // namespace

Body parse_template(std::string_view source) { return Parser(source).run(); }

}  // namespace krait::server::jinja
