#pragma once

#include "engine/cache/disk/disk_tier.h"

namespace krait {

class CachePools;
struct PrefixNode;

/// Copies what the prefix index lists to the disk tier: with recurrent state at every snapshot, without at every few
/// blocks and where a request ends. What is copied is never written any more; the copy is made on the engine's thread,
/// rather than held until it is written, because an item that is held cannot be let go of when requests need memory. It
/// costs less than a hundredth of computing the same tokens. Used by the engine's thread only.
class PrefixWriter {
 public:
  /// Follows the pools' index, which must be there, until it is destroyed.
  PrefixWriter(CachePools& pools, DiskTier& tier);
  ~PrefixWriter();
  PrefixWriter(const PrefixWriter&) = delete;
  PrefixWriter& operator=(const PrefixWriter&) = delete;

 private:
  void offer(const PrefixNode& node);

  CachePools& pools_;
  DiskTier& tier_;
};

}  // namespace krait
