#include "engine/cache/disk/disk_tier.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>

#include "tests/temp_folder.h"

using Catch::Matchers::Contains;
using namespace krait;
namespace fs = std::filesystem;

namespace {

struct Folder : test::TempFolder {
  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> files;
    for (const auto& file : fs::recursive_directory_iterator(path())) {
      if (file.is_regular_file()) files.push_back(file.path());
    }
    std::ranges::sort(files, {}, [](const fs::path& p) { return fs::file_size(p); });
    return files;
  }
};

ContextIdentity identity_of(std::uint64_t model) {
  return {
      .model = model,
      .formats = 5,
      .layout = {
          .block_size = 4, .kv_groups = {{.name = "full", .page_bytes = 100, .sliding_window = 0}}, .slot_bytes = 50}};
}

/// Blocks [first, end) of the sequence that begins with `seed`.
ContextImage image_of(int seed, int first, int end) {
  ContextImage image{.salt = "salt", .tokens = {}, .first_block = first, .pages = {{}}, .state = std::string(50, 's')};
  for (int i = 0; i < end * 4; ++i) image.tokens.push_back(seed * 1000 + i);
  for (int block = first; block < end; ++block) image.pages[0].emplace_back(100, static_cast<char>('a' + block));
  return image;
}

/// A tier and what it warned of.
struct Tier {
  explicit Tier(const Folder& folder, std::uint64_t max_bytes = 1U << 20U, std::size_t queue = 1U << 20U,
                std::uint64_t model = 1) {
    DiskTierConfig config{.folder = folder.path(), .max_bytes = max_bytes, .max_queued_bytes = queue, .warn = {}};
    config.warn = [this](const std::string& text) { warnings.push_back(text); };
    tier = std::make_unique<DiskTier>(std::move(config), identity_of(model));
    tier->flush();
  }
  [[nodiscard]] std::vector<EntryKey> keys(int seed, int blocks) const {
    return prefix_keys(tier->identity(), "salt", image_of(seed, 0, blocks).tokens);
  }
  /// Writes the blocks behind what is known of the sequence.
  void write(int seed, int blocks) {
    const auto all = keys(seed, blocks);
    const DiskTier::Place before = tier->longest_known(all);
    tier->write(all.back(), before.key, image_of(seed, before.blocks, blocks));
  }
  [[nodiscard]] int stored(int seed, int blocks) const { return tier->longest_stored(keys(seed, blocks)).blocks; }
  [[nodiscard]] std::vector<ContextImage> load(int seed, int blocks, int from = 0) const {
    std::promise<std::vector<ContextImage>> loaded;
    tier->load(keys(seed, blocks).back(), from,
               [&](std::vector<ContextImage> images) { loaded.set_value(std::move(images)); });
    return loaded.get_future().get();
  }

  std::vector<std::string> warnings;
  std::unique_ptr<DiskTier> tier;
};

void overwrite(const fs::path& path, std::size_t at, char with) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(with);
}

}  // namespace

TEST_CASE("entries are found again, and read in order from the block that is asked for") {
  const Folder folder;
  {
    Tier tier(folder);
    tier.write(1, 4);
    tier.write(1, 6);
    tier.write(1, 9);
    tier.write(2, 3);
    CHECK(tier.tier->longest_known(tier.keys(1, 20)).blocks == 9);
    tier.tier->flush();
    CHECK(tier.tier->stats().written == 4);
    CHECK(tier.stored(1, 8) == 6);
  }
  Tier tier(folder);
  CHECK(tier.tier->stats().entries == 4);
  CHECK(tier.stored(1, 20) == 9);
  CHECK(tier.stored(1, 5) == 4);
  CHECK(tier.stored(2, 2) == 0);
  CHECK(tier.stored(3, 9) == 0);
  CHECK(tier.load(1, 9) == std::vector<ContextImage>{image_of(1, 0, 4), image_of(1, 4, 6), image_of(1, 6, 9)});
  CHECK(tier.load(1, 9, 5) == std::vector<ContextImage>{image_of(1, 4, 6), image_of(1, 6, 9)});
  CHECK(tier.load(1, 9, 6) == std::vector<ContextImage>{image_of(1, 6, 9)});
  CHECK(tier.load(3, 9).empty());
  CHECK(tier.tier->stats().read == 6);
  CHECK(tier.warnings.empty());
}

TEST_CASE("another model's entries and another salt's are not seen") {
  const Folder folder;
  Tier mine(folder);
  mine.write(1, 4);
  mine.tier->flush();
  const Tier other(folder, 1U << 20U, 1U << 20U, 2);
  CHECK(other.tier->stats().entries == 0);
  CHECK(mine.tier->longest_stored(prefix_keys(mine.tier->identity(), "tlas", image_of(1, 0, 4).tokens)).blocks == 0);
}

TEST_CASE("a damaged file is reported by name, deleted and never served, and neither is what needs it") {
  for (const std::string damage : {"flip", "truncate", "version", "empty", "swap"}) {
    CAPTURE(damage);
    const Folder folder;
    Tier writer(folder);
    writer.write(1, 4);
    writer.write(1, 9);
    writer.write(2, 9);
    writer.tier->flush();
    const fs::path first = [&] {
      for (const fs::path& path : folder.files()) {
        if (path.filename() == entry_file_name(writer.keys(1, 4).back())) return path;
      }
      return fs::path();
    }();
    const std::size_t size = fs::file_size(first);
    if (damage == "flip") overwrite(first, size - 100, 'X');
    if (damage == "truncate") fs::resize_file(first, size - 1);
    if (damage == "version") overwrite(first, 8, 9);
    if (damage == "empty") fs::resize_file(first, 0);
    if (damage == "swap") {
      fs::copy_file(first.parent_path() / entry_file_name(writer.keys(2, 9).back()), first,
                    fs::copy_options::overwrite_existing);
    }
    // A running tier finds it when it reads, a new one when it starts or reads.
    const auto check = [&](Tier& tier) {
      CHECK(tier.load(1, 9).empty());
      CHECK(tier.stored(1, 9) == 0);
      CHECK(tier.stored(2, 9) == 9);
      REQUIRE(tier.warnings.size() == 1);
      CHECK_THAT(tier.warnings[0], Contains(first.string()));
      CHECK_FALSE(fs::exists(first));
      CHECK(folder.files().size() == 1);
      CHECK(tier.tier->stats().damaged == 1);
      // It can be written again.
      tier.write(1, 4);
      tier.tier->flush();
      CHECK(tier.load(1, 4) == std::vector<ContextImage>{image_of(1, 0, 4)});
    };
    if (damage == "flip" || damage == "swap") {
      check(writer);
    } else {
      Tier reader(folder);
      check(reader);
    }
  }
}

TEST_CASE("every flipped byte of a file is found") {
  const Folder folder;
  Tier tier(folder);
  tier.write(1, 2);
  tier.tier->flush();
  const fs::path path = folder.files().at(0);
  const std::size_t size = fs::file_size(path);
  for (std::size_t at = 0; at < size; ++at) {
    CAPTURE(at);
    std::ifstream before(path, std::ios::binary);
    before.seekg(static_cast<std::streamoff>(at));
    overwrite(path, at, static_cast<char>(before.get() ^ 0x10));
    REQUIRE(tier.load(1, 2).empty());
    REQUIRE_FALSE(fs::exists(path));
    tier.write(1, 2);
    tier.tier->flush();
    REQUIRE(fs::exists(path));
  }
  CHECK(tier.tier->stats().damaged == static_cast<std::int64_t>(size));
}

TEST_CASE("a file that has gone is a miss without a warning") {
  const Folder folder;
  Tier tier(folder);
  tier.write(1, 4);
  tier.tier->flush();
  for (const fs::path& path : folder.files()) fs::remove(path);
  CHECK(tier.load(1, 4).empty());
  CHECK(tier.stored(1, 4) == 0);
  CHECK(tier.warnings.empty());
}

TEST_CASE("the files stay below the bound: the longest unused go, a start prefix never before what follows it") {
  const Folder folder;
  std::uint64_t one = 0;
  {
    Tier tier(folder);
    tier.write(9, 4);
    tier.tier->flush();
    one = tier.tier->stats().bytes;
  }
  fs::remove_all(folder.path());
  fs::create_directories(folder.path());
  Tier tier(folder, one * 3 + 100);
  tier.write(1, 4);
  tier.write(1, 6);
  tier.write(2, 4);
  tier.tier->flush();
  CHECK(tier.stored(1, 6) == 6);  // used later than 2
  tier.write(3, 4);
  tier.tier->flush();
  CHECK(tier.stored(2, 4) == 0);
  CHECK(tier.stored(1, 6) == 6);
  tier.write(4, 4);
  tier.write(5, 4);
  tier.tier->flush();
  CHECK(tier.stored(1, 6) == 4);
  CHECK(tier.tier->stats().bytes <= one * 3 + 100);
  std::uint64_t on_disk = 0;
  for (const fs::path& path : folder.files()) on_disk += fs::file_size(path);
  CHECK(on_disk == tier.tier->stats().bytes);
  CHECK(tier.tier->stats().evicted == 3);
  // A smaller bound takes effect at the next start.
  const Tier smaller(folder, one + 10);
  CHECK(smaller.tier->stats().entries == 1);
  CHECK(folder.files().size() == 1);
}

TEST_CASE("a full queue skips entries and says so; an entry over the bound is not written") {
  const Folder folder;
  Tier tier(folder, 1U << 20U, 1000);
  CHECK(tier.tier->has_room(1000));
  CHECK_FALSE(tier.tier->has_room(1001));
  CHECK(tier.tier->stats().skipped == 1);
  Tier tiny(folder, 100);
  tiny.write(1, 4);
  tiny.tier->flush();
  CHECK(tiny.tier->stats().skipped == 1);
  CHECK(tiny.tier->longest_known(tiny.keys(1, 4)).blocks == 0);
  REQUIRE(tiny.warnings.size() == 1);
  CHECK_THAT(tiny.warnings[0], Contains("--cache-dir-size"));
}

TEST_CASE("when nothing can be written there is one warning, and what is there is still read") {
  const Folder folder;
  Tier tier(folder);
  tier.write(1, 4);
  tier.tier->flush();
  // The entries' names are taken by folders, so that renaming fails, whoever runs the test.
  const fs::path where = folder.files().at(0).parent_path();
  for (const int seed : {2, 3}) fs::create_directories(where / entry_file_name(tier.keys(seed, 4).back()) / "x");
  // The tier's thread is held until everything is queued.
  std::promise<void> queued;
  tier.tier->load(tier.keys(1, 4).back(), 0, [&](const auto&) { queued.get_future().wait(); });
  tier.write(2, 4);
  tier.write(3, 4);
  tier.write(3, 6);  // goes with the one before it
  queued.set_value();
  tier.tier->flush();
  REQUIRE(tier.warnings.size() == 1);
  CHECK_THAT(tier.warnings[0], Contains("takes no more entries"));
  CHECK(tier.tier->stats().skipped == 3);
  CHECK(tier.stored(3, 6) == 0);
  CHECK(tier.load(1, 4).size() == 1);
}

TEST_CASE("temporary files that nobody writes are deleted, those of a living writer are not") {
  const Folder folder;
  Tier tier(folder);
  tier.write(1, 4);
  tier.tier->flush();
  const fs::path where = folder.files().at(0).parent_path();
  std::ofstream(where / "abandoned.entry.1.1.tmp") << "half";
  std::ofstream(where / "written.entry.2.1.tmp") << "half";
  const int held = ::open((where / "written.entry.2.1.tmp").c_str(), O_RDWR);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  const Tier next(folder);
  CHECK_FALSE(fs::exists(where / "abandoned.entry.1.1.tmp"));
  CHECK(fs::exists(where / "written.entry.2.1.tmp"));
  ::close(held);
  CHECK(next.stored(1, 4) == 4);
}

TEST_CASE("a folder that cannot be used is an error at start-up that names it") {
  const Folder folder;
  const std::string file = folder.file("file");
  std::ofstream(file) << "not a folder";
  CHECK_THROWS_WITH(DiskTier({.folder = file, .warn = {}}, identity_of(1)), Contains("--cache-dir") && Contains(file));
}

TEST_CASE("what is queued is written before a tier ends") {
  const Folder folder;
  {
    Tier tier(folder);
    for (int seed = 1; seed <= 20; ++seed) tier.write(seed, 4);
  }
  const Tier tier(folder);
  CHECK(tier.tier->stats().entries == 20);
}
