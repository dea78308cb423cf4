#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace krait::server::jinja {

class RenderContext;
class Value;
struct Sequence;
struct Dict;

/// The arguments of a call.
struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// A function, a macro or a method with its object.
class Callable {
 public:
  virtual ~Callable() = default;
  virtual Value call(RenderContext& context, const CallArguments& arguments) const = 0;
  /// str(); fails for what prints as an address.
  [[nodiscard]] virtual std::string text() const;
  /// The attribute, or undefined.
  [[nodiscard]] virtual Value attribute(const std::string& name) const;
};

/// What has attributes that change: a namespace or `loop`. The RenderContext owns all of them, so that a namespace that
/// holds itself is no leak.
class Object {
 public:
  virtual ~Object() = default;
  [[nodiscard]] virtual std::string_view type_name() const = 0;
  /// The attribute, or undefined.
  [[nodiscard]] virtual Value attribute(const std::string& name) = 0;
  /// Sets an attribute; all but namespaces refuse.
  virtual void set_attribute(const std::string& name, Value value);
  /// What can be called: `loop` of a recursive loop. All others refuse.
  virtual Value call(RenderContext& context, const CallArguments& arguments);
  /// str(); fails for what prints as an address.
  [[nodiscard]] virtual std::string text() const;
};

/// A variable or attribute that is not there. Jinja lets it be printed, tested and iterated, and fails on anything
/// else.
struct Undefined {
  std::shared_ptr<const std::string> reason;  ///< what an operation on it says; null for a plain one
};
struct None {};

/// A value of the template language. Values are immutable (the sandbox of Jinja has no mutating methods either); copies
/// share.
class Value {
 public:
  using String = std::shared_ptr<const std::string>;
  using Data =
      std::variant<Undefined, None, bool, std::int64_t, double, std::uint64_t, String, std::shared_ptr<const Sequence>,
                   std::shared_ptr<const Dict>, std::shared_ptr<const Callable>, Object*>;

  Value() = default;  ///< undefined
  Value(None none) : data_(none) {}
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(std::shared_ptr<const Sequence> sequence) : data_(std::move(sequence)) {}
  Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  Value(std::shared_ptr<const Callable> callable) : data_(std::move(callable)) {}
  Value(Object* object) : data_(object) {}
  static Value undefined(std::string reason);
  /// An integer above the 64-bit signed range, as JSON may hold: it can be printed and compared for equality, no more.
  static Value large_integer(std::uint64_t value);
  /// Text that the filter `safe` or `escape` made: a Markup of Python's, which escapes what it is added to.
  static Value markup(std::string text);

  [[nodiscard]] bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  [[nodiscard]] bool is_none() const { return std::holds_alternative<None>(data_); }
  [[nodiscard]] bool is_bool() const { return std::holds_alternative<bool>(data_); }
  [[nodiscard]] bool is_float() const { return std::holds_alternative<double>(data_); }
  [[nodiscard]] bool is_integer() const { return std::holds_alternative<std::int64_t>(data_); }
  [[nodiscard]] bool is_large_integer() const { return std::holds_alternative<std::uint64_t>(data_); }
  [[nodiscard]] bool is_markup() const { return markup_; }
  /// int, float or bool, which Python counts as a number.
  [[nodiscard]] bool is_number() const { return is_bool() || is_integer() || is_float(); }

  /// The content, or null for a value of another type.
  [[nodiscard]] const std::string* string() const;
  [[nodiscard]] const Sequence* sequence() const;
  [[nodiscard]] const Dict* dict() const;
  [[nodiscard]] const Callable* callable() const;
  [[nodiscard]] Object* object() const;

  /// A bool or an int as an int; only for those (`is_number()` and not `is_float()`).
  [[nodiscard]] std::int64_t integer() const;
  /// Any number as a float.
  [[nodiscard]] double number() const;
  [[nodiscard]] const std::string& undefined_reason() const;
  [[nodiscard]] const Data& data() const { return data_; }

 private:
  Data data_;
  bool markup_ = false;  ///< of a string
};

enum class SequenceKind {
  kList,
  kTuple,
  kRange,
  kKeys,  ///< dict.keys(), as kValues and kItems: can be iterated and measured, not indexed
  kValues,
  kItems,
  kGenerator,  ///< what filters like `map` give: can be iterated once
};

struct Sequence {
  SequenceKind kind = SequenceKind::kList;
  std::vector<Value> items;
  int depth = 1;
  std::size_t weight = 1;         ///< see weight_of
  mutable std::size_t taken = 0;  ///< of a generator's items; a value lives within one rendering, so within one thread
  std::int64_t start = 0;         ///< of a range, as the next two
  std::int64_t stop = 0;
  std::int64_t step = 1;
  std::string_view field_names{};  ///< of a tuple with named fields ("grouper list"), else empty

  [[nodiscard]] bool is_view() const {
    return kind == SequenceKind::kKeys || kind == SequenceKind::kValues || kind == SequenceKind::kItems;
  }
};

/// Keys in order of insertion.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  int depth = 1;
  std::size_t weight = 1;  ///< see weight_of

  /// The value of a key, or null. Keys are compared as Python does (1 == 1.0 == true).
  [[nodiscard]] const Value* find(const Value& key) const;
  [[nodiscard]] const Value* find_name(std::string_view name) const;
  /// Adds, or replaces the value of a key that is there.
  void set(Value key, Value value);

 private:
  [[nodiscard]] std::size_t index_of(const Value& key) const;
  std::unordered_map<std::string, std::size_t> names_;   ///< string keys
  std::unordered_map<std::string, std::size_t> others_;  ///< all others, by hash_text
};

/// Fails for what cannot be a key: lists, dicts and what holds them.
void require_hashable(const Value& key);

/// Throw when the nesting gets too deep: what walks or frees values does so recursively.
Value make_sequence(SequenceKind kind, std::vector<Value> items);
/// A range with its items.
Value make_range(std::int64_t start, std::int64_t stop, std::int64_t step, std::vector<Value> items);
Value make_dict(Dict dict);

/// Python's type name, for messages and as Jinja's own.
std::string_view type_name(const Value& value);
/// Fails for an undefined value, as Jinja does for all operations but a few.
const Value& require_defined(const Value& value);

bool is_true(const Value& value);
bool equals(const Value& left, const Value& right);
/// `<`; fails where Python cannot compare.
bool less(const Value& left, const Value& right);
/// `needle in haystack`.
bool contains(const Value& haystack, const Value& needle);
/// The items of anything that can be iterated; keys of a dict, characters of a string. Uses a generator up.
std::vector<Value> iterate(const Value& value);
/// The same, counted as steps and memory.
std::vector<Value> iterate(RenderContext& context, const Value& value);
/// Puts the last `count` items of a generator back, after a loop that was left early.
void leave_rest(const Value& value, std::size_t count);
/// About how many bytes the value has when it is printed, what it holds counted as often as it is held. What walks a
/// value takes a time in proportion, and has to be counted by it.
std::size_t weight_of(const Value& value);
/// len(): fails for what has none.
std::int64_t length(const Value& value);

/// str(value), counted.
std::string to_text(RenderContext& context, const Value& value);
/// str(value): what `{{ value }}` prints. Fails for what prints as an address or a type of Python's.
std::string to_text(const Value& value);
/// repr(value): strings in quotes.
std::string to_repr(const Value& value);
/// A string in quotes.
std::string quoted(const std::string& text);
/// Python's shortest form that reads back the same.
std::string float_text(double value);

}  // namespace krait::server::jinja
