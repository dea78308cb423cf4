#include <catch2/catch.hpp>
#include <future>
#include <memory>

#include "server/service/answer_record.h"
#include "server/service/recent_requests.h"
#include "server/service/service.h"
#include "server/service/session_file.h"
#include "server/service/session_prompt.h"
#include "server/service/session_store.h"
#include "tests/server/fake_engine.h"
#include "tests/temp_folder.h"

namespace krait::server {
namespace {

using Catch::Contains;

std::shared_ptr<const Session> make_session(std::size_t image_bytes, std::vector<std::int32_t> tokens = {1, 2, 3}) {
  Session session{.model = "m", .cache_salt = {}, .isolation = {}, .tokens = std::move(tokens)};
  session.image.assign(image_bytes, '\xAB');
  return std::make_shared<const Session>(std::move(session));
}

std::string bytes_of(const SessionFile& file) { return file.before + file.session->image + file.after; }

TEST_CASE("A session's name is a file's name") {
  for (const char* name : {"a", "A-b_c.9", "-", "0123456789012345678901234567890123456789012345678901234567890123"}) {
    CHECK(check_session_name(name, "name").ok());
  }
  for (const char* name : {"", ".", "..", ".a", "a/b", "a b", "a\n", "\xC3\xA4",
                           "01234567890123456789012345678901234567890123456789012345678901234"}) {
    const Status status = check_session_name(name, "name");
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().field == "name");
  }
}

TEST_CASE("Recent requests are found until they are too many or too large") {
  RecentRequests recent(3, 4096);
  const auto finish = [&](const std::string& id, std::size_t tokens) {
    recent.begin(id);
    CHECK(recent.is_running(id));
    recent.finish(id, {.model = "m", .cache_salt = {}, .isolation = {}, .tokens = std::vector<std::int32_t>(tokens)});
  };
  for (const char* id : {"a", "b", "c", "d"}) finish(id, 1);
  CHECK(recent.find("a").error().code == ErrorCode::kNotFound);
  REQUIRE(recent.find("b").ok());
  CHECK((*recent.find("b"))->tokens.size() == 1);
  finish("e", 500);  // 2,000 bytes beside the small ones
  CHECK(recent.find("e").ok());
  CHECK(recent.find("d").ok());
  finish("f", 500);
  CHECK_FALSE(recent.find("e").ok());
  finish("g", 5000);  // larger than all that may be kept
  CHECK_FALSE(recent.find("g").ok());
  CHECK_FALSE(recent.find("f").ok());
}

TEST_CASE("A request that runs, failed or was never seen cannot be saved, each with its reason") {
  RecentRequests recent;
  recent.begin("a");
  CHECK_THAT(recent.find("a").error().message, Contains("still running"));
  recent.fail("a", "the queue was full");
  CHECK_THAT(recent.find("a").error().message, Contains("the queue was full"));
  CHECK(recent.find("a").error().code == ErrorCode::kInvalidArgument);
  // What comes first counts: readers let go of a request after its end too.
  recent.begin("b");
  recent.finish("b", {.model = "m", .cache_salt = {}, .isolation = {}, .tokens = {1}});
  recent.fail("b", "cancelled");
  CHECK(recent.find("b").ok());
  recent.finish("c", {});
  CHECK(recent.find("c").error().code == ErrorCode::kNotFound);
}

TEST_CASE("A store counts what names share once, and changes nothing where there is no room") {
  const auto small = make_session(100);
  const std::size_t size = small->bytes();
  CHECK(size == 100 + 3 * sizeof(std::int32_t));
  SessionStore store(2 * size + 50);
  REQUIRE(store.put("a", small, 5).ok());
  for (int i = 0; i < 10; ++i) REQUIRE(store.put("fork" + std::to_string(i), small, 6).ok());
  REQUIRE(store.put("b", make_session(100), 7).ok());
  const auto full = store.put("c", make_session(100), 7);
  REQUIRE_FALSE(full.ok());
  CHECK(full.error().code == ErrorCode::kResourceExhausted);
  CHECK_THAT(full.error().message, Contains(std::to_string(2 * size + 50)) && Contains(std::to_string(2 * size)));
  CHECK_FALSE(store.find("c", "name").ok());
  // In place of one that nobody else has, there is room.
  CHECK(store.put("b", make_session(110), 7).ok());
  CHECK_FALSE(store.put("a", make_session(110), 7).ok());
  CHECK(store.find("a", "name")->session == small);
  for (int i = 0; i < 10; ++i) REQUIRE(store.erase("fork" + std::to_string(i)).ok());
  CHECK(store.put("a", make_session(110), 7).ok());
  CHECK(store.list().size() == 2);
  CHECK(store.erase("nobody").error().code == ErrorCode::kNotFound);
  REQUIRE(store.erase("a").ok());
  REQUIRE(store.erase("b").ok());
  CHECK(store.put("large", make_session(200), 7).ok());
}

TEST_CASE("A session file is read back; every truncation and every flipped bit is refused") {
  Session session{.model = "a model", .cache_salt = "salt", .isolation = "x", .tokens = {0, 7, 2147483647}};
  session.messages = Json::parse(R"([{"role": "user", "content": "hé"}, {"role": "assistant", "content": ""}])");
  session.image = std::string("image\0bytes", 11);
  const auto shared = std::make_shared<const Session>(session);
  const SessionFile file = make_session_file(shared, 1234567890);
  const std::string bytes = bytes_of(file);
  CHECK(file.size() == bytes.size());
  const Result<ReadSession> read = read_session_file(bytes);
  REQUIRE(read.ok());
  CHECK(read->created == 1234567890);
  CHECK(read->session.model == "a model");
  CHECK(read->session.salt() == session.salt());
  CHECK(read->session.tokens == session.tokens);
  CHECK(read->session.messages == session.messages);
  CHECK(read->session.image == session.image);

  for (std::size_t length = 0; length < bytes.size(); ++length) {
    CHECK_FALSE(read_session_file(bytes.substr(0, length)).ok());
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    CHECK_FALSE(read_session_file(damaged).ok());
  }
  CHECK_FALSE(read_session_file(bytes + "x").ok());
}

TEST_CASE("A session file with a good checksum and bad contents is refused too") {
  Session session{.model = "m", .cache_salt = {}, .isolation = {}, .tokens = {}};
  const auto read = [](const Session& from) {
    return read_session_file(bytes_of(make_session_file(std::make_shared<const Session>(from), 1)));
  };
  CHECK_THAT(read(session).error().message, Contains("tokens"));
  session.tokens = {-1};
  CHECK_THAT(read(session).error().message, Contains("tokens"));
  session.tokens = {1};
  CHECK(read(session).ok());
  for (const char* messages : {"[]", "{}", "3", "[3]", "[{}]", R"([{"role": 1}])"}) {
    session.messages = Json::parse(messages);
    CHECK_THAT(read(session).error().message, Contains("messages"));
  }
}

TEST_CASE("An answer becomes the message that a client would send back") {
  AnswerRecord record;
  const auto token = [](std::int32_t id) {
    OutputToken out;
    out.chosen.id = id;
    return out;
  };
  record.add({.index = 0, .text = "Hel", .tokens = {token(4)}});
  record.add({.index = 0, .text = "lo", .tokens = {token(5)}, .reasoning = "hm"});
  record.add({.index = 0, .tool_calls = {{0, "call_1", "f", "{\"a\""}, {0, "", "", ": 1}"}, {1, "call_2", "g", "{"}}});
  CHECK(record.ids() == std::vector<std::int32_t>{4, 5});
  CHECK(dump_json(record.message()) ==
        R"({"role":"assistant","content":"Hello","reasoning_content":"hm","tool_calls":[)"
        R"({"id":"call_1","type":"function","function":{"name":"f","arguments":{"a":1}}},)"
        R"({"id":"call_2","type":"function","function":{"name":"g","arguments":"{"}}]})");
  AnswerRecord more;
  more.add({.index = 0, .text = " there"});
  CHECK(more.message_after({{"role", "assistant"}, {"content", "Hi"}})["content"] == "Hi there");
}

/// Spells like a ByteTokenizer, but cuts a text into pairs where it can: other tokens than a model may have written.
class PairTokenizer : public ByteTokenizer {
 public:
  [[nodiscard]] Result<std::vector<std::int32_t>> encode(std::string_view text, EncodeOptions options) const override {
    Result<std::vector<std::int32_t>> bytes = ByteTokenizer::encode(text, options);
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < bytes->size(); ++i) {
      const bool pair = i + 1 < bytes->size() && (*bytes)[i] == 'a' && (*bytes)[i + 1] == 'b';
      ids.push_back(pair ? kPair : (*bytes)[i]);
      if (pair) ++i;
    }
    return ids;
  }
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, bool skip) const override {
    std::string text;
    for (std::int32_t id : ids) text += id == kPair ? "ab" : token_bytes(id, skip);
    return text;
  }
  static constexpr std::int32_t kPair = 200;
};

TEST_CASE("A conversation keeps the session's tokens where they spell its beginning") {
  FakeEngine engine;
  ServedModel model = fake_model(engine);
  model.tokenizer = std::make_shared<PairTokenizer>();
  const auto session = make_session(0, {'x', 'a', 'b'});
  CHECK(*encode_conversation(*session, "xabab!", model) ==
        std::vector<std::int32_t>{'x', 'a', 'b', PairTokenizer::kPair, '!'});
  // Shown differently now: all of it is encoded.
  CHECK(*encode_conversation(*session, "yabab!", model) ==
        std::vector<std::int32_t>{'y', PairTokenizer::kPair, PairTokenizer::kPair, '!'});
  CHECK(*encode_conversation(*session, "xa", model) == std::vector<std::int32_t>{'x', 'a'});
}

struct SessionFixture {
  explicit SessionFixture(const std::string& directory = {}) {
    service.enable_sessions({.max_bytes = 100000, .directory = directory});
    service.add_model(fake_model(engine));
  }
  Error run(GenerationRequest request) {
    const auto generation = service.generate(std::move(request));
    for (;;) {
      GenerationEvent event = generation->pop();
      if (auto* error = std::get_if<Error>(&event)) return *error;
      if (is_last(event)) return Error{.code = ErrorCode::kInternal, .message = "", .field = {}};
    }
  }
  Result<SessionInfo> save(const std::string& name, const std::string& id) {
    std::promise<Result<SessionInfo>> promise;
    service.sessions()->save(name, id, [&](Result<SessionInfo> info) { promise.set_value(std::move(info)); });
    return promise.get_future().get();
  }
  static GenerationRequest chat(const std::string& id, const std::string& text) {
    GenerationRequest request;
    request.id = id;
    request.chat.emplace();
    request.chat->messages.push_back({{"role", "user"}, {"content", text}});
    request.sampling.max_tokens = 4;
    return request;
  }
  FakeEngine engine;
  Service service;
};

TEST_CASE_METHOD(SessionFixture, "A saved chat goes on with its messages, its tokens and its salt") {
  GenerationRequest first = chat("one", "abc");
  first.cache_salt = "mine";
  CHECK(run(first).message.empty());
  const Result<SessionInfo> info = save("s", "one");
  REQUIRE(info.ok());
  CHECK(info->num_tokens == 7);
  // Saving computes what may be missing, and nothing beyond.
  const EngineRequest computed = engine.submitted().back();
  CHECK(computed.sampling.max_tokens == 0);
  CHECK(computed.prompt == std::vector<std::int32_t>{'a', 'b', 'c', 'a', 'b', 'c', 'a'});
  CHECK(computed.cache_salt == "mine");

  GenerationRequest next = chat("two", "xyz");
  next.session = "s";
  CHECK(run(next).message.empty());
  const EngineRequest continued = engine.submitted().back();
  CHECK(continued.prompt == std::vector<std::int32_t>{'a', 'b', 'c', 'a', 'b', 'c', 'a', 'x', 'y', 'z'});
  CHECK(continued.cache_salt == "mine");
  REQUIRE(save("t", "two").ok());
  CHECK(service.sessions()->find("t", "name")->session->messages.size() == 4);

  next.cache_salt = "other";
  CHECK(run(next).field == "cache_salt");
  next.cache_salt = "mine";
  CHECK(run(next).message.empty());
}

TEST_CASE_METHOD(SessionFixture, "A loaded file is kept apart from what others compute") {
  CHECK(run(chat("one", "abc")).message.empty());
  REQUIRE(save("s", "one").ok());
  const auto load = [&](const std::string& name, std::string bytes) {
    std::promise<Result<SessionInfo>> promise;
    service.sessions()->load(name, std::move(bytes), [&](Result<SessionInfo> i) { promise.set_value(std::move(i)); });
    return promise.get_future().get();
  };
  const NamedSession saved = *service.sessions()->find("s", "name");
  const std::string file = bytes_of(make_session_file(saved.session, 77));
  const Result<SessionInfo> info = load("loaded", file);
  REQUIRE(info.ok());
  CHECK(info->created == 77);
  GenerationRequest next = chat("two", "xyz");
  next.session = "loaded";
  CHECK(run(next).message.empty());
  CHECK(engine.submitted().back().cache_salt != "");
  REQUIRE(load("again", file).ok());
  CHECK(service.sessions()->find("again", "name")->session->salt() !=
        service.sessions()->find("loaded", "name")->session->salt());
  // An image of other tokens than the session's.
  Session forged = *saved.session;
  forged.tokens = std::vector<std::int32_t>(40, 'z');
  const std::string context = std::string(20, 'q');
  CHECK(run(chat("long", context)).message.empty());
  REQUIRE(save("long", "long").ok());
  forged.image = service.sessions()->find("long", "name")->session->image;
  CHECK_THAT(load("forged", bytes_of(make_session_file(std::make_shared<const Session>(forged), 1))).error().message,
             Contains("not of its tokens"));
  CHECK_FALSE(load("bad name", file).ok());
}

TEST_CASE("The directory's sessions are there as soon as the model is") {
  const test::TempFolder folder;
  const std::string& directory = folder.path();
  {
    SessionFixture first(directory);
    CHECK(first.run(SessionFixture::chat("one", "abc")).message.empty());
    REQUIRE(first.save("s", "one").ok());
  }
  SessionFixture second(directory);
  REQUIRE(second.service.sessions()->list().size() == 1);
  CHECK(second.service.sessions()->list()[0].num_tokens == 7);
  // The same model by a second name: the session stays the first one's.
  ServedModel alias = fake_model(second.engine);
  alias.name = "alias";
  second.service.add_model(alias);
  REQUIRE(second.service.sessions()->list().size() == 1);
  CHECK(second.service.sessions()->list()[0].model == fake_model(second.engine).name);
}

TEST_CASE_METHOD(SessionFixture, "Requests that fail are remembered as such") {
  engine.fail_with(Error{.code = ErrorCode::kInternal, .message = "a fault", .field = {}});
  CHECK(run(chat("one", "abc")).message == "a fault");
  CHECK_THAT(save("s", "one").error().message, Contains("a fault"));
  engine.fail_with(std::nullopt);
  GenerationRequest two = chat("two", "abc");
  two.n = 2;
  CHECK(run(two).message.empty());
  CHECK_THAT(save("s", "two").error().message, Contains("2 choices"));
}

}  // namespace
}  // namespace krait::server
