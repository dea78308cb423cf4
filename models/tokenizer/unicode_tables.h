#pragma once

#include <span>

namespace krait {

/// A closed range of code points.
struct CodeRange {
  char32_t first = 0;
  char32_t last = 0;
};

/// Character classes above ASCII as the reference has them, in order. Its parts were built with the tables of different
/// Unicode versions, from 8 to 17, and text must be cut as it was when the models were trained: no library's own
/// tables do for all of them. The data of each is Unicode's; which version it is, was asked of the reference, character
/// by character.
struct UnicodeTables {
  std::span<const CodeRange> numeric;      ///< Nd, Nl, No
  std::span<const CodeRange> punctuation;  ///< P*
  std::span<const CodeRange> word;         ///< `\w`
  std::span<const CodeRange> mark;         ///< M*
  std::span<const CodeRange> non_spacing;  ///< Mn
  std::span<const CodeRange> other;        ///< Cc, Cf, Co
  /// Younger than the reference's tables of normalization: each stands for itself and reorders nothing.
  std::span<const CodeRange> not_normalized;
};

const UnicodeTables& unicode_tables();

/// Whether `c` lies in one of the ranges.
bool in_ranges(std::span<const CodeRange> ranges, char32_t c);

}  // namespace krait
