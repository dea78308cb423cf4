#include "server/chat/output/json_scan.h"

#include "server/chat/output/call_body.h"

namespace krait::server {
namespace {

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80U) {
    out += static_cast<char>(code);
  } else if (code < 0x800U) {
    out += static_cast<char>(0xC0U | (code >> 6U));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else if (code < 0x10000U) {
    out += static_cast<char>(0xE0U | (code >> 12U));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  } else {
    out += static_cast<char>(0xF0U | (code >> 18U));
    out += static_cast<char>(0x80U | ((code >> 12U) & 0x3FU));
    out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
    out += static_cast<char>(0x80U | (code & 0x3FU));
  }
}

int hex_value(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

constexpr unsigned kReplacement = 0xFFFD;

}  // namespace

JsonValueScan::Step JsonValueScan::feed(char byte) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (byte == '\\') {
      escaped_ = true;
    } else if (byte == '"') {
      in_string_ = false;
      return open_.empty() ? Step::kDone : Step::kMore;
    }
    return Step::kMore;
  }
  if (in_word_) {
    const bool ends = is_blank(byte) || byte == ',' || byte == '}' || byte == ']' || byte == ':' || byte == '"' ||
                      byte == '{' || byte == '[' || byte == '<';
    return ends ? Step::kBefore : Step::kMore;
  }
  switch (byte) {
    case '"':
      in_string_ = true;
      return Step::kMore;
    case '{':
    case '[':
      if (open_.size() >= kMaxDepth) return Step::kBad;
      open_.push_back(byte == '{');
      return Step::kMore;
    case '}':
    case ']':
      if (open_.empty() || open_.back() != (byte == '}')) return Step::kBad;
      open_.pop_back();
      return open_.empty() ? Step::kDone : Step::kMore;
    default:
      if (!open_.empty()) return Step::kMore;
      if (byte == ',' || byte == ':') return Step::kBad;
      in_word_ = true;
      return Step::kMore;
  }
}

void JsonUnescape::end_unit(std::string& out) {
  hex_digits_ = -1;
  const bool is_low = unit_ >= 0xDC00U && unit_ < 0xE000U;
  if (high_ != 0U && is_low) {
    append_utf8(out, 0x10000U + ((high_ - 0xD800U) << 10U) + (unit_ - 0xDC00U));
    high_ = 0;
    return;
  }
  if (high_ != 0U) append_utf8(out, kReplacement);
  high_ = 0;
  if (unit_ >= 0xD800U && unit_ < 0xDC00U) {
    high_ = unit_;
  } else {
    append_utf8(out, is_low ? kReplacement : unit_);
  }
}

bool JsonUnescape::feed(char byte, std::string& out) {
  if (hex_digits_ >= 0) {
    const int digit = hex_value(byte);
    if (digit >= 0) {
      unit_ = unit_ * 16U + static_cast<unsigned>(digit);
      if (++hex_digits_ == 4) end_unit(out);
      return false;
    }
    // Not an escape: U+FFFD, and go on with this byte as text.
    hex_digits_ = -1;
    append_utf8(out, kReplacement);
  }
  if (escaped_) {
    escaped_ = false;
    if (byte == 'u') {
      hex_digits_ = 0;
      unit_ = 0;
      return false;
    }
    if (high_ != 0U) append_utf8(out, kReplacement);
    high_ = 0;
    switch (byte) {
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case 'r':
        out += '\r';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      default:
        out += byte;
    }
    return false;
  }
  if (byte == '\\') {
    escaped_ = true;
    return false;
  }
  if (high_ != 0U) append_utf8(out, kReplacement);
  high_ = 0;
  if (byte == '"') return true;
  out += byte;
  return false;
}

void append_json_escaped(std::string& out, char byte) {
  constexpr const char* kHex = "0123456789abcdef";
  switch (byte) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      break;
  }
  const auto value = static_cast<unsigned char>(byte);
  if (value >= 0x20U) {
    out += byte;
    return;
  }
  out += "\\u00";
  out += kHex[value >> 4U];
  out += kHex[value & 15U];
}

std::string json_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char byte : text) append_json_escaped(out, byte);
  out += '"';
  return out;
}

}  // namespace krait::server
