#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernel_library.h"
#include "kernels/operation_graph.h"
#include "kernels/packed_weight.h"
#include "kernels/result.h"
#include "kernels/tensor.h"
#include "kernels/token_sampler.h"

namespace krait {

class Operations;

/// Address space for `capacity` bytes, of which a growing prefix is backed by memory. A cache pool reserves its maximum
/// once and commits as it grows, so that two pools can share one budget without moving anything.
class ReservedMemory {
 public:
  virtual ~ReservedMemory() = default;
  [[nodiscard]] virtual std::byte* data() const = 0;
  [[nodiscard]] virtual std::size_t capacity() const = 0;
  [[nodiscard]] virtual std::size_t committed() const = 0;
  /// Backs the first `bytes` (rounded up to the platform's page) with memory; newly committed memory reads as zero.
  /// False when the platform has none left; nothing changes then.
  [[nodiscard]] virtual bool commit(std::size_t bytes) = 0;
  /// Gives memory beyond the first `bytes` back to the system.
  virtual void shrink(std::size_t bytes) = 0;
  /// The content of `bytes` bytes from `offset` on, all committed, is not needed any more: whole pages in it may go
  /// back to the system until they are written again. Reads give anything until then.
  virtual void discard(std::size_t offset, std::size_t bytes) = 0;
  /// For debug builds: whole pages of the platform inside these bytes, all committed, cannot be written until they are
  /// set writable again. A platform that has no such thing does nothing.
  virtual void set_read_only(std::size_t /*offset*/, std::size_t /*bytes*/, bool /*read_only*/) {}
  /// Whether `populate` has an effect: not where committing backs memory at once, or the system cannot be asked.
  [[nodiscard]] virtual bool can_populate() const { return false; }
  /// Backs whole pages inside these bytes with memory now instead of at their first write; what they hold stays. A
  /// second thread may call it while the owner calls anything else: bytes that are not committed, or that are
  /// read-only, are left alone.
  virtual void populate(std::size_t /*offset*/, std::size_t /*bytes*/) {}
  /// Whether the processor itself may read and write `data()`.
  [[nodiscard]] virtual bool host_accessible() const { return true; }
  /// Copies `bytes` committed bytes from `offset` on to the host's memory, or from there; done when it returns. Nothing
  /// that is queued may use them meanwhile. The defaults are for host-accessible memory.
  virtual void read(std::size_t offset, std::size_t bytes, std::byte* to) const {
    std::memcpy(to, data() + offset, bytes);
  }
  virtual void write(std::size_t offset, std::size_t bytes, const std::byte* from) {
    std::memcpy(data() + offset, from, bytes);
  }
};

/// An ordered sequence of operations. On the CPU an operation is done when its call returns; on a device `wait` joins.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual Operations& ops() = 0;
  virtual void wait() = 0;
  /// Copies rows of the platform's memory into the host's, one after another, once all operations before are done;
  /// they are there when the call returns. `to` holds `from.bytes()` bytes.
  virtual void download(void* to, const TensorView& from) = 0;

  /// Brings a step's arrays to where its operations read them, all together: a device reads what it was given in one of
  /// them from its own copy, until the queue is waited for or another step is staged.
  virtual void stage(const StepArrays& /*arrays*/) {}
  /// Null: the platform records no operations.
  virtual GraphRecorder* graphs() { return nullptr; }
  /// Null: whoever samples waits.
  virtual TokenSampler* sampler() { return nullptr; }
};

/// A platform's opinion on which backend should serve a mamba type (design, section 3).
struct MambaBackendOpinion {
  enum class Kind { kNoOpinion, kBackend, kRefuse };
  Kind kind = Kind::kNoOpinion;
  std::string backend;  ///< with kBackend
  std::string reason;   ///< with kRefuse: why, in a sentence
};

/// While it lives, the thread that asked for it runs where its work belongs; destroyed by that thread.
class ThreadPlacement {
 public:
  ThreadPlacement() = default;
  virtual ~ThreadPlacement() = default;
  ThreadPlacement(const ThreadPlacement&) = delete;
  ThreadPlacement& operator=(const ThreadPlacement&) = delete;
};

/// One kind of machine: its memory, its queues and its table of operations. The platform knows no model, layer or
/// request.
class Platform {
 public:
  virtual ~Platform() = default;

  /// "cpu", "cuda".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// For the start-up summary, for example "AVX2, 2 threads".
  [[nodiscard]] virtual std::string description() const = 0;

  /// What the bits of its results depend on: two platforms with one text compute the same. For example "cpu, AVX2".
  [[nodiscard]] virtual std::string numerics() const { return std::string(name()); }

  /// 64-byte aligned memory, contents undefined; whether the host can read or write it is the platform's matter. Throws
  /// std::bad_alloc.
  virtual Buffer allocate(std::size_t bytes) = 0;
  /// Memory like `allocate`'s with a copy of `bytes` bytes of the host's.
  virtual Buffer upload(const void* from, std::size_t bytes) = 0;
  virtual std::unique_ptr<ReservedMemory> reserve(std::size_t capacity) = 0;
  /// Bytes that a cache may take now: free memory of the device or the machine (a container's limit included).
  [[nodiscard]] virtual std::size_t available_memory() const = 0;
  virtual std::unique_ptr<Queue> create_queue() = 0;

  /// For the thread that runs a queue's operations or packs weights. Null: it may run anywhere. Threads that it starts
  /// meanwhile begin in the same place.
  virtual std::unique_ptr<ThreadPlacement> place_calling_thread() { return nullptr; }

  /// Turns a checkpoint's matrices into what `Operations::linear` streams. Throws StartupError for a dtype that it
  /// cannot read.
  virtual PackedWeight pack(const WeightSource& source, const PackScheme& scheme, const Shard& shard) = 0;

  /// What the bytes of packed weights depend on beside source, scheme and shard: images are restored only where this
  /// text is the same. Empty: packed weights of this platform cannot be kept.
  [[nodiscard]] virtual std::string packed_format() const { return {}; }
  [[nodiscard]] virtual PackedImage image(const PackedWeight& weight) const {
    (void)weight;
    return {};
  }
  /// The weight that an image was taken of; its memory is the image's blocks, 64-byte aligned. Throws StartupError for
  /// a form that is not this platform's, or that asks for other sizes than the blocks have.
  virtual PackedWeight restore(const PackedImage& image) {
    (void)image;
    return {};
  }

  /// Whether its selective state space operations round float16 states stochastically (`StateCacheView::rounding`).
  [[nodiscard]] virtual bool supports_stochastic_rounding() const { return false; }

  /// What the server uses when no `--compute-dtype` is given: the narrowest type that the processor multiplies
  /// natively.
  [[nodiscard]] virtual DType default_compute_dtype() const = 0;
  [[nodiscard]] virtual bool supports_compute_dtype(DType dtype) const = 0;
  /// Prefill pieces that are multiples of this many tokens use the kernels best. A hint, never a bound.
  [[nodiscard]] virtual int preferred_prefill_tile() const = 0;
  /// Rows of a small step that are multiplied together: what a step costs grows by whole tiles of them. A hint too.
  [[nodiscard]] virtual int row_tile() const { return 1; }

  /// Whether `library` computes such an operation here; the error says in a sentence why not. Every platform computes
  /// everything with its own kernels, and the default has no others.
  [[nodiscard]] virtual Status supports_attention(KernelLibrary library, const AttentionForm& form) const;
  [[nodiscard]] virtual Status supports_state_update(KernelLibrary library, const StateUpdateForm& form) const;

  /// Asked first when a backend is selected for mamba type `type`; sees the user's explicit choice, if there is one.
  [[nodiscard]] virtual MambaBackendOpinion mamba_backend(std::string_view type,
                                                          std::optional<std::string_view> selected) const {
    (void)type;
    (void)selected;
    return {};
  }
};

}  // namespace krait
