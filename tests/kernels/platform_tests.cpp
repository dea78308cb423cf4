#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "kernels/result.h"
#include "kernels/thread_scheduling.h"
#include "tests/kernels/test_support.h"

namespace krait {

TEST_CASE("Reserved memory commits, keeps, shrinks and comes back as zeros") {
  CpuPlatform platform({.threads = 1});
  const auto memory = platform.reserve(std::size_t{1} << 30);
  CHECK(memory->committed() == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(memory->data()) % (std::size_t{2} << 20) == 0);
  REQUIRE(memory->commit(100000));
  CHECK(memory->committed() >= 100000);
  CHECK(memory->data()[0] == std::byte{0});
  memory->data()[0] = std::byte{7};
  memory->data()[99999] = std::byte{9};
  REQUIRE(memory->commit(50000));
  CHECK(memory->committed() >= 100000);
  memory->data()[40000] = std::byte{8};
  memory->discard(4096, 80000);
  CHECK(memory->committed() >= 100000);
  CHECK(memory->data()[0] == std::byte{7});
  CHECK(memory->data()[40000] == std::byte{0});
  CHECK(memory->data()[99999] == std::byte{9});
  memory->data()[40000] = std::byte{8};
  memory->shrink(4096);
  CHECK(memory->committed() == 4096);
  CHECK(memory->data()[0] == std::byte{7});
  REQUIRE(memory->commit(100000));
  CHECK(memory->data()[99999] == std::byte{0});
  CHECK_FALSE(memory->commit(memory->capacity() + 1));
}

namespace {

/// Pages of the system in [0, bytes) that have memory.
std::size_t backed_pages(const ReservedMemory& memory, std::size_t bytes) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident(bytes / page);
  REQUIRE(mincore(memory.data(), bytes, resident.data()) == 0);
  return static_cast<std::size_t>(
      std::ranges::count_if(resident, [](unsigned char flags) { return (flags & 1U) != 0; }));
}

}  // namespace

TEST_CASE("Reserved memory can be populated before it is written, and goes back all the same") {
  CpuPlatform platform({.threads = 1});
  const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t bytes = 64 * page;
  const auto memory = platform.reserve(std::size_t{1} << 30);
  if (!memory->can_populate()) return;
  REQUIRE(memory->commit(bytes));
  // Huge pages would back more than was asked for.
  REQUIRE(madvise(memory->data(), memory->capacity(), MADV_NOHUGEPAGE) == 0);
  CHECK(backed_pages(*memory, bytes) == 0);
  memory->data()[5 * page] = std::byte{7};
  memory->populate(page / 2, 10 * page);
  CHECK(backed_pages(*memory, bytes) == 9);
  CHECK(memory->data()[5 * page] == std::byte{7});
  CHECK(memory->data()[6 * page] == std::byte{0});

  SECTION("discarded pages are given back") {
    memory->discard(0, 10 * page);
    CHECK(backed_pages(*memory, bytes) == 0);
  }
  SECTION("read-only pages are left alone") {
    memory->set_read_only(20 * page, page, true);
    memory->populate(20 * page, page);
    CHECK(backed_pages(*memory, bytes) == 9);
  }
  SECTION("pages that are not committed are left alone") {
    memory->shrink(4 * page);
    memory->populate(0, bytes);
    CHECK(backed_pages(*memory, bytes) == 4);
    REQUIRE(memory->commit(bytes));
    CHECK(memory->data()[5 * page] == std::byte{0});
  }
}

TEST_CASE("Placements are refused or stated") {
  CHECK_THROWS_AS(CpuPlatform({.numa = "everywhere"}), StartupError);
  CHECK_THROWS_AS(CpuPlatform({.cpu_pinning = "perhaps"}), StartupError);
  CHECK_THROWS_WITH(CpuPlatform({.threads = 4096, .cpu_pinning = "on"}), Catch::Contains("--cpu-pinning"));
  CHECK(CpuPlatform({.threads = 1}).place_calling_thread() == nullptr);

  const std::vector<int> before = thread_cpus();
  std::thread([] {
    // All CPUs, so that other threads stay where they are.
    CpuPlatform platform({.threads = static_cast<int>(thread_cpus().size()), .cpu_pinning = "on"});
    CHECK(platform.description().find("pinned") != std::string::npos);
    const std::vector<int> outside = thread_cpus();
    {
      const auto placement = platform.place_calling_thread();
      CHECK(thread_cpus().size() == 1);
    }
    CHECK(thread_cpus() == outside);
  }).join();
  CHECK(thread_cpus() == before);
}

TEST_CASE("Buffers are aligned and the available memory is known") {
  CpuPlatform platform({.threads = 1});
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{1000}, std::size_t{5} << 20}) {
    const Buffer buffer = platform.allocate(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data.get()) % 64 == 0);
    CHECK(buffer.bytes == bytes);
  }
  CHECK(platform.available_memory() > (std::size_t{1} << 20));
  CHECK(platform.available_memory() < (std::size_t{1} << 50));
}

TEST_CASE("What is uploaded comes down again, rows that lie apart one after another") {
  CpuPlatform platform({.threads = 1});
  const std::vector<float> numbers = {1, 2, 3, 4, 5, 6};
  const Tensor tensor(platform.upload(numbers.data(), numbers.size() * sizeof(float)), DType::kFloat32, {2, 3});
  const auto queue = platform.create_queue();
  std::vector<float> all(6);
  queue->download(all.data(), tensor.view());
  CHECK(all == numbers);
  std::vector<float> right(4);
  queue->download(right.data(), tensor.view().slice_columns(1, 2));
  CHECK(right == std::vector<float>{2, 3, 5, 6});
  CHECK_NOTHROW(queue->download(nullptr, tensor.view().slice_rows(1, 0)));
  CHECK(platform.upload(nullptr, 0).bytes == 0);
}

TEST_CASE("A wrong instruction set is refused with the valid ones") {
  CHECK_THROWS_WITH(CpuPlatform({.isa = "sse9"}),
                    Catch::Contains("sse9") && Catch::Contains("auto, avx512, avx2, portable"));
  const cpu::CpuFeatures none;
  CHECK_THROWS_WITH(cpu::choose_isa("avx2", none), Catch::Contains("lacks AVX2"));
  CHECK_THROWS_WITH(cpu::choose_isa("avx512", none), Catch::Contains("lacks AVX-512"));
  CHECK(cpu::choose_isa("auto", none).title == "portable");
  CHECK_THROWS_AS(CpuPlatform({.threads = -1}), StartupError);
}

TEST_CASE("bfloat16 is the default only where the processor multiplies it") {
  CpuPlatform platform({.threads = 1});
  const bool native = cpu::detect_cpu_features().avx512_bf16;
  CHECK(platform.default_compute_dtype() == (native ? DType::kBFloat16 : DType::kFloat32));
  CHECK(platform.supports_compute_dtype(DType::kBFloat16));
  CHECK(platform.supports_compute_dtype(DType::kInt8));
  CHECK_FALSE(platform.supports_compute_dtype(DType::kFloat16));
  CHECK(platform.name() == "cpu");
  CHECK(platform.description().find("1 thread") != std::string::npos);
}

}  // namespace krait
