#!/bin/sh
# check_isa_symbols.sh NM OBJECT...: the kernels' objects for one instruction set may not define a function that another object could
# share (weak: inline functions, templates), because the linker might keep this copy for processors that cannot run it.
nm="$1"
shift
if "$nm" -C "$@" | grep -E ' [WVu] '; then
  echo "the symbols above are shared with code for other processors" >&2
  exit 1
fi
