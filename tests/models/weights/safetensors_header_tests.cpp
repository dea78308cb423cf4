#include "models/weights/safetensors_header.h"

#include <catch2/catch.hpp>

#include "tests/models/config/startup_error_message.h"
#include "tests/models/weights/safetensors_bytes.h"

using namespace krait::test;
using krait::DType;
using krait::Shape;

namespace {

auto parse(const std::string& bytes) {
  return krait::parse_safetensors_header({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()},
                                         "m.safetensors");
}

/// The error for a header over 16 bytes of data.
std::string header_error(const std::string& header) {
  return startup_error_message([&] { parse(safetensors_bytes(header, std::string(16, 'd'))); });
}

/// The error for one tensor `w` over 16 bytes of data.
std::string tensor_error(const std::string& entry) { return header_error(R"({"w": )" + entry + "}"); }

std::string file_error(const std::string& bytes) {
  return startup_error_message([&] { parse(bytes); });
}

}  // namespace

TEST_CASE("a header gives each tensor's place, and metadata is passed over") {
  const std::string header = R"({"__metadata__": {"format": "pt"},
      "b": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
      "none": {"dtype": "I64", "shape": [3, 0], "data_offsets": [8, 8]},
      "a": {"dtype": "BF16", "shape": [2, 1, 2], "data_offsets": [0, 8]},
      "scalar": {"dtype": "U8", "shape": [], "data_offsets": [16, 17]}}  )";
  const auto entries = parse(safetensors_bytes(header, std::string(17, 'd')));
  REQUIRE(entries.size() == 4);
  CHECK(entries.at("a").dtype == DType::kBFloat16);
  CHECK(entries.at("a").shape == Shape{2, 1, 2});
  CHECK(entries.at("a").begin == 8 + header.size());
  CHECK(entries.at("a").bytes == 8);
  CHECK(entries.at("b").begin == 8 + header.size() + 8);
  CHECK(entries.at("none").bytes == 0);
  CHECK(entries.at("scalar").shape == Shape{1});
}

TEST_CASE("a file without tensors is valid") { CHECK(parse(safetensors_bytes("{}", "")).empty()); }

TEST_CASE("a bad header length is refused") {
  CHECK(file_error("") == "m.safetensors: has 0 bytes, too few for a safetensors file");
  CHECK(file_error("1234567").find("has 7 bytes, too few") != std::string::npos);
  CHECK(file_error(length_bytes(0) + "{}") == "m.safetensors: states a header of 0 bytes; at least 2 are valid");
  CHECK(file_error(length_bytes(3) + "{}") ==
        "m.safetensors: states a header of 3 bytes; the file has 2 after the length (is it truncated?)");
  CHECK(file_error(length_bytes(100'000'001) + "{}").find("at most 100000000 are valid") != std::string::npos);
  CHECK(file_error(length_bytes(~std::uint64_t{0}) + "{}").find("at most 100000000 are valid") != std::string::npos);
}

TEST_CASE("a header that is not the right JSON is refused") {
  CHECK(header_error("[]").find("m.safetensors: has a header that does not begin with `{`") == 0);
  CHECK(header_error(" {}").find("does not begin with `{`") != std::string::npos);
  CHECK(
      header_error("{\"a\": }").find("m.safetensors: the header is not valid JSON: parse error at line 1, column 7") ==
      0);
  CHECK(header_error("{\"a\": Infinity}").find("is not valid JSON") != std::string::npos);
  CHECK(header_error("{} {}").find("is not valid JSON") != std::string::npos);
  CHECK(header_error("{\"a\": " + std::string(1'000'000, '[')).find("nested more than") != std::string::npos);
  CHECK(header_error("{\"w\": 1, \"w\": 2}") == "m.safetensors: the header has the name `w` twice");
  CHECK(
      tensor_error(R"({"dtype": "U8", "dtype": "U8", "shape": [16], "data_offsets": [0, 16]})").find("`dtype` twice") !=
      std::string::npos);
}

TEST_CASE("a tensor's dtype must be known") {
  CHECK(tensor_error(R"({"dtype": "F4", "shape": [16], "data_offsets": [0, 16]})") ==
        "m.safetensors: tensor `w`: has the dtype \"F4\"; valid are F32, BF16, F16, F8_E4M3, F8_E5M2, I64, I32, I8, U8 "
        "and BOOL");
  CHECK(tensor_error(R"({"dtype": 8, "shape": [16], "data_offsets": [0, 16]})").find("has the dtype 8; valid") !=
        std::string::npos);
  CHECK(tensor_error(R"({"shape": [16], "data_offsets": [0, 16]})") == "m.safetensors: tensor `w`: has no `dtype`");
  CHECK(tensor_error("16") == "m.safetensors: tensor `w`: must be an object, found 16");
}

TEST_CASE("a tensor's shape must be a list of sizes that no product overflows") {
  const auto shape_error = [](const std::string& shape) {
    return tensor_error(R"({"dtype": "U8", "shape": )" + shape + R"(, "data_offsets": [0, 16]})");
  };
  CHECK(shape_error("[-16]") == "m.safetensors: tensor `w`: `shape` must be a list of integers from 0, found [-16]");
  CHECK(shape_error("[1.5]").find("must be a list of integers") != std::string::npos);
  CHECK(shape_error("16").find("`shape` must be a list, found 16") != std::string::npos);
  CHECK(shape_error("[4294967296, 4294967296]").find("which overflows") != std::string::npos);
  CHECK(shape_error("[18446744073709551615]").find("which overflows") != std::string::npos);
  CHECK(shape_error("[0, 4294967296, 4294967296]").find("which overflows") != std::string::npos);
  CHECK(shape_error("[4294967296, 4294967296, 0]").find("which overflows") != std::string::npos);
  CHECK(shape_error("[1, 1, 1, 1, 1, 16]").find("has 6 dimensions; at most 5 are valid") != std::string::npos);
  CHECK(tensor_error(R"({"dtype": "U8", "data_offsets": [0, 16]})").find("has no `shape`") != std::string::npos);
}

TEST_CASE("a tensor's offsets must lie in the data and fit its shape") {
  const auto offsets_error = [](const std::string& offsets) {
    return tensor_error(R"({"dtype": "F32", "shape": [4], "data_offsets": )" + offsets + "}");
  };
  CHECK(offsets_error("[0, 16]") == "no error");
  CHECK(offsets_error("[16, 32]") ==
        "m.safetensors: tensor `w`: `data_offsets` [16,32] end past the data section of 16 bytes (is the file "
        "truncated?)");
  CHECK(offsets_error("[0, 18446744073709551615]").find("end past the data section") != std::string::npos);
  CHECK(offsets_error("[16, 0]").find("end before they begin") != std::string::npos);
  CHECK(offsets_error("[0, 8]") ==
        "m.safetensors: tensor `w`: has 8 bytes of data, but its shape [4] of float32 needs 16");
  CHECK(offsets_error("[-1, 15]").find("must be two integers from 0") != std::string::npos);
  CHECK(offsets_error("[0, 8, 16]").find("must be two integers from 0") != std::string::npos);
  CHECK(offsets_error("{}").find("`data_offsets` must be a list, found {}") != std::string::npos);
}

TEST_CASE("every byte of the data belongs to one tensor") {
  const auto pair_error = [](const std::string& a, const std::string& b) {
    const auto entry = [](const std::string& offsets) {
      return R"({"dtype": "U8", "shape": [8], "data_offsets": )" + offsets + "}";
    };
    return header_error(R"({"a": )" + entry(a) + R"(, "b": )" + entry(b) + "}");
  };
  CHECK(pair_error("[0, 8]", "[8, 16]") == "no error");
  CHECK(pair_error("[8, 16]", "[0, 8]") == "no error");
  CHECK(pair_error("[0, 8]", "[4, 12]") ==
        "m.safetensors: tensor `b`: overlaps the tensor before it: it begins at byte 4 of the data, expected 8");
  CHECK(pair_error("[0, 8]", "[0, 8]").find("tensor `b`: overlaps") != std::string::npos);
  CHECK(tensor_error(R"({"dtype": "U8", "shape": [8], "data_offsets": [8, 16]})").find("tensor `w`: leaves a hole") !=
        std::string::npos);
  CHECK(tensor_error(R"({"dtype": "U8", "shape": [8], "data_offsets": [0, 8]})") ==
        "m.safetensors: has 8 bytes at its end that belong to no tensor");
}
