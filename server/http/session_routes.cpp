#include "server/http/session_routes.h"

#include <functional>
#include <memory>
#include <utility>

#include "server/http/header_list.h"
#include "server/http/wait_for.h"
#include "server/openai/field_reader.h"
#include "server/openai/responses.h"
#include "server/service/json_text.h"
#include "server/service/session_service.h"

namespace krait::server {

namespace asio = boost::asio;

namespace {

Json session_json(const SessionInfo& info) {
  return {{"object", "session"},           {"name", info.name},  {"model", info.model}, {"created", info.created},
          {"num_tokens", info.num_tokens}, {"bytes", info.bytes}};
}

HttpReply json_reply(const Json& body) { return HttpReply{.body = dump_json(body), .headers = {}}; }

/// Memory that is full stays so until somebody deletes: that is 507, not "try again later".
HttpReply session_error(const Error& error, std::string& log) {
  log += " error=\"" + error.message + "\"";
  if (error.code != ErrorCode::kResourceExhausted || error.field != "name") return error_reply(error);
  return HttpReply{.status = 507,
                   .body = error_body(error.message, "insufficient_storage_error", "session_memory_full"),
                   .headers = {}};
}

/// A request that runs can be saved later: a conflict with what is now.
HttpReply still_running(const Error& error) {
  return HttpReply{
      .status = 409, .body = error_body(error.message, "invalid_request_error", "request_running"), .headers = {}};
}

HttpReply info_reply(const Result<SessionInfo>& info, std::string& log) {
  return info.ok() ? json_reply(session_json(*info)) : session_error(info.error(), log);
}

/// The two text fields that bodies here have.
struct SessionBody {
  std::string name;
  std::string request_id;
  std::vector<std::string> ignored;
};

Result<SessionBody> read_body(const std::string& text, bool has_request_id) {
  const Result<Json> json = parse_json_object(text);
  if (!json.ok()) return json.error();
  FieldReader reader(*json);
  const auto field = [&](const char* name) {
    auto value = reader.text(name);
    if (!value.has_value()) reader.fail(name, "a string", nullptr);
    return value.value_or(std::string());
  };
  SessionBody body;
  body.name = field("name");
  if (has_request_id) body.request_id = field("request_id");
  if (Status status = reader.status(); !status.ok()) return std::move(status).error();
  body.ignored = reader.unknown();
  return body;
}

void name_ignored(const SessionBody& body, HttpReply& reply) {
  if (!body.ignored.empty()) reply.headers.emplace_back("x-krait-ignored-fields", header_list(body.ignored));
}

asio::awaitable<HttpReply> save(const std::string& text, SessionService& sessions, std::string& log) {
  Result<SessionBody> body = read_body(text, true);
  if (!body.ok()) co_return session_error(body.error(), log);
  log += " name=" + header_list({body->name}) + " request_id=" + header_list({body->request_id});
  if (sessions.recent().is_running(body->request_id)) {
    const auto running = sessions.recent().find(body->request_id);
    if (!running.ok()) co_return still_running(running.error());
  }
  std::function<void(std::function<void(Result<SessionInfo>)>)> start = [&](auto done) {
    sessions.save(body->name, body->request_id, std::move(done));
  };
  const Result<SessionInfo> info = co_await wait_for<SessionInfo>(std::move(start));
  HttpReply reply = info_reply(info, log);
  name_ignored(*body, reply);
  co_return reply;
}

HttpReply list(const SessionService& sessions) {
  Json data = Json::array();
  for (const SessionInfo& info : sessions.list()) data.push_back(session_json(info));
  return json_reply({{"object", "list"}, {"data", std::move(data)}});
}

HttpReply fork(const std::string& name, const std::string& text, SessionService& sessions, std::string& log) {
  const Result<SessionBody> body = read_body(text, false);
  if (!body.ok()) return session_error(body.error(), log);
  HttpReply reply = info_reply(sessions.fork(name, body->name), log);
  name_ignored(*body, reply);
  return reply;
}

HttpReply erase(const std::string& name, SessionService& sessions, std::string& log) {
  const Status status = sessions.erase(name);
  if (!status.ok()) return session_error(status.error(), log);
  return json_reply({{"name", name}, {"object", "session"}, {"deleted", true}});
}

asio::awaitable<HttpReply> load(const std::string& name, std::string bytes, SessionService& sessions,
                                std::string& log) {
  std::function<void(std::function<void(Result<SessionInfo>)>)> start = [&](auto done) {
    sessions.load(name, std::move(bytes), std::move(done));
  };
  const Result<SessionInfo> info = co_await wait_for<SessionInfo>(std::move(start));
  co_return info_reply(info, log);
}

/// The image goes out of the session itself: no file is ever in memory twice.
asio::awaitable<void> send_file(const std::string& name, SessionService& sessions, ResponseWriter& writer,
                                std::string& log) {
  std::function<void(std::function<void(Result<SessionFile>)>)> start = [&](auto done) {
    sessions.file(name, std::move(done));
  };
  const Result<SessionFile> file = co_await wait_for<SessionFile>(std::move(start));
  if (!file.ok()) {
    HttpReply reply = session_error(file.error(), log);
    co_await writer.send(std::move(reply));
    co_return;
  }
  const std::vector<std::string_view> parts = {file->before, file->session->image, file->after};
  HttpReply head{.content_type = "application/octet-stream", .body = {}, .headers = {}};
  head.headers.emplace_back("Content-Disposition", "attachment; filename=\"" + name + ".session\"");
  co_await writer.send_parts(std::move(head), parts);
}

asio::awaitable<HttpReply> answer(const Route& route, std::string body, SessionService& sessions, std::string& log) {
  switch (route.endpoint) {
    case Endpoint::kSaveSession:
      co_return co_await save(body, sessions, log);
    case Endpoint::kForkSession:
      co_return fork(route.parameter, body, sessions, log);
    case Endpoint::kDeleteSession:
      co_return erase(route.parameter, sessions, log);
    case Endpoint::kPutSessionFile:
      co_return co_await load(route.parameter, std::move(body), sessions, log);
    default:
      co_return list(sessions);
  }
}

}  // namespace

bool is_session_endpoint(Endpoint endpoint) {
  return endpoint == Endpoint::kSaveSession || endpoint == Endpoint::kListSessions ||
         endpoint == Endpoint::kForkSession || endpoint == Endpoint::kDeleteSession ||
         endpoint == Endpoint::kGetSessionFile || endpoint == Endpoint::kPutSessionFile;
}

asio::awaitable<void> answer_sessions(const Route& route, std::string body, HttpContext& context,
                                      ResponseWriter& writer, std::string& log) {
  SessionService* sessions = context.service.sessions();
  if (sessions == nullptr) {
    HttpReply reply = session_error(sessions_off({}), log);
    co_await writer.send(std::move(reply));
    co_return;
  }
  // Not an empty list while loading: a client would take it for an answer.
  if (const Result<ServedModel> any = context.service.find_model({}); !any.ok()) {
    HttpReply reply = session_error(any.error(), log);
    co_await writer.send(std::move(reply));
    co_return;
  }
  if (route.endpoint == Endpoint::kGetSessionFile) {
    co_await send_file(route.parameter, *sessions, writer, log);
    co_return;
  }
  HttpReply reply = co_await answer(route, std::move(body), *sessions, log);
  co_await writer.send(std::move(reply));
}

}  // namespace krait::server
