# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, never run.

# The repository's root; every script works from there.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "${root}" || exit 1

say() { echo "==> $*"; }

# stage NAME COMMAND...: runs the command and keeps its time and result for stage_table. Never call it as part of a condition: bash
# would then ignore errors inside the command. What failed is counted in stages_failed.
stage_names=()
stage_results=()
stage_seconds=()
stages_failed=0
stage() {
  local name=$1 start=${SECONDS} status=0
  shift
  say "${name}"
  set +e
  (
    set -e
    "$@"
  )
  status=$?
  set -e
  stage_names+=("${name}")
  stage_seconds+=($((SECONDS - start)))
  if ((status == 0)); then
    stage_results+=(ok)
  else
    stage_results+=("FAILED (${status})")
    stages_failed=$((stages_failed + 1))
  fi
}

# skipped_stage NAME REASON: a line in the table for what was not done.
skipped_stage() {
  say "$1: skipped, $2"
  stage_names+=("$1")
  stage_seconds+=(0)
  stage_results+=("skipped: $2")
}

# required_stage NAME COMMAND...: a stage without which the rest means nothing.
required_stage() {
  stage "$@"
  ((stages_failed == 0)) || exit 1
}

stage_table() {
  local i
  echo
  printf '%-28s %8s  %s\n' stage seconds result
  for i in "${!stage_names[@]}"; do
    printf '%-28s %8d  %s\n' "${stage_names[i]}" "${stage_seconds[i]}" "${stage_results[i]}"
  done
  echo
}

has_nvcc() { command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; }

# configure_cuda: the preset cuda for one architecture; one is enough to see that everything compiles.
configure_cuda() {
  local log
  log=$(mktemp)
  cmake --preset cuda -DCMAKE_CUDA_ARCHITECTURES=90a-real >"${log}" 2>&1 || { cat "${log}" >&2 && rm -f "${log}" && return 1; }
  rm -f "${log}"
}

# build PRESET [TARGET...]: configures once, then builds. Output only where something is wrong, or when it is a terminal.
build() {
  local preset=$1 log
  shift
  log=$(mktemp)
  if ! cmake --preset "${preset}" >"${log}" 2>&1; then
    cat "${log}" >&2
    rm -f "${log}"
    return 1
  fi
  rm -f "${log}"
  NINJA_STATUS='[%f/%t, %es] ' cmake --build --preset "${preset}" ${1:+--target "$@"}
}
