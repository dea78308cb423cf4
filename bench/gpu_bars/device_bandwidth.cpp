#include "bench/gpu_bars/bars.h"
#include "bench/gpu_bars/seconds_of.h"
#include "kernels/cuda/runtime/open_device.h"

namespace krait::bench {

double device_bandwidth() {
  constexpr std::size_t kBytes = std::size_t{1} << 30;
  const auto device = cuda::open_device(0);
  const Buffer from = device->allocate(kBytes);
  const Buffer to = device->allocate(kBytes);
  const cuda::Stream stream = device->create_stream();
  const double seconds = seconds_of([&] { device->copy_on_device(to.data.get(), from.data.get(), kBytes, stream); },
                                    [&] { device->wait(stream); });
  device->destroy_stream(stream);
  return 2.0 * static_cast<double>(kBytes) / seconds;
}

}  // namespace krait::bench
