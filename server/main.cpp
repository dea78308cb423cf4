#include "server/cli/command_line.h"

int main(int argc, char** argv) { return krait::server::run_command_line(argc, argv); }
