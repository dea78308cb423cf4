#pragma once

namespace krait {

/// Of the blank, and of characters without a script.
constexpr int kAnyScript = 0;

/// A number for the script of a character (Unicode's Scripts.txt), as SentencePiece splits at scripts: hiragana,
/// katakana and the prolonged sound mark count as Han, and characters common to all scripts are a script of their own.
int unicode_script(char32_t c);

}  // namespace krait
