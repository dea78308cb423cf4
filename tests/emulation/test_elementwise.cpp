#include <catch2/catch.hpp>

#include "tests/emulation/emulation_support.h"

namespace krait {

TEST_CASE("emulated: element-wise operations agree with the CPU") { test::check_agreement("element-wise", 1e-5); }

TEST_CASE("emulated: embeddings and norms agree with the CPU") { test::check_agreement("embedding and norms", 1e-5); }

TEST_CASE("emulated: products agree with the CPU") { test::check_agreement("linear", 1e-4); }

}  // namespace krait
