#pragma once

#include "server/cli/commands.h"

namespace CLI {
class App;
}

namespace krait::server {

// The flags of the commands that measure.
void add_perplexity_flags(CLI::App& command, PerplexityFlags& flags);
void add_engine_bench_flags(CLI::App& command, EngineBenchFlags& flags);

}  // namespace krait::server
