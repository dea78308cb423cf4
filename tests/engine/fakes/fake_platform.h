#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "kernels/platform.h"

namespace krait::test {

/// Zeroed heap memory that only pretends to be committed, up to a limit that a test may lower.
class FakeReservedMemory : public ReservedMemory {
 public:
  FakeReservedMemory(std::size_t capacity, const std::size_t& commit_limit)
      : data_(static_cast<std::byte*>(std::calloc(std::max<std::size_t>(capacity, 1), 1)), &std::free),
        capacity_(capacity),
        commit_limit_(commit_limit) {
    if (!data_) throw std::bad_alloc();
  }
  [[nodiscard]] std::byte* data() const override { return data_.get(); }
  [[nodiscard]] std::size_t capacity() const override { return capacity_; }
  [[nodiscard]] std::size_t committed() const override { return committed_; }
  [[nodiscard]] bool commit(std::size_t bytes) override {
    if (bytes > std::min(commit_limit_, capacity_)) return false;
    committed_ = std::max(committed_, bytes);
    return true;
  }
  void shrink(std::size_t bytes) override {
    if (bytes >= committed_) return;
    std::memset(data_.get() + bytes, 0, committed_ - bytes);
    committed_ = bytes;
  }

  void discard(std::size_t offset, std::size_t bytes) override {
    std::memset(data_.get() + offset, 0xEE, bytes);
    discarded += bytes;
  }

  [[nodiscard]] bool can_populate() const override { return populates; }
  void populate(std::size_t offset, std::size_t bytes) override {
    const std::lock_guard lock(mutex);
    populated.emplace_back(offset, offset + bytes);
    if (on_populate) on_populate();
  }

  std::size_t discarded = 0;  ///< bytes in all
  bool populates = false;
  std::mutex mutex;                                              ///< for the two below
  std::vector<std::pair<std::size_t, std::size_t>> populated{};  ///< calls, as [begin, end)
  std::function<void()> on_populate{};

 private:
  std::unique_ptr<std::byte, void (*)(void*)> data_;
  std::size_t capacity_;
  std::size_t committed_ = 0;
  const std::size_t& commit_limit_;
};

/// Memory and nothing else: what the pools need.
class FakePlatform : public Platform {
 public:
  std::size_t commit_limit = std::numeric_limits<std::size_t>::max();  ///< bytes that one reservation can back
  FakeReservedMemory* last_reserved = nullptr;
  bool populates = false;  ///< reservations from here on can be populated
  std::atomic<std::size_t> available{0};

  [[nodiscard]] std::string_view name() const override { return "fake"; }
  [[nodiscard]] std::string description() const override { return "fake"; }
  Buffer allocate(std::size_t /*bytes*/) override { throw std::bad_alloc(); }
  Buffer upload(const void* /*from*/, std::size_t /*bytes*/) override { throw std::bad_alloc(); }
  std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) override {
    auto memory = std::make_unique<FakeReservedMemory>(capacity, commit_limit);
    memory->populates = populates;
    last_reserved = memory.get();
    return memory;
  }
  [[nodiscard]] std::size_t available_memory() const override { return available; }
  std::unique_ptr<Queue> create_queue() override { return nullptr; }
  PackedWeight pack(const WeightSource& /*source*/, const PackScheme& /*scheme*/, const Shard& /*shard*/) override {
    return {};
  }
  [[nodiscard]] DType default_compute_dtype() const override { return DType::kFloat32; }
  [[nodiscard]] bool supports_compute_dtype(DType dtype) const override { return dtype == DType::kFloat32; }
  [[nodiscard]] int preferred_prefill_tile() const override { return 16; }
};

}  // namespace krait::test
