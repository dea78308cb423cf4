#include <catch2/catch.hpp>

#include "tests/emulation/emulation_support.h"

namespace krait {

TEST_CASE("emulated: attention agrees with the CPU") { test::check_agreement("attention", 1e-5, 1); }

TEST_CASE("emulated: latent attention agrees with the CPU") { test::check_agreement("latent attention", 1e-5, 1); }

}  // namespace krait
