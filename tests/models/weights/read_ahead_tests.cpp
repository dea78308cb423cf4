#include "models/weights/read_ahead.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "models/weights/mapped_file.h"
#include "tests/temp_folder.h"

using krait::MappedFile;
using krait::ReadAhead;
using krait::test::TempFolder;

namespace {

/// True once `bytes` have been read; gives up after a while.
bool reads(const ReadAhead& ahead, std::size_t bytes) {
  for (int i = 0; i < 2000 && ahead.bytes_read() < bytes; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return ahead.bytes_read() == bytes;
}

}  // namespace

TEST_CASE("files are read ahead, never further than the window") {
  TempFolder folder;
  folder.write("a", std::string(100'000, 'a'));
  folder.write("b", std::string(50'000, 'b'));
  const MappedFile a(folder.file("a"));
  const MappedFile b(folder.file("b"));
  ReadAhead ahead({a.bytes(), b.bytes()}, {.threads = 3, .window = 40'000, .chunk = 20'000});
  CHECK(reads(ahead, 40'000));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(ahead.bytes_read() == 40'000);
  ahead.advance(30'000);
  CHECK(reads(ahead, 80'000));
  ahead.advance(150'000);
  CHECK(reads(ahead, 150'000));
}

TEST_CASE("reading ahead may end at any time") {
  TempFolder folder;
  folder.write("a", std::string(100'000, 'a'));
  const MappedFile file(folder.file("a"));
  { ReadAhead ahead({file.bytes()}, {.threads = 2, .window = 10'000, .chunk = 10'000}); }
  { ReadAhead nothing({}); }
  CHECK(file.bytes()[99'999] == std::byte{'a'});
}
