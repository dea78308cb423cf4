#include "server/http/generation_stream.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>

#include "server/http/header_list.h"
#include "server/openai/request_parser.h"
#include "server/openai/responses.h"
#include "server/service/json_text.h"

namespace krait::server {

namespace asio = boost::asio;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// Lets a coroutine wait for the events of a Generation, which come from workers' threads. The timer never fires by
/// itself: cancelling it on the connection's strand is the signal. An event between a look and the wait is not lost,
/// because its signal is handled on that strand too, and so after the wait has begun.
class EventReader {
 public:
  EventReader(asio::any_io_executor executor, Generation& generation)
      : generation_(generation), timer_(std::make_shared<asio::steady_timer>(executor)) {
    timer_->expires_at(asio::steady_timer::time_point::max());
    generation_.set_listener([executor, timer = timer_] { asio::post(executor, [timer] { timer->cancel(); }); });
  }
  ~EventReader() { generation_.set_listener({}); }
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;

  asio::awaitable<GenerationEvent> next() {
    for (;;) {
      if (auto event = generation_.try_pop()) co_return std::move(*event);
      boost::system::error_code woken;
      co_await timer_->async_wait(asio::redirect_error(asio::use_awaitable, woken));
    }
  }

 private:
  Generation& generation_;
  std::shared_ptr<asio::steady_timer> timer_;
};

/// `created` is the time of the answer; the id and the model are the service's.
ResponseHead make_head(const OpenAiRequest& request, const Generation& generation) {
  return ResponseHead{
      .kind = request.kind,
      .id = generation.id(),
      .model = generation.model(),
      .created =
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(),
      .logprobs = request.logprobs,
      .return_token_ids = request.generation.return_token_ids,
      .include_usage = request.include_usage};
}

std::string usage_words(const Usage& usage) {
  return " prompt=" + std::to_string(usage.prompt_tokens) + " generated=" + std::to_string(usage.completion_tokens);
}

/// Everything that one answer needs while it is written.
struct Answer {
  const Service& service;
  Generation& generation;
  EventReader& events;
  ResponseWriter& writer;
  ResponseHead head;
  Headers headers;
  std::string& log;
};

/// Nothing is written before the end, so an error at any time has its own status.
asio::awaitable<void> answer_whole(Answer& answer) {
  ResponseBuilder builder(answer.head);
  for (;;) {
    const GenerationEvent event = co_await answer.events.next();
    if (const auto* prompt = std::get_if<PromptEcho>(&event)) builder.add(*prompt);
    if (const auto* delta = std::get_if<Delta>(&event)) builder.add(*delta);
    if (const auto* finished = std::get_if<ChoiceFinished>(&event)) builder.add(*finished);
    if (const auto* error = std::get_if<Error>(&event)) {
      answer.log += " error=\"" + error->message + "\"";
      HttpReply reply = error_reply(*error, answer.service.queue_times().retry_after_seconds());
      co_await answer.writer.send(std::move(reply));
      co_return;
    }
    if (const auto* completed = std::get_if<Completed>(&event)) {
      answer.log += usage_words(completed->usage);
      HttpReply reply{.body = builder.body(completed->usage), .headers = answer.headers};
      co_await answer.writer.send(std::move(reply));
      co_return;
    }
  }
}

/// Writes what is there in one go: a reader that fell behind catches up in fewer, larger pieces.
asio::awaitable<void> answer_stream(Answer& answer, GenerationEvent event) {
  StreamFormatter formatter(answer.head);
  bool alive = co_await answer.writer.begin_events(answer.headers);
  while (alive) {
    std::string frames = formatter.frames(event);
    while (!is_last(event)) {
      auto more = answer.generation.try_pop();
      if (!more.has_value()) break;
      event = std::move(*more);
      frames += formatter.frames(event);
    }
    if (const auto* completed = std::get_if<Completed>(&event)) answer.log += usage_words(completed->usage);
    if (const auto* error = std::get_if<Error>(&event)) answer.log += " error=\"" + error->message + "\"";
    if (!frames.empty()) alive = co_await answer.writer.send_events(frames);
    if (!alive) co_return;
    if (is_last(event)) {
      co_await answer.writer.end_events();
      co_return;
    }
    event = co_await answer.events.next();
  }
}

/// The status of a streamed answer is known with the first event: an error before anything was generated is an ordinary
/// error.
asio::awaitable<void> answer_events(Answer& answer) {
  GenerationEvent first = co_await answer.events.next();
  if (const auto* error = std::get_if<Error>(&first)) {
    answer.log += " error=\"" + error->message + "\"";
    HttpReply reply = error_reply(*error, answer.service.queue_times().retry_after_seconds());
    co_await answer.writer.send(std::move(reply));
    co_return;
  }
  co_await answer_stream(answer, std::move(first));
}

Result<OpenAiRequest> parse_body(Endpoint endpoint, const std::string& body) {
  Result<Json> json = parse_json_object(body);
  if (!json.ok()) return std::move(json).error();
  return parse_openai_request(endpoint == Endpoint::kChat ? ApiKind::kChat : ApiKind::kCompletions, *json);
}

}  // namespace

asio::awaitable<void> answer_generation(Endpoint endpoint, const std::string& body, HttpContext& context,
                                        ResponseWriter& writer, std::string& log) {
  Result<OpenAiRequest> request = parse_body(endpoint, body);
  if (!request.ok()) {
    log += " error=\"" + request.error().message + "\"";
    HttpReply reply = error_reply(request.error());
    co_await writer.send(std::move(reply));
    co_return;
  }
  request->generation.id = make_request_id(endpoint == Endpoint::kChat ? "chatcmpl-" : "cmpl-");
  log += " id=" + request->generation.id;
  Headers headers = {{"x-request-id", request->generation.id}};
  if (!request->ignored_fields.empty())
    headers.emplace_back("x-krait-ignored-fields", header_list(request->ignored_fields));

  const std::unique_ptr<Generation> generation = context.service.generate(request->generation);
  EventReader events(co_await asio::this_coro::executor, *generation);
  Answer answer{.service = context.service,
                .generation = *generation,
                .events = events,
                .writer = writer,
                .head = make_head(*request, *generation),
                .headers = std::move(headers),
                .log = log};
  if (request->generation.stream)
    co_await answer_events(answer);
  else
    co_await answer_whole(answer);
}

}  // namespace krait::server
