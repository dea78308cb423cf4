// Statements. Anything that is not implemented ends the parse with its name, because a template that is taken half
// would render a prompt that the model was never trained on, and nobody would notice.
#include "server/chat/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string>
#include <utility>

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
    expressions_.check_unknown();
    return body;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  /// Up to one of the tags in `ends` (its name is left in the stream), or to the end of the template for none.
  Body parse_body(Names ends) {
    const TokenStream::Level level(stream_);
    const Position opened = stream_.position();
    Body body;
    while (!stream_.is(TokenKind::kEnd)) {
      Token token = stream_.take();
      if (token.kind == TokenKind::kData) {
        body.push_back(make_text(token.at, std::move(token.text)));
      } else if (token.kind == TokenKind::kVariableBegin) {
        body.push_back(parse_output(token.at));
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

  /// The same for a body that is a function of its own in Jinja: no jump leads out of it, and an unknown filter is an
  /// error there even if the statement around it is conditional.
  Body parse_inner(std::string_view end) {
    const int loops = std::exchange(loop_depth_, 0);
    const bool soft = expressions_.set_soft(false);
    Body body = parse_block(end);
    expressions_.set_soft(soft);
    loop_depth_ = loops;
    return body;
  }

  StatementPtr parse_output(Position at) {
    stream_.begin_tag();
    ExpressionPtr value = expressions_.parse_tuple();
    if (!stream_.is(TokenKind::kVariableEnd)) stream_.unexpected("the end of the output");
    stream_.take();
    return make_output(at, std::move(value));
  }

  StatementPtr parse_statement() {
    stream_.begin_tag();
    const Position at = stream_.position();
    if (!stream_.is(TokenKind::kName)) stream_.unexpected("the name of a statement");
    if (stream_.accept_name("for")) return parse_for(at);
    if (stream_.accept_name("if")) return parse_if(at);
    if (stream_.accept_name("set")) return parse_set(at);
    if (stream_.accept_name("macro")) return parse_macro(at);
    if (stream_.accept_name("filter")) return parse_filter_block(at);
    if (stream_.accept_name("call")) return parse_call_block(at);
    if (stream_.accept_name("with")) return parse_with(at);
    if (stream_.accept_name("block")) return parse_named_block(at);
    if (stream_.accept_name("generation")) {
      stream_.expect_end_of_block();
      return make_block(at, parse_inner("endgeneration"), false);
    }
    if (stream_.is_name("break") || stream_.is_name("continue")) return parse_jump(at);
    stream_.unsupported("the statement '" + stream_.peek().text + "'");
  }

  std::string parse_target_name() {
    for (const std::string_view name : {"true", "false", "none", "True", "False", "None"}) {
      if (stream_.is_name(name)) stream_.fail(Failure::kSyntax, "can't assign to '" + std::string(name) + "'");
    }
    return stream_.expect_name();
  }

  /// name | name.attribute | (targets)
  Target parse_single_target(bool with_attribute) {
    const TokenStream::Level level(stream_);
    if (stream_.accept_operator("(")) {
      Target target = parse_target(with_attribute);
      stream_.expect_operator(")");
      return target;
    }
    Target target{.name = parse_target_name(), .attribute = {}, .parts = {}};
    if (with_attribute && stream_.accept_operator(".")) target.attribute = stream_.expect_name();
    return target;
  }

  /// One target, or several with commas.
  Target parse_target(bool with_attribute) {
    Target first = parse_single_target(with_attribute);
    if (!stream_.is_operator(",")) return first;
    Target target;
    target.parts.push_back(std::move(first));
    while (stream_.accept_operator(",")) {
      const bool more = (stream_.is(TokenKind::kName) && !stream_.is_name("in")) || stream_.is_operator("(");
      if (!more) break;
      target.parts.push_back(parse_single_target(with_attribute));
    }
    return target;
  }

  StatementPtr parse_for(Position at) {
    ForLoop loop;
    loop.target = parse_target(false);
    if (!stream_.accept_name("in")) stream_.unexpected("'in'");
    loop.items = expressions_.parse_tuple_without_condition();
    if (stream_.accept_name("if")) loop.filter = expressions_.parse_expression();
    loop.recursive = stream_.accept_name("recursive");
    stream_.expect_end_of_block();
    const bool soft = expressions_.set_soft(false);
    ++loop_depth_;
    loop.body = parse_body({"else", "endfor"});
    --loop_depth_;
    const bool has_else = stream_.take().text == "else";
    stream_.expect_end_of_block();
    if (has_else) loop.otherwise = parse_block("endfor");
    expressions_.set_soft(soft);
    return make_for(at, std::move(loop));
  }

  StatementPtr parse_if(Position at) {
    const bool soft = expressions_.set_soft(true);
    std::vector<IfBranch> branches;
    bool more = true;
    while (more) {
      IfBranch branch{.condition = expressions_.parse_tuple_without_condition(), .body = {}};
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
    expressions_.set_soft(soft);
    return make_if(at, std::move(branches));
  }

  StatementPtr parse_set(Position at) {
    Target target = parse_target(true);
    if (stream_.accept_operator("=")) {
      ExpressionPtr value = expressions_.parse_tuple();
      stream_.expect_end_of_block();
      return make_set(at, std::move(target), std::move(value));
    }
    ExpressionPtr value = parse_captured(at, "endset", stream_.accept_operator("|"));
    return make_set(at, std::move(target), std::move(value));
  }

  StatementPtr parse_filter_block(Position at) { return make_output(at, parse_captured(at, "endfilter", true)); }

  /// A block whose text is a value, through filters whose names come before the block does: they are parsed with a
  /// place-holder that the block, once it is parsed, is put into.
  ExpressionPtr parse_captured(Position at, std::string_view end, bool has_filters) {
    auto block = std::make_shared<ExpressionPtr>();
    ExpressionPtr value = std::make_unique<FunctionExpression>(
        at, [block](RenderContext& context) { return (*block)->evaluate(context); });
    if (has_filters) value = expressions_.parse_filter_chain(std::move(value));
    stream_.expect_end_of_block();
    *block = make_captured(at, parse_inner(end));
    return value;
  }

  StatementPtr parse_with(Position at) {
    std::vector<std::pair<Target, ExpressionPtr>> variables;
    while (!stream_.is(TokenKind::kBlockEnd)) {
      if (!variables.empty() && !stream_.accept_operator(",")) stream_.unexpected("','");
      Target target = parse_target(false);
      stream_.expect_operator("=");
      variables.emplace_back(std::move(target), expressions_.parse_expression());
    }
    stream_.expect_end_of_block();
    const bool soft = expressions_.set_soft(false);
    Body body = parse_block("endwith");
    expressions_.set_soft(soft);
    return make_with(at, std::move(variables), std::move(body));
  }

  /// `block NAME [scoped]`: without inheritance it is its body.
  StatementPtr parse_named_block(Position at) {
    const std::string name = stream_.expect_name();
    if (!blocks_.insert(name).second) stream_.fail(Failure::kSyntax, "block '" + name + "' defined twice");
    const bool scoped = stream_.accept_name("scoped");
    if (stream_.is_name("required")) stream_.unsupported("a required block");
    stream_.expect_end_of_block();
    const int loops = std::exchange(loop_depth_, 0);
    const bool soft = expressions_.set_soft(false);
    Body body = parse_body({"endblock"});
    expressions_.set_soft(soft);
    loop_depth_ = loops;
    stream_.take();
    stream_.accept_name(name);
    stream_.expect_end_of_block();
    return make_block(at, std::move(body), !scoped);
  }

  std::vector<MacroParameter> parse_parameters() {
    std::vector<MacroParameter> parameters;
    stream_.expect_operator("(");
    while (!stream_.is_operator(")")) {
      if (!parameters.empty()) stream_.expect_operator(",");
      MacroParameter parameter{.name = parse_target_name(), .fallback = nullptr};
      for (const MacroParameter& other : parameters) {
        if (other.name == parameter.name) stream_.fail(Failure::kSyntax, "duplicate argument '" + parameter.name + "'");
      }
      if (stream_.accept_operator("=")) {
        parameter.fallback = expressions_.parse_expression();
      } else if (!parameters.empty() && parameters.back().fallback) {
        stream_.fail(Failure::kSyntax, "non-default argument follows default argument");
      }
      parameters.push_back(std::move(parameter));
    }
    stream_.expect_operator(")");
    return parameters;
  }

  void parse_macro_body(Macro& macro, std::string_view end) {
    stream_.expect_end_of_block();
    expressions_.begin_macro();
    macro.body = parse_inner(end);
    const ExpressionParser::SpecialNames used = expressions_.end_macro();
    macro.uses_caller = used.caller;
    macro.uses_varargs = used.varargs;
    macro.uses_kwargs = used.kwargs;
  }

  StatementPtr parse_macro(Position at) {
    Macro macro;
    macro.name = parse_target_name();
    macro.parameters = parse_parameters();
    parse_macro_body(macro, "endmacro");
    return make_macro(at, std::move(macro));
  }

  StatementPtr parse_call_block(Position at) {
    Macro body;
    if (stream_.is_operator("(")) body.parameters = parse_parameters();
    ExpressionPtr call = expressions_.parse_expression();
    if (dynamic_cast<const CallExpression*>(call.get()) == nullptr) stream_.fail(Failure::kSyntax, "expected a call");
    parse_macro_body(body, "endcall");
    return make_call_block(at, std::move(call), std::move(body));
  }

  StatementPtr parse_jump(Position at) {
    const std::string name = stream_.take().text;
    if (loop_depth_ == 0) throw TemplateError(Failure::kSyntax, "'" + name + "' outside a loop", at);
    stream_.expect_end_of_block();
    return make_jump(at, name == "break" ? Flow::kBreak : Flow::kContinue);
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  int loop_depth_ = 0;
  std::set<std::string> blocks_;
};

}  // namespace

Body parse_template(std::string_view source) { return Parser(source).run(); }

}  // namespace krait::server::jinja
