#pragma once

namespace krait::server {

/// The whole program: reads the command line and runs a command. Returns the exit status: 0; 1 when the command failed;
/// CLI11's own numbers (100 and more) for a command line that cannot be read.
int run_command_line(int argc, char** argv);

}  // namespace krait::server
