#include "kernels/cpu/numa_memory.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "kernels/cpu/cpu_memory.h"

namespace krait::cpu {
namespace {

// Of <linux/mempolicy.h>; mbind(2). libnuma would bring a library for one system call.
constexpr int kPreferred = 1;
constexpr int kInterleave = 3;
constexpr unsigned kMovePages = 2;  ///< what a recycled block has already goes too

constexpr std::size_t kHugePage = std::size_t{2} << 20U;

void set_policy(std::byte* data, std::size_t bytes, int mode, std::span<const int> nodes) {
  constexpr std::size_t kWordBits = 8 * sizeof(unsigned long);
  const auto most = static_cast<std::size_t>(*std::ranges::max_element(nodes));
  std::vector<unsigned long> mask(most / kWordBits + 1);
  for (const int number : nodes) {
    const auto node = static_cast<std::size_t>(number);
    mask[node / kWordBits] |= 1UL << (node % kWordBits);
  }
  // The kernel takes one bit fewer than it is told.
  syscall(SYS_mbind, data, bytes, mode, mask.data(), mask.size() * kWordBits + 1, kMovePages);
}

}  // namespace

std::vector<NodePart> parts_by_node(std::size_t bytes, std::span<const WorkerPlace> places, std::size_t unit) {
  std::vector<NodePart> parts;
  for (std::size_t worker = 0; worker < places.size(); ++worker) {
    const int node = places[worker].node;
    if (node < 0) return {};
    const bool last = worker + 1 == places.size();
    const std::size_t end = last ? bytes : bytes / unit * (worker + 1) / places.size() * unit;
    const std::size_t begin = parts.empty() ? 0 : parts.back().end;
    if (!parts.empty() && parts.back().node == node) {
      parts.back().end = end;
    } else if (end > begin) {
      parts.push_back({.begin = begin, .end = end, .node = node});
    }
  }
  return parts;
}

Buffer allocate_streamed(std::size_t bytes, const ThreadPool& pool) {
  Buffer buffer = allocate_buffer(bytes);
  // Smaller ones are not aligned to pages, and caches hold them.
  if (bytes < kHugePage) return buffer;
  auto* data = static_cast<std::byte*>(buffer.data.get());
  for (const NodePart& part : parts_by_node(bytes, pool.places(), kHugePage)) {
    spread_over_nodes(data + part.begin, part.end - part.begin, {&part.node, 1});
  }
  return buffer;
}

void spread_over_nodes(void* data, std::size_t bytes, std::span<const int> nodes) {
  if (nodes.empty() || bytes == 0) return;
  set_policy(static_cast<std::byte*>(data), bytes, nodes.size() == 1 ? kPreferred : kInterleave, nodes);
}

}  // namespace krait::cpu
