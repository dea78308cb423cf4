// Oniguruma compiles a pattern once; a search needs only scratch memory of its own, so one Regex serves all threads.
#include "models/tokenizer/regex.h"

#include <oniguruma.h>

#include <optional>

#include "models/tokenizer/code_point_classes.h"
#include "models/tokenizer/known_patterns.h"
#include "models/tokenizer/utf8.h"

namespace krait {
namespace {

/// Backtracking steps for one match. A megabyte of blanks needs a few million with the patterns in use; a pattern that
/// needs more than this on some text would hold a worker thread for seconds.
constexpr unsigned long kRetryLimit = 200'000'000;

const OnigUChar* bytes_of(const char* text) { return reinterpret_cast<const OnigUChar*>(text); }

void initialize_once() {
  static const bool done = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
    return true;
  }();
  static_cast<void>(done);
}

std::string message_of(int code, OnigErrorInfo* info) {
  OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length = info != nullptr ? onig_error_code_to_str(text, code, info) : onig_error_code_to_str(text, code);
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)};
}

/// The scratch memory of one search.
struct Search {
  OnigRegion* region = onig_region_new();
  OnigMatchParam* limits = onig_new_match_param();
  Search() {
    onig_initialize_match_param(limits);
    onig_set_retry_limit_in_match_of_match_param(limits, kRetryLimit);
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;
  ~Search() {
    onig_region_free(region, 1);
    onig_free_match_param(limits);
  }
};

/// Since version 6.9.9, which the reference has, Oniguruma counts symbols as [:punct:] too; this says so to older ones.
std::string with_symbols_as_punctuation(std::string pattern) {
  constexpr std::string_view kClass = "[:punct:]";
  constexpr std::string_view kMeant = "\\p{P}\\p{S}";
  for (std::size_t at = pattern.find(kClass); at != std::string::npos; at = pattern.find(kClass, at + kMeant.size())) {
    pattern.replace(at, kClass.size(), kMeant);
  }
  return pattern;
}

}  // namespace

void Regex::Free::operator()(re_pattern_buffer* compiled) const { onig_free(compiled); }

Regex::Regex(const std::string& pattern, const LoadContext& context, Engine engine) {
  if (engine == Engine::kFastest) scanner_ = find_scanner(pattern);
  if (scanner_ != nullptr) {
    CodePointClasses::instance();  // while loading, not with the first request
    return;
  }
  initialize_once();
  regex_t* compiled = nullptr;
  OnigErrorInfo info{};
  const std::string spelling = with_symbols_as_punctuation(pattern);
  const OnigUChar* begin = bytes_of(spelling.data());
  const int code = onig_new(&compiled, begin, begin + spelling.size(), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                            ONIG_SYNTAX_RUBY, &info);
  if (code != ONIG_NORMAL) context.corrupt("bad regular expression '" + pattern + "': " + message_of(code, &info));
  compiled_.reset(compiled);
}

Status Regex::find_all(std::string_view text, std::vector<Span>& out) const {
  if (scanner_ != nullptr) {
    scanner_(text, out);
    return ok_status();
  }
  const Search search;
  const OnigUChar* begin = bytes_of(text.data());
  const OnigUChar* end = begin + text.size();
  std::size_t from = 0;
  std::optional<std::size_t> last_end;
  while (from <= text.size()) {
    const int code = onig_search_with_param(compiled_.get(), begin, end, begin + from, end, search.region,
                                            ONIG_OPTION_NONE, search.limits);
    if (code == ONIG_MISMATCH) break;
    if (code < 0) {
      return Error{.code = ErrorCode::kInvalidArgument,
                   .message = "the tokenizer cannot split this text: " + message_of(code, nullptr),
                   .field = {}};
    }
    const Span match{.begin = static_cast<std::size_t>(search.region->beg[0]),
                     .end = static_cast<std::size_t>(search.region->end[0])};
    if (match.begin == match.end &&
        last_end == match.end) {  // an empty match right behind the last one: go on by a character
      if (from >= text.size()) break;
      next_code_point(text, from);
      continue;
    }
    out.push_back(match);
    from = match.end;
    last_end = match.end;
  }
  return ok_status();
}

}  // namespace krait
