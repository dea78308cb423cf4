// Basic classes come from Oniguruma's ranges; the composed ones follow from them, code point by code point.
#include "models/tokenizer/code_point_classes.h"

#include <oniguruma.h>

#include "kernels/result.h"

namespace krait {
namespace {

constexpr std::size_t kCodePoints = 0x110000;
constexpr unsigned kSpaceCtype = 9;  ///< ONIGENC_CTYPE_SPACE, which is in no public header

bool is_newline(std::size_t c) { return c == '\r' || c == '\n'; }
bool is_common_cjk(std::size_t c) { return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF); }

/// The classes that are made of others.
unsigned composed(std::size_t code_point, unsigned bits) {
  const bool alphanumeric = (bits & (kLetter | kNumber)) != 0;
  unsigned result = 0;
  if (!alphanumeric && (bits & kSpace) == 0) result |= (bits & kMark) != 0 ? kOther : kOther | kOtherUnmarked;
  if (!alphanumeric && !is_newline(code_point)) result |= kNotAlphanumeric;
  if ((bits & (kLetter | kPunctuation)) == 0 && !is_newline(code_point)) result |= kNotLetterOrSign;
  if (is_common_cjk(code_point)) result |= kCommonCjk;
  if ((bits & kUpper) != 0 && (bits & kHan) == 0) result |= kUpperNotHan;
  if ((bits & kLower) != 0 && (bits & kHan) == 0) result |= kLowerNotHan;
  return result;
}

}  // namespace

const CodePointClasses& CodePointClasses::instance() {
  static const CodePointClasses instance;
  return instance;
}

CodePointClasses::CodePointClasses() : classes_(kCodePoints) {
  OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
  onig_initialize(encodings, 1);
  add_property("L", kLetter);
  add_property("M", kMark | kUpper | kLower);
  add_property("N", kNumber);
  add_property("Lu", kUpper);
  add_property("Lt", kUpper);
  add_property("Lm", kUpper | kLower);
  add_property("Lo", kUpper | kLower);
  add_property("Ll", kLower);
  add_property("P", kPunctuation);
  add_property("S", kPunctuation);
  add_property("Han", kHan);
  add_ctype(kSpaceCtype, kSpace);
  for (std::size_t c = 0; c < kCodePoints; ++c) {
    classes_[c] = static_cast<std::uint16_t>(classes_[c] | composed(c, classes_[c]));
  }
}

void CodePointClasses::add_property(std::string_view name, unsigned bits) {
  std::string text(name);
  auto* begin = reinterpret_cast<OnigUChar*>(text.data());
  const int ctype = ONIG_ENCODING_UTF8->property_name_to_ctype(ONIG_ENCODING_UTF8, begin, begin + text.size());
  if (ctype < 0) throw StartupError("the Oniguruma library has no property " + text);
  add_ctype(static_cast<unsigned>(ctype), bits);
}

void CodePointClasses::add_ctype(unsigned ctype, unsigned bits) {
  OnigCodePoint single_byte_end = 0;
  const OnigCodePoint* ranges = nullptr;  // the number of ranges, then first and last of each
  if (ONIG_ENCODING_UTF8->get_ctype_code_range(ctype, &single_byte_end, &ranges) != 0) {
    throw StartupError("the Oniguruma library has no ranges of the character type " + std::to_string(ctype));
  }
  for (OnigCodePoint i = 0; i < ranges[0]; ++i) {
    const std::size_t last = ranges[2 * i + 2];
    for (std::size_t c = ranges[2 * i + 1]; c <= last && c < kCodePoints; ++c) {
      classes_[c] = static_cast<std::uint16_t>(classes_[c] | bits);
    }
  }
}

}  // namespace krait
