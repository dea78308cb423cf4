// The five behaviours are folds over the same parts, so each is a function from parts to pieces and nothing else.
#include "models/tokenizer/split_behavior.h"

#include <algorithm>

namespace krait {
namespace {

/// Each delimiter joins the text before it; one that follows a delimiter stands alone.
std::vector<Span> merged_with_previous(const std::vector<SplitPart>& parts) {
  std::vector<Span> result;
  bool after_delimiter = false;
  for (const SplitPart& part : parts) {
    if (part.is_delimiter && !after_delimiter && !result.empty()) {
      result.back().end = part.span.end;
    } else {
      result.push_back(part.span);
    }
    after_delimiter = part.is_delimiter;
  }
  return result;
}

/// The mirror image of the above.
std::vector<Span> merged_with_next(const std::vector<SplitPart>& parts) {
  std::vector<Span> result;
  bool before_delimiter = false;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (part->is_delimiter && !before_delimiter && !result.empty()) {
      result.back().begin = part->span.begin;
    } else {
      result.push_back(part->span);
    }
    before_delimiter = part->is_delimiter;
  }
  std::reverse(result.begin(), result.end());
  return result;
}

std::vector<Span> contiguous(const std::vector<SplitPart>& parts) {
  std::vector<Span> result;
  bool last = false;
  for (const SplitPart& part : parts) {
    if (part.is_delimiter == last && !result.empty()) {
      result.back().end = part.span.end;
    } else {
      result.push_back(part.span);
    }
    last = part.is_delimiter;
  }
  return result;
}

std::vector<Span> all_but(const std::vector<SplitPart>& parts, bool drop_delimiters) {
  std::vector<Span> result;
  for (const SplitPart& part : parts) {
    if (!(drop_delimiters && part.is_delimiter)) result.push_back(part.span);
  }
  return result;
}

std::vector<Span> pieces_of(const std::vector<SplitPart>& parts, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      return all_but(parts, true);
    case SplitBehavior::kMergedWithPrevious:
      return merged_with_previous(parts);
    case SplitBehavior::kMergedWithNext:
      return merged_with_next(parts);
    case SplitBehavior::kContiguous:
      return contiguous(parts);
    case SplitBehavior::kIsolated:
      break;
  }
  return all_but(parts, false);
}

}  // namespace

SplitBehavior parse_split_behavior(const std::string& name, const LoadContext& context) {
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  context.corrupt("pre_tokenizer.behavior '" + name +
                  "' is unknown. Valid ones: Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

std::vector<SplitPart> split_parts(Span piece, const std::vector<Span>& delimiters, bool invert) {
  std::vector<SplitPart> parts;
  parts.reserve(2 * delimiters.size() + 1);
  std::size_t done = piece.begin;
  for (const Span& found : delimiters) {
    const Span span{.begin = piece.begin + found.begin, .end = piece.begin + found.end};
    if (done != span.begin) parts.push_back({.span = {.begin = done, .end = span.begin}, .is_delimiter = invert});
    parts.push_back({.span = span, .is_delimiter = !invert});
    done = span.end;
  }
  if (done != piece.end) parts.push_back({.span = {.begin = done, .end = piece.end}, .is_delimiter = invert});
  return parts;
}

void append_split(const std::vector<SplitPart>& parts, SplitBehavior behavior, std::vector<Span>& out) {
  for (const Span& piece : pieces_of(parts, behavior)) {
    if (piece.begin != piece.end) out.push_back(piece);
  }
}

void append_split(Span piece, const std::vector<Span>& delimiters, bool invert, SplitBehavior behavior,
                  std::vector<Span>& out) {
  if (behavior != SplitBehavior::kIsolated && (invert || !delimiters.empty())) {
    append_split(split_parts(piece, delimiters, invert), behavior, out);
    return;
  }
  const auto append = [&out](Span part) {
    if (part.begin != part.end) out.push_back(part);
  };
  std::size_t done = piece.begin;
  for (const Span& found : delimiters) {
    append({.begin = done, .end = piece.begin + found.begin});
    append({.begin = piece.begin + found.begin, .end = piece.begin + found.end});
    done = piece.begin + found.end;
  }
  append({.begin = done, .end = piece.end});
}

}  // namespace krait
