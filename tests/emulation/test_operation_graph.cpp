#include <catch2/catch.hpp>
#include <vector>

#include "kernels/cuda/attention/paged_attention.h"
#include "kernels/operation_graph.h"
#include "kernels/operations.h"
#include "tests/emulation/emulated_device.h"

// Recorded operations of the CUDA platform, below any model.

namespace krait::test {
namespace {

/// Rows of a matrix picked by indices that each step gives anew.
struct Picker {
  std::unique_ptr<CudaPlatform> platform = make_emulated_platform();
  std::unique_ptr<Queue> queue = platform->create_queue();
  std::vector<float> values{0, 1, 2, 3, 4, 5, 6, 7};
  Buffer from = platform->upload(values.data(), values.size() * sizeof(float));
  Buffer to = platform->allocate(2 * sizeof(float));
  TensorView out{to.data.get(), DType::kFloat32, Shape{2, 1}};

  void pick(const std::vector<std::int32_t>& rows) const {
    queue->ops().gather_rows({.x = {from.data.get(), DType::kFloat32, Shape{8, 1}}, .indices = rows, .out = out});
  }
  [[nodiscard]] std::vector<float> picked() const {
    std::vector<float> found(2);
    queue->download(found.data(), out);
    return found;
  }
  void launch(const OperationGraph& graph, const std::vector<std::int32_t>& rows) const {
    queue->stage(arrays(rows));
    queue->graphs()->launch(graph);
  }
  [[nodiscard]] std::unique_ptr<OperationGraph> record(const std::vector<std::int32_t>& rows) const {
    return queue->graphs()->record(arrays(rows), [&] { pick(rows); });
  }
  static StepArrays arrays(const std::vector<std::int32_t>& rows) {
    StepArrays arrays;
    arrays.add(rows);
    return arrays;
  }
};

}  // namespace

TEST_CASE("a graph does nothing until it is started, and then reads what the arrays hold") {
  const Picker picker;
  const std::vector<std::int32_t> first{1, 2};
  picker.pick(first);
  picker.queue->wait();
  const std::vector<std::int32_t> second{7, 6};
  const auto graph = picker.record(second);
  CHECK(picker.picked() == std::vector<float>{1, 2});
  picker.launch(*graph, second);
  CHECK(picker.picked() == std::vector<float>{7, 6});
  const std::vector<std::int32_t> third{0, 5};
  picker.launch(*graph, third);
  CHECK(picker.picked() == std::vector<float>{0, 5});
}

TEST_CASE("graphs of the same operations have one listing, others another") {
  const Picker picker;
  const std::vector<std::int32_t> rows{1, 2};
  picker.queue->stage(Picker::arrays(rows));
  const std::string listing = picker.record(rows)->listing();
  CHECK_FALSE(listing.empty());
  CHECK(picker.record({3, 4})->listing() == listing);
  CHECK(picker.record({3})->listing() != listing);
}

TEST_CASE("an array that is none of the step's is refused while operations are recorded, not kept by address") {
  const Picker picker;
  const std::vector<std::int32_t> rows{1, 2};
  const std::vector<std::int32_t> other{3, 4};
  CHECK_THROWS_WITH(picker.queue->graphs()->record(Picker::arrays(rows), [&] { picker.pick(other); }),
                    Catch::Contains("none of its step's"));
  picker.pick(other);
  CHECK(picker.picked() == std::vector<float>{3, 4});
}

TEST_CASE("operations that want memory or wait cannot be recorded; the queue goes on") {
  const Picker picker;
  const std::vector<std::int32_t> rows{1, 2};
  const auto record = [&](const std::function<void()>& operations) {
    return picker.queue->graphs()->record(Picker::arrays(rows), operations);
  };
  CHECK_THROWS_WITH(record([&] { picker.platform->allocate(1); }), Catch::Contains("during a capture"));
  CHECK_THROWS_WITH(record([&] { picker.queue->wait(); }), Catch::Contains("during a capture"));
  picker.pick(rows);
  CHECK(picker.picked() == std::vector<float>{1, 2});
}

TEST_CASE("a graph whose arrays have moved, or that is given others, is not started") {
  const Picker picker;
  const std::vector<std::int32_t> rows{1, 2};
  const auto graph = picker.record(rows);
  CHECK(graph->is_current());
  const std::vector<std::int32_t> three{1, 2, 3};
  CHECK_THROWS_WITH(picker.launch(*graph, three), Catch::Contains("other sizes"));
  const std::vector<std::int32_t> large(std::size_t{1} << 20);
  picker.queue->stage(Picker::arrays(large));
  CHECK_FALSE(graph->is_current());
  CHECK_THROWS_WITH(picker.launch(*graph, rows), Catch::Contains("has moved"));
}

TEST_CASE("a part of a step's array is found in it") {
  const Picker picker;
  const std::vector<std::int32_t> rows{1, 2, 3, 4};
  picker.queue->stage(Picker::arrays(rows));
  picker.queue->ops().gather_rows({.x = {picker.from.data.get(), DType::kFloat32, Shape{8, 1}},
                                   .indices = std::span(rows).subspan(2),
                                   .out = picker.out});
  CHECK(picker.picked() == std::vector<float>{3, 4});
}

TEST_CASE("no request has more segments than its bound on the length allows") {
  for (const int window : {0, 1, 16, 250, 256, 257, 1000, 5000}) {
    for (int bound = 256; bound <= 1 << 16; bound *= 2) {
      int most = 0;
      for (int length = 1; length <= bound; length += length < 600 ? 1 : 97) {
        for (const int tokens : {1, cuda::kMostSplitTokens}) {
          if (tokens <= length) most = std::max(most, cuda::segments_of(window, length, tokens));
        }
      }
      CAPTURE(window, bound, most);
      CHECK(most <= cuda::most_segments(window, bound));
      CHECK(cuda::most_segments(window, bound) <= 65);
    }
  }
}

}  // namespace krait::test
