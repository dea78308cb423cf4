#include "server/service/ordered_parse.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace krait::server {
namespace {

using Json = nlohmann::ordered_json;

/// Builds a value from the parser's events, with an index of the keys of each object that is open.
class OrderedBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit OrderedBuilder(Json& root) : root_(root) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }  // no such thing in JSON text

  bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Level& level = open_.back();
    auto& object = level.value.get_ref<Json::object_t&>();
    const auto [entry, is_new] = level.index.emplace(name, object.size());
    if (is_new) object.emplace_back(name, Json());
    level.next = entry->second;
    return true;
  }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    if (const auto* parse = dynamic_cast<const Json::parse_error*>(&error)) throw *parse;
    throw error;
  }

 private:
  /// Containers are built aside and put into their parents when they are closed, because a growing parent would move
  /// them.
  struct Level {
    Json value;
    std::unordered_map<std::string, std::size_t> index;  ///< of an object's keys
    std::size_t next = 0;                                ///< the place in an object that the next value belongs to
  };

  bool open(Json container) {
    open_.push_back({.value = std::move(container), .index = {}, .next = 0});
    return true;
  }

  bool close() {
    Json done = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(done));
  }

  bool put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().value.is_array()) {
      open_.back().value.push_back(std::move(value));
    } else {
      auto& object = open_.back().value.get_ref<Json::object_t&>();
      (object.begin() + static_cast<std::ptrdiff_t>(open_.back().next))->second = std::move(value);
    }
    return true;
  }

  Json& root_;
  std::vector<Level> open_;
};

}  // namespace

nlohmann::ordered_json parse_ordered_json(std::string_view text) {
  Json value;
  OrderedBuilder builder(value);
  Json::sax_parse(text, &builder);
  return value;
}

}  // namespace krait::server
