#include "server/http/tokenize_routes.h"

#include <functional>

#include "server/http/header_list.h"
#include "server/http/wait_for.h"
#include "server/openai/tokenize_parser.h"
#include "server/service/json_text.h"

namespace krait::server {

namespace asio = boost::asio;

namespace {

HttpReply reply_with(Json body, const std::vector<std::string>& ignored_fields) {
  HttpReply reply{.body = dump_json(body), .headers = {}};
  if (!ignored_fields.empty()) reply.headers.emplace_back("x-krait-ignored-fields", header_list(ignored_fields));
  return reply;
}

HttpReply refuse(const Error& error, std::string& log) {
  log += " error=\"" + error.message + "\"";
  return error_reply(error);
}

}  // namespace

asio::awaitable<HttpReply> answer_tokenize(Endpoint endpoint, const std::string& body, HttpContext& context,
                                           std::string& log) {
  Result<Json> json = parse_json_object(body);
  if (!json.ok()) co_return refuse(json.error(), log);
  std::vector<std::string> ignored_fields;
  if (endpoint == Endpoint::kTokenize) {
    Result<TokenizeRequest> request = parse_tokenize_request(*json, ignored_fields);
    if (!request.ok()) co_return refuse(request.error(), log);
    std::function<void(std::function<void(Result<Tokenized>)>)> start = [&](auto done) {
      context.service.tokenize(std::move(*request), std::move(done));
    };
    Result<Tokenized> answer = co_await wait_for<Tokenized>(std::move(start));
    if (!answer.ok()) co_return refuse(answer.error(), log);
    co_return reply_with(tokenize_json(*answer), ignored_fields);
  }
  Result<DetokenizeRequest> request = parse_detokenize_request(*json, ignored_fields);
  if (!request.ok()) co_return refuse(request.error(), log);
  std::function<void(std::function<void(Result<std::string>)>)> start = [&](auto done) {
    context.service.detokenize(std::move(*request), std::move(done));
  };
  Result<std::string> answer = co_await wait_for<std::string>(std::move(start));
  if (!answer.ok()) co_return refuse(answer.error(), log);
  co_return reply_with({{"prompt", *answer}}, ignored_fields);
}

}  // namespace krait::server
