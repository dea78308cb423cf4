// Loading, encoding and decoding of one tokenizer on one text, on one thread. tokenizer_bench.py runs it beside the
// Hugging Face package and prints the table of docs/benchmarking.md.
//
//   tokenizer_bench TOKENIZER_JSON TEXT_FILE [CHARACTERS]
//
// One JSON line: best of several rounds, in seconds of this thread's processor time (other work on the machine is not
// counted), for the text in pieces of CHARACTERS (2000) characters and as one string. A checksum of all ids lets the
// script see that both sides did the same work.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "models/tokenizer/tokenizer.h"

namespace {

using Ids = std::vector<std::int32_t>;

constexpr int kRounds = 5;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <typename Work>
double best_of(int rounds, Work work) {
  double best = 1e9;
  for (int round = 0; round < rounds; ++round) {
    const double begin = thread_seconds();
    work();
    best = std::min(best, thread_seconds() - begin);
  }
  return best;
}

/// Pieces of a number of characters, the last one shorter.
std::vector<std::string> cut(const std::string& text, std::size_t characters) {
  std::vector<std::string> pieces(1);
  std::size_t count = 0;
  for (const char byte : text) {
    const bool begins_character = (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
    if (begins_character && count == characters) {
      pieces.emplace_back();
      count = 0;
    }
    if (begins_character) ++count;
    pieces.back().push_back(byte);
  }
  return pieces;
}

Ids encode(const krait::Tokenizer& tokenizer, const std::string& text) {
  return krait::value_or_throw(tokenizer.encode(text, {.add_special_tokens = false}));
}

/// Order counts: (sum * 31 + id) mod 2^58.
std::uint64_t checksum(const std::vector<Ids>& all) {
  std::uint64_t sum = 0;
  for (const Ids& ids : all) {
    for (const std::int32_t id : ids) sum = (sum * 31 + static_cast<std::uint64_t>(id)) % (1ULL << 58);
  }
  return sum;
}

nlohmann::ordered_json measure(const krait::Tokenizer& tokenizer, const std::vector<std::string>& pieces) {
  std::vector<Ids> ids(pieces.size());
  std::size_t bytes = 0;
  std::size_t tokens = 0;
  const double encode_seconds = best_of(kRounds, [&] {
    for (std::size_t i = 0; i < pieces.size(); ++i) ids[i] = encode(tokenizer, pieces[i]);
  });
  std::size_t decoded = 0;
  const double decode_seconds = best_of(kRounds, [&] {
    decoded = 0;
    for (const Ids& piece : ids) decoded += tokenizer.decode(piece, true).size();
  });
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    bytes += pieces[i].size();
    tokens += ids[i].size();
  }
  return {{"bytes", bytes},
          {"tokens", tokens},
          {"checksum", checksum(ids)},
          {"decoded_bytes", decoded},
          {"encode_seconds", encode_seconds},
          {"decode_seconds", decode_seconds}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::cerr << "usage: tokenizer_bench TOKENIZER_JSON TEXT_FILE [CHARACTERS]\n";
    return 1;
  }
  try {
    std::ifstream in(argv[2], std::ios::binary);
    if (!in) throw krait::StartupError(std::string(argv[2]) + ": cannot be opened");
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    std::shared_ptr<const krait::Tokenizer> tokenizer;
    const double load_seconds = best_of(3, [&] { tokenizer = krait::value_or_throw(krait::load_tokenizer(argv[1])); });
    const auto characters = static_cast<std::size_t>(argc > 3 ? std::atoll(argv[3]) : 2000);
    const nlohmann::ordered_json line = {
        {"load_seconds", load_seconds},
        {"pieces", measure(*tokenizer, cut(text, std::max<std::size_t>(characters, 1)))},
        {"whole", measure(*tokenizer, {text})}};
    std::cout << line.dump() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "tokenizer_bench: " << error.what() << "\n";
    return 1;
  }
}
