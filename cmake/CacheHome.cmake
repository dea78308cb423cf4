# KRAIT_CACHE_HOME: where scripts/install-deps unpacks sources, as it says there.
include_guard()

if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(KRAIT_CACHE_HOME "$ENV{XDG_CACHE_HOME}/krait")
else()
  set(KRAIT_CACHE_HOME "$ENV{HOME}/.cache/krait")
endif()
