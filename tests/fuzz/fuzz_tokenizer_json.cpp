// Loading ends, in a tokenizer or an error, whatever a tokenizer.json says; and what loads can be used. An input is the
// file.
#include <sys/mman.h>
#include <unistd.h>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/utf8.h"

namespace {

/// A file in memory, because the loader reads files.
class MemoryFile {
 public:
  MemoryFile(const std::uint8_t* data, std::size_t size) : descriptor_(memfd_create("tokenizer", 0)) {
    if (descriptor_ < 0 || write(descriptor_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

constexpr std::string_view kTexts[] = {"", " ", "a b  ab abc", "W\xC3\xA4rme \xF0\x9F\x98\x80 e\xCC\x81\r\n\t",
                                       "<s>abc</s> 123 \xE2\x96\x81x\xE4\xB8\x80"};

void use(const std::shared_ptr<const krait::Tokenizer>& tokenizer) {
  for (const std::string_view text : kTexts) {
    auto ids = tokenizer->encode(text, {.add_special_tokens = true});
    if (!ids.ok()) continue;
    ids->insert(ids->end(), {0, 1, 255, -1, tokenizer->vocab_size()});
    krait::IncrementalDetokenizer stream(tokenizer, false);
    std::string pieces;
    for (const std::int32_t id : *ids) pieces += stream.push(id);
    pieces += stream.flush();
    if (!krait::is_valid_utf8(pieces) || !krait::is_valid_utf8(tokenizer->decode(*ids, true))) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file(data, size);
  auto tokenizer = krait::load_tokenizer(file.path());
  if (tokenizer.ok()) use(std::move(tokenizer).value());
  return 0;
}
