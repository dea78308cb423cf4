#include "models/backends/sequence_waves.h"

#include <algorithm>

namespace krait {
namespace {

/// One request's tokens of the step and the snapshots inside them, in order.
struct CutRequest {
  std::int32_t begin = 0;
  std::int32_t end = 0;
  std::int32_t computed = 0;
  std::int32_t read = 0;
  std::int32_t write = 0;
  std::vector<SnapshotRequest> cuts{};

  /// First token of piece `piece`, of which there is one more than cuts.
  [[nodiscard]] std::int32_t piece_begin(std::size_t piece) const {
    return piece == 0 ? begin : begin + cuts[piece - 1].position - computed;
  }
  [[nodiscard]] std::int32_t piece_end(std::size_t piece) const {
    return piece == cuts.size() ? end : piece_begin(piece + 1);
  }
};

std::vector<CutRequest> cut_requests(const BatchLayout& batch) {
  std::vector<CutRequest> requests;
  for (std::size_t r = 0; r < static_cast<std::size_t>(batch.num_reqs()); ++r) {
    requests.push_back({.begin = batch.query_start_loc[r],
                        .end = batch.query_start_loc[r + 1],
                        .computed = batch.num_computed_tokens[r],
                        .read = batch.state_read[r],
                        .write = batch.state_write[r]});
  }
  for (const SnapshotRequest& snapshot : batch.snapshots) {
    requests[static_cast<std::size_t>(snapshot.request)].cuts.push_back(snapshot);
  }
  for (CutRequest& request : requests) {
    std::sort(request.cuts.begin(), request.cuts.end(),
              [](const SnapshotRequest& a, const SnapshotRequest& b) { return a.position < b.position; });
  }
  return requests;
}

class WaveBuilder {
 public:
  explicit WaveBuilder(std::int32_t origin) : origin_(origin) { wave_.query_start_loc.push_back(0); }

  /// Piece `index` of the request, between what of it belongs to other waves.
  void add(const CutRequest& request, std::size_t index) {
    if (index > request.cuts.size()) return skip(request.end);
    const std::size_t last = request.cuts.size();
    if (request.piece_begin(index) > request.begin) skip(request.piece_begin(index));
    push(request.piece_end(index), index == 0 ? request.read : request.cuts[index - 1].slot,
         index == last ? request.write : request.cuts[index].slot, index > 0 || request.computed > 0,
         request.computed + request.piece_begin(index) - request.begin);
    if (request.piece_end(index) < request.end) skip(request.end);
  }

  /// The whole request, its snapshots beside it.
  void add_whole(const CutRequest& request) {
    const auto sequence = static_cast<std::int32_t>(wave_.state_read.size());
    push(request.end, request.read, request.write, request.computed > 0, request.computed);
    for (const SnapshotRequest& cut : request.cuts) {
      wave_.snapshots.push_back({.sequence = sequence, .tokens = cut.position - request.computed, .slot = cut.slot});
    }
  }

  [[nodiscard]] SequenceWave take() { return std::move(wave_); }

 private:
  void skip(std::int32_t end) { push(end, 0, 0, false, 0); }
  void push(std::int32_t end, std::int32_t read, std::int32_t write, bool has_initial, std::int32_t computed) {
    wave_.query_start_loc.push_back(end - origin_);
    wave_.state_read.push_back(read);
    wave_.state_write.push_back(write);
    wave_.has_initial_state.push_back(has_initial ? 1 : 0);
    wave_.num_computed_tokens.push_back(computed);
  }

  std::int32_t origin_;
  SequenceWave wave_;
};

}  // namespace

std::vector<SequenceWave> make_sequence_waves(const BatchLayout& batch, int first_request) {
  const std::vector<CutRequest> requests = cut_requests(batch);
  const auto first = static_cast<std::size_t>(first_request);
  std::size_t count = 1;
  for (std::size_t r = first; r < requests.size(); ++r) count = std::max(count, requests[r].cuts.size() + 1);
  std::vector<SequenceWave> waves;
  for (std::size_t wave = 0; wave < count; ++wave) {
    WaveBuilder builder(batch.query_start_loc[first]);
    for (std::size_t r = first; r < requests.size(); ++r) builder.add(requests[r], wave);
    waves.push_back(builder.take());
  }
  return waves;
}

SequenceWave make_whole_wave(const BatchLayout& batch, int first_request) {
  const std::vector<CutRequest> requests = cut_requests(batch);
  const auto first = static_cast<std::size_t>(first_request);
  WaveBuilder builder(batch.query_start_loc[first]);
  for (std::size_t r = first; r < requests.size(); ++r) builder.add_whole(requests[r]);
  return builder.take();
}

}  // namespace krait
