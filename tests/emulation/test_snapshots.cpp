#include <catch2/catch.hpp>

#include "kernels/cuda/scan_chunks.h"
#include "tests/emulation/recurrence_support.h"

// States that are left inside sequences while they are scanned (SequenceBatch::snapshots).

namespace krait {
namespace {

using test::Matrix;
using test::Recurrence;
using test::Sequences;
using test::StateSlots;
using test::Tokens;

/// Two sequences: one long enough for chunks that goes on from slot 1, one short and fresh.
constexpr int kLong = 150, kShort = 20, kSlots = 10;

struct Batch {
  std::vector<StateSnapshot> snapshots{{0, 2, 5}, {0, 70, 6}, {0, 128, 7}, {1, 1, 8}, {1, 19, 9}};
  std::vector<std::int32_t> computed{33, 0};
  Sequences whole;

  Batch() {
    whole.add(kLong, 1, 1, true);
    whole.add(kShort, 3, 4, false);
  }
};

StateSlots zero_slots(const Recurrence& recurrence, DType dtype) {
  StateSlots slots = recurrence.slots(kSlots, dtype);
  for (std::byte& byte : slots.memory) byte = std::byte{0};
  return slots;
}

/// As operations do it that leave none: every sequence is cut at its snapshots.
std::vector<float> in_pieces(Operations& ops, const Recurrence& recurrence, const Batch& batch, const Tokens& in,
                             DType dtype) {
  StateSlots slots = zero_slots(recurrence, dtype);
  Matrix out;
  for (std::size_t i = 0; i < 2; ++i) {
    const int first = batch.whole.query_start_loc[i];
    const int end = batch.whole.query_start_loc[i + 1];
    int begin = first;
    int slot = batch.whole.read[i];
    const auto run = [&](int to, int write) {
      Sequences piece;
      piece.add(to - begin, slot, write, begin > first || batch.whole.initial[i] != 0);
      out.append(recurrence.run(ops, in.slice(begin, to), piece, slots.view));
      begin = to;
      slot = write;
    };
    for (const StateSnapshot& snapshot : batch.snapshots) {
      if (snapshot.sequence == static_cast<int>(i)) run(first + snapshot.tokens, snapshot.slot);
    }
    run(end, batch.whole.write[i]);
  }
  slots.append_to(out.data);
  return out.data;
}

std::vector<float> on_the_way(Operations& ops, const Recurrence& recurrence, const Batch& batch, const Tokens& in,
                              DType dtype) {
  StateSlots slots = zero_slots(recurrence, dtype);
  SequenceBatch whole = batch.whole.batch();
  whole.num_computed_tokens = batch.computed;
  whole.snapshots = batch.snapshots;
  Matrix out(in.count, recurrence.out_columns());
  recurrence.run(ops, in, whole, slots.view, out.view());
  slots.append_to(out.data);
  return out.data;
}

}  // namespace

TEST_CASE("emulated: recurrences and convolutions leave the snapshots that the CPU's pieces leave") {
  for (const test::MakeRecurrence make : test::kRecurrences) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat16}) {
      test::Machine cpu("portable", 1);
      const auto gpu = test::make_emulated_platform();
      const auto queue = gpu->create_queue();
      REQUIRE(queue->ops().leaves_snapshots());
      test::Random random(21);
      const auto recurrence = make(random);
      const Batch batch;
      const Tokens in = recurrence->tokens(random, kLong + kShort);
      CAPTURE(recurrence->label(), dtype_name(dtype));
      const std::vector<float> expected = in_pieces(cpu.ops(), *recurrence, batch, in, dtype);
      recurrence->pack_with(
          [&](const WeightSource& source, const PackScheme& scheme) { return gpu->pack(source, scheme, {}); });
      test::in_every_order([&] {
        const std::vector<float> found = on_the_way(queue->ops(), *recurrence, batch, in, dtype);
        queue->wait();
        CHECK(test::worst_error(found, {expected.begin(), expected.end()}) <= (dtype == DType::kFloat32 ? 5e-4 : 8e-3));
      });
    }
  }
}

TEST_CASE("chunks end at absolute multiples and at snapshots; padding and short sequences have none") {
  Sequences sequences;
  sequences.add(100, 1, 1, true);  // 30 before it
  sequences.add(5, 2, 2, false);   // short
  sequences.add(70, 3, 0, false);  // padding
  sequences.add(64, 4, 4, false);
  const std::vector<std::int32_t> computed{30, 0, 0, 0};
  const std::vector<StateSnapshot> snapshots{{0, 34, 7}, {0, 40, 8}, {1, 2, 9}, {3, 63, 10}};
  SequenceBatch batch = sequences.batch();
  batch.num_computed_tokens = computed;
  batch.snapshots = snapshots;
  cuda::ScanChunks found;
  cuda::cut_into_chunks(batch, 64, 64, found);
  std::vector<std::vector<std::int32_t>> chunks;
  for (const cuda::ScanChunk& chunk : found.chunks) {
    chunks.push_back({chunk.sequence, chunk.token, chunk.tokens, chunk.snapshot});
  }
  CHECK(chunks == std::vector<std::vector<std::int32_t>>{
                      {0, 0, 34, 7}, {0, 34, 6, 8}, {0, 40, 58, 0}, {0, 98, 2, 0}, {3, 175, 63, 10}, {3, 238, 1, 0}});
  CHECK(found.first_chunk == std::vector<std::int32_t>{0, 4, 4, 4, 6});
  CHECK(found.others);
  batch.snapshots = {};
  sequences = {};
  sequences.add(64, 1, 1, false);
  cuda::cut_into_chunks(sequences.batch(), 64, 64, found);
  CHECK(found.chunks.size() == 1);
  CHECK_FALSE(found.others);
}

}  // namespace krait
