#pragma once

#include <span>
#include <vector>

namespace krait {

/// The CPUs that the calling thread may run on, ascending. Threads that it starts may run on the same. Empty when the
/// system does not say.
std::vector<int> thread_cpus();

/// From here on the calling thread runs on these CPUs alone. No CPUs: nothing changes. False when the system refuses.
bool set_thread_cpus(std::span<const int> cpus);

/// The same for every thread that the process has now, and for those that they start.
void set_process_cpus(std::span<const int> cpus);

}  // namespace krait
