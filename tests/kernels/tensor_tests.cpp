#include "kernels/tensor.h"

#include <catch2/catch.hpp>
#include <vector>

namespace krait {

TEST_CASE("A slice of rows or columns points into its parent") {
  std::vector<float> data(12);
  const TensorView m(data.data(), DType::kFloat32, Shape{3, 4});
  CHECK(m.slice_rows(1, 2).row<float>(1) == data.data() + 8);
  const TensorView columns = m.slice_columns(2, 2);
  CHECK(columns.columns() == 2);
  CHECK(columns.row<float>(2) == data.data() + 10);
  CHECK(columns.slice_rows(1, 1).row<float>(0) == data.data() + 6);
}

TEST_CASE("A shape knows its elements and how it is written") {
  CHECK(Shape{3, 4, 5}.elements() == 60);
  CHECK(Shape{3, 4}.to_string() == "[3, 4]");
  CHECK(Shape{}.elements() == 0);
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK_FALSE(Shape{2, 3} == Shape{2, 3, 1});
}

}  // namespace krait
