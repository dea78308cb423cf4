#pragma once

#include <vector>

#include "models/tokenizer/load_context.h"
#include "models/tokenizer/regex.h"

namespace krait {

/// What becomes of the delimiters that a Split finds.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

SplitBehavior parse_split_behavior(const std::string& name, const LoadContext& context);

/// A part of a piece: a delimiter, or the text between two.
struct SplitPart {
  Span span;
  bool is_delimiter = false;
};

/// The parts of `piece`, given the delimiters in it (offsets relative to its start); `invert` swaps the two roles.
std::vector<SplitPart> split_parts(Span piece, const std::vector<Span>& delimiters, bool invert);

/// Appends the pieces that the parts become; empty ones are left out.
void append_split(const std::vector<SplitPart>& parts, SplitBehavior behavior, std::vector<Span>& out);

/// Both at once, the short way where there is one: most pieces have no delimiter, most splits isolate theirs.
void append_split(Span piece, const std::vector<Span>& delimiters, bool invert, SplitBehavior behavior,
                  std::vector<Span>& out);

}  // namespace krait
