# xgrammar (Apache 2.0), the library behind engine/constraint: a static library from the sources that scripts/install-deps
# fetched. Its own CMakeLists.txt is not used: it forces -Werror and link-time optimisation on whatever includes it.

set(KRAIT_XGRAMMAR_VERSION 0.2.8)
include(CacheHome)
set(KRAIT_XGRAMMAR_DIR "${KRAIT_CACHE_HOME}/xgrammar-${KRAIT_XGRAMMAR_VERSION}"
    CACHE PATH "xgrammar's sources, as scripts/install-deps unpacks them")

if(NOT EXISTS "${KRAIT_XGRAMMAR_DIR}/include/xgrammar/xgrammar.h")
  message(FATAL_ERROR "xgrammar ${KRAIT_XGRAMMAR_VERSION} is not in ${KRAIT_XGRAMMAR_DIR}. Run scripts/install-deps, which "
                      "fetches it, or unpack its source archive yourself and set -DKRAIT_XGRAMMAR_DIR=PATH.")
endif()

file(GLOB xgrammar_sources "${KRAIT_XGRAMMAR_DIR}/cpp/*.cc" "${KRAIT_XGRAMMAR_DIR}/cpp/converter_ext/*.cc"
     "${KRAIT_XGRAMMAR_DIR}/cpp/support/*.cc")

# krait_correct_xgrammar(FILE OLD NEW): compiles a corrected copy in the build folder instead of the library's file. OLD
# must be there exactly once: another version of the library needs another look.
function(krait_correct_xgrammar file old new)
  set(original "${KRAIT_XGRAMMAR_DIR}/cpp/${file}")
  set(copy "${PROJECT_BINARY_DIR}/xgrammar/${file}")
  if(DEFINED xgrammar_text_${file})
    set(text "${xgrammar_text_${file}}")
  else()
    file(READ "${original}" text)
  endif()
  string(FIND "${text}" "${old}" first)
  string(FIND "${text}" "${old}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "cmake/XGrammar.cmake corrects xgrammar ${KRAIT_XGRAMMAR_VERSION}, but ${original} is of another "
                        "version: it does not hold exactly once: ${old}")
  endif()
  string(REPLACE "${old}" "${new}" text "${text}")
  set(xgrammar_text_${file} "${text}" PARENT_SCOPE)
  set(written "")
  if(EXISTS "${copy}")
    file(READ "${copy}" written)
  endif()
  if(NOT written STREQUAL text)
    file(WRITE "${copy}" "${text}")
  endif()
  list(REMOVE_ITEM xgrammar_sources "${original}" "${copy}")
  list(APPEND xgrammar_sources "${copy}")
  set(xgrammar_sources "${xgrammar_sources}" PARENT_SCOPE)
endfunction()

# A string with minLength or maxLength could hold raw control characters, which JSON forbids. (It still has no escapes: with
# them a repetition is no longer of one character class, and a mask of a large vocabulary takes a second.)
krait_correct_xgrammar(json_schema_converter.cc
[=[          builder_.AddCharacterClass({{'"', '"'}, {'\\', '\\'}, {'\r', '\r'}, {'\n', '\n'}}, true);
      int32_t body =]=]
[=[          builder_.AddCharacterClass({{'"', '"'}, {'\\', '\\'}, {0, 0x1f}}, true);
      int32_t body =]=])

# Keywords that it does not implement were ignored in silence; as warnings they become refusals (library_messages.h).
krait_correct_xgrammar(json_schema_converter.cc
[=[const std::vector<std::string>& keywords, bool verbose = false]=]
[=[const std::vector<std::string>& keywords, bool verbose = true]=])

# So were keywords beside one that decides alone, and those that say something of one type where no type is stated.
krait_correct_xgrammar(json_schema_converter.cc
[=[      schema_obj, {"not", "if", "then", "else", "dependentRequired", "dependentSchemas"}
  );]=]
[=[      schema_obj, {"not", "if", "then", "else", "dependentRequired", "dependentSchemas"}
  );
  {
    static const std::vector<std::string> alone = {"$ref", "const", "enum", "anyOf", "oneOf", "allOf"};
    static const std::vector<std::string> structure = {"properties", "additionalProperties", "unevaluatedProperties",
                                                       "items", "prefixItems", "unevaluatedItems"};
    static const std::vector<std::string> details = {
        "required", "patternProperties", "propertyNames", "minProperties", "maxProperties", "minItems", "maxItems",
        "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"};
    const auto has = [&](const std::string& keyword) { return schema_obj.count(keyword) > 0; };
    const auto warn_of = [&](const std::vector<std::string>& keywords, const std::string& but, const std::string& why) {
      for (const auto& keyword : keywords) {
        if (keyword != but && has(keyword)) XGRAMMAR_LOG(WARNING) << "Keyword " << keyword << " " << why << " is not supported";
      }
    };
    const auto decides = std::find_if(alone.begin(), alone.end(), has);
    if (decides != alone.end()) {
      for (const auto* keywords : {&alone, &structure, &details}) warn_of(*keywords, *decides, "beside " + *decides);
      // A type that every alternative states too says nothing more.
      const auto& value = schema_obj.at(*decides);
      bool type_matters = *decides == "$ref";
      if (value.is<picojson::array>() && *decides != "enum" && *decides != "const") {
        for (const auto& option : value.get<picojson::array>()) {
          type_matters = type_matters || !option.is<picojson::object>() || !option.get<picojson::object>().count("type");
        }
      }
      if (type_matters) warn_of({"type"}, "", "beside " + *decides);
    } else if (!has("type") && !default_type.has_value() && std::none_of(structure.begin(), structure.end(), has)) {
      warn_of(details, "", "without type");
    }
  }]=])

# White space of the JSON in a structural tag had no end where the tag does not state one (xgrammar_constraint.cpp).
krait_correct_xgrammar(structural_tag.cc
[=[  std::optional<int> max_whitespace_cnt = std::nullopt;
  auto max_whitespace_cnt_it]=]
[=[  std::optional<int> max_whitespace_cnt = 1;
  auto max_whitespace_cnt_it]=])

# Surrogates are code points, but no UTF-8 has them.
krait_correct_xgrammar(grammar_functor.cc
[=[  constexpr uint32_t width_ends[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  for (uint32_t width_end : width_ends) {]=]
[=[  constexpr uint32_t width_ends[] = {0x7F, 0x7FF, 0xFFFF, 0x10FFFF};
  if (low <= 0xDFFF && high >= 0xD800) {
    if (low < 0xD800) AddCodepointRange(from, to, low, 0xD7FF);
    if (high > 0xDFFF) AddCodepointRange(from, to, 0xE000, high);
    return;
  }
  for (uint32_t width_end : width_ends) {]=])
krait_correct_xgrammar(fsm_builder.cc
[=[    FSM* fsm, int from, int to, const std::vector<CodepointRange>& ranges
) {
  for (const auto& [low, high] : ranges) {]=]
[=[    FSM* fsm, int from, int to, const std::vector<CodepointRange>& all_ranges
) {
  // Of one length of UTF-8 each: what spans two came with sequences that are longer than they must be.
  std::vector<CodepointRange> ranges;
  for (const auto& [low, high] : all_ranges) {
    for (const CodepointRange& part : {CodepointRange{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x10FFFF}}) {
      const CodepointRange both{std::max<uint32_t>(low, part.first), std::min<uint32_t>(high, part.second)};
      if (both.first <= both.second) ranges.push_back(both);
    }
  }
  for (const auto& [low, high] : ranges) {]=])

add_library(xgrammar STATIC ${xgrammar_sources})
set_target_properties(xgrammar PROPERTIES CXX_STANDARD 17 CXX_EXTENSIONS OFF)
target_include_directories(xgrammar PRIVATE "${KRAIT_XGRAMMAR_DIR}/cpp")
target_include_directories(xgrammar SYSTEM PUBLIC
  "${KRAIT_XGRAMMAR_DIR}/include" "${KRAIT_XGRAMMAR_DIR}/3rdparty/picojson" "${KRAIT_XGRAMMAR_DIR}/3rdparty/dlpack/include")
# Its messages come to engine/constraint/library_messages.cpp instead of standard error.
target_compile_definitions(xgrammar PUBLIC XGRAMMAR_LOG_CUSTOMIZE=1 XGRAMMAR_ENABLE_CPPTRACE=0
                                           XGRAMMAR_ENABLE_INTERNAL_CHECK=0)
target_compile_options(xgrammar PRIVATE -w)
if(KRAIT_SANITIZE)
  target_compile_options(xgrammar PRIVATE -fsanitize=${KRAIT_SANITIZE} -fno-omit-frame-pointer)
endif()
target_link_libraries(xgrammar PUBLIC Threads::Threads)
