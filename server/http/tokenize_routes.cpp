#include "server/http/tokenize_routes.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "server/http/header_list.h"
#include "server/openai/json_text.h"
#include "server/openai/tokenize_parser.h"

namespace krait::server {

namespace asio = boost::asio;

namespace {

/// Waits for a result that a worker hands over. The callback may outlive the wait, and sets the result on the
/// connection's strand only.
template <typename T>
asio::awaitable<Result<T>> wait_for(std::function<void(std::function<void(Result<T>)>)> start) {
  struct Waiting {
    explicit Waiting(asio::any_io_executor on) : executor(on), woken(on, asio::steady_timer::time_point::max()) {}
    asio::any_io_executor executor;
    asio::steady_timer woken;
    std::optional<Result<T>> result;
  };
  auto waiting = std::make_shared<Waiting>(co_await asio::this_coro::executor);
  start([waiting](Result<T> result) {
    asio::post(waiting->executor, [waiting, result = std::move(result)]() mutable {
      waiting->result.emplace(std::move(result));
      waiting->woken.cancel();
    });
  });
  while (!waiting->result.has_value()) {
    boost::system::error_code ignored;
    co_await waiting->woken.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::move(*waiting->result);
}

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
