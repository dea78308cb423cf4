#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/tensor.h"
#include "kernels/thread_pool.h"

namespace krait::cpu {

/// Bytes [begin, end) of a buffer and the node that they belong to.
struct NodePart {
  std::size_t begin = 0;
  std::size_t end = 0;
  int node = 0;
  friend bool operator==(const NodePart&, const NodePart&) = default;
};

/// Worker w of N begins every loop with the w-th of N equal parts, so the w-th part of what the loop streams belongs to
/// its node. Neighbours of one node are joined; borders lie at multiples of `unit` bytes. Empty when the workers belong
/// to no nodes.
std::vector<NodePart> parts_by_node(std::size_t bytes, std::span<const WorkerPlace> places, std::size_t unit);

/// `allocate_buffer` for what loops of `pool` stream from its first byte to its last: each worker's part lies on its
/// node where the workers have nodes. Where the system refuses to say so (a container without CAP_SYS_NICE), or the
/// node is full, a page lies where it is first written.
Buffer allocate_streamed(std::size_t bytes, const ThreadPool& pool);

/// Pages of this memory that nobody has touched yet will lie on `nodes` in turn; on one alone, while it has any free.
/// No nodes: nothing changes. `data` begins at a page of the system.
void spread_over_nodes(void* data, std::size_t bytes, std::span<const int> nodes);

}  // namespace krait::cpu
