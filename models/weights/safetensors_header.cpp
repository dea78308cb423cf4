#include "models/weights/safetensors_header.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/result.h"
#include "models/config/json_document.h"

namespace krait {
namespace {

using nlohmann::json;

/// A little-endian integer stands before the header.
constexpr std::size_t kLengthBytes = 8;
/// The format's own limit.
constexpr std::uint64_t kMaximumHeaderBytes = 100'000'000;

/// How the text begins that Git LFS leaves in the place of a file that was not fetched.
constexpr std::string_view kLfsPointer = "version https://git-lfs.github.com/";

using Entries = std::map<std::string, TensorEntry>;

/// The parts of a file whose header length has been checked.
struct Layout {
  const std::string& path;
  std::string_view header;
  std::size_t data_begin = 0;
  std::size_t data_bytes = 0;
};

[[noreturn]] void fail(const std::string& path, const std::string& message) {
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = path + ": " + message, .field = path});
}

[[noreturn]] void fail_tensor(const std::string& path, const std::string& name, const std::string& message) {
  const std::string text = path + ": tensor `" + shorten(name) + "`: " + message;
  throw StartupError(Error{.code = ErrorCode::kInvalidArgument, .message = text, .field = shorten(name)});
}

/// Byte by byte, so that it is right on any machine and for any alignment.
std::uint64_t read_header_length(std::span<const std::byte> file) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<std::uint64_t>(file[i]) << (8 * i);
  return length;
}

/// Compares without adding: a stated length near 2^64 must not wrap around.
Layout read_layout(std::span<const std::byte> file, const std::string& path) {
  if (file.size() < kLengthBytes) {
    fail(path, "has " + std::to_string(file.size()) + " bytes, too few for a safetensors file");
  }
  const std::string_view start(reinterpret_cast<const char*>(file.data()), std::min(file.size(), kLfsPointer.size()));
  if (start == kLfsPointer) {
    fail(path, "is a Git LFS pointer and not the weights themselves: run `git lfs pull` in the folder");
  }
  const std::uint64_t length = read_header_length(file);
  const std::string stated = "states a header of " + std::to_string(length) + " bytes; ";
  if (length < 2) fail(path, stated + "at least 2 are valid");
  if (length > kMaximumHeaderBytes) {
    fail(path, stated + "at most " + std::to_string(kMaximumHeaderBytes) + " are valid (is this a safetensors file?)");
  }
  const std::size_t rest = file.size() - kLengthBytes;
  if (length > rest)
    fail(path, stated + "the file has " + std::to_string(rest) + " after the length (is it truncated?)");
  const auto header_bytes = static_cast<std::size_t>(length);
  const auto* header = reinterpret_cast<const char*>(file.data() + kLengthBytes);
  if (*header != '{') fail(path, "has a header that does not begin with `{`");
  return {.path = path,
          .header = std::string_view(header, header_bytes),
          .data_begin = kLengthBytes + header_bytes,
          .data_bytes = rest - header_bytes};
}

/// The member `key`, which must be a list.
const json& list_member(const Layout& layout, const std::string& name, const json& entry, const char* key) {
  const auto it = entry.find(key);
  if (it == entry.end()) fail_tensor(layout.path, name, "has no `" + std::string(key) + "`");
  if (!it->is_array())
    fail_tensor(layout.path, name, "`" + std::string(key) + "` must be a list, found " + describe_json(*it));
  return *it;
}

/// A type that Krait has no name for is refused here, even where no layer would ask for the tensor: its size is not
/// known.
DType parse_entry_dtype(const Layout& layout, const std::string& name, const json& entry) {
  const auto it = entry.find("dtype");
  if (it == entry.end()) fail_tensor(layout.path, name, "has no `dtype`");
  const auto dtype = it->is_string() ? parse_safetensors_dtype(it->get_ref<const std::string&>()) : std::nullopt;
  if (!dtype) {
    fail_tensor(layout.path, name,
                "has the dtype " + describe_json(*it) +
                    "; valid are F32, BF16, F16, F8_E4M3, F8_E5M2, I64, I32, I8, U8 and BOOL");
  }
  return *dtype;
}

/// The product of the non-zero dimensions must fit too, so that no partial product of a shape overflows anywhere later.
Shape parse_entry_shape(const Layout& layout, const std::string& name, const json& entry) {
  const json& dims = list_member(layout, name, entry, "shape");
  if (dims.size() > static_cast<std::size_t>(Shape::kMaxRank)) {
    fail_tensor(layout.path, name,
                "has " + std::to_string(dims.size()) + " dimensions; at most " + std::to_string(Shape::kMaxRank) +
                    " are valid");
  }
  constexpr std::uint64_t kMaximumElements = std::numeric_limits<std::int64_t>::max() / 8;
  Shape shape;
  std::uint64_t product = 1;
  for (const json& dim : dims) {
    if (!dim.is_number_unsigned()) {
      fail_tensor(layout.path, name, "`shape` must be a list of integers from 0, found " + describe_json(dims));
    }
    const auto size = dim.get<std::uint64_t>();
    if (size > kMaximumElements / product)
      fail_tensor(layout.path, name, "has the shape " + describe_json(dims) + ", which overflows");
    product *= std::max<std::uint64_t>(size, 1);
    shape.push_back(static_cast<std::int64_t>(size));
  }
  return shape.rank() == 0 ? Shape{1} : shape;
}

/// `data_offsets`, inside of the data section.
std::pair<std::size_t, std::size_t> parse_entry_offsets(const Layout& layout, const std::string& name,
                                                        const json& entry) {
  const json& offsets = list_member(layout, name, entry, "data_offsets");
  const auto valid = [](const json& offset) { return offset.is_number_unsigned(); };
  if (offsets.size() != 2 || !std::all_of(offsets.begin(), offsets.end(), valid)) {
    fail_tensor(layout.path, name, "`data_offsets` must be two integers from 0, found " + describe_json(offsets));
  }
  const auto begin = offsets[0].get<std::uint64_t>();
  const auto end = offsets[1].get<std::uint64_t>();
  const std::string found = "`data_offsets` " + describe_json(offsets);
  if (begin > end) fail_tensor(layout.path, name, found + " end before they begin");
  if (end > layout.data_bytes) {
    fail_tensor(layout.path, name,
                found + " end past the data section of " + std::to_string(layout.data_bytes) +
                    " bytes (is the file truncated?)");
  }
  return {static_cast<std::size_t>(begin), static_cast<std::size_t>(end)};
}

/// The shape has been bounded and the offsets lie in the data; what is left is that the two agree.
TensorEntry parse_entry(const Layout& layout, const std::string& name, const json& value) {
  if (!value.is_object()) fail_tensor(layout.path, name, "must be an object, found " + describe_json(value));
  TensorEntry entry{.dtype = parse_entry_dtype(layout, name, value), .shape = parse_entry_shape(layout, name, value)};
  const auto [begin, end] = parse_entry_offsets(layout, name, value);
  const std::size_t expected = static_cast<std::size_t>(entry.shape.elements()) * dtype_size(entry.dtype);
  if (end - begin != expected) {
    fail_tensor(layout.path, name,
                "has " + std::to_string(end - begin) + " bytes of data, but its shape " + entry.shape.to_string() +
                    " of " + std::string(dtype_name(entry.dtype)) + " needs " + std::to_string(expected));
  }
  entry.begin = layout.data_begin + begin;
  entry.bytes = expected;
  return entry;
}

/// The format wants every byte of the data to belong to exactly one tensor.
void check_coverage(const Layout& layout, const Entries& entries) {
  std::vector<Entries::const_pointer> ordered;
  for (const auto& item : entries) ordered.push_back(&item);
  std::sort(ordered.begin(), ordered.end(), [](const auto* left, const auto* right) {
    return std::pair(left->second.begin, left->second.bytes) < std::pair(right->second.begin, right->second.bytes);
  });
  // By length among equal beginnings: an empty tensor may begin where the next one does.
  std::size_t covered = layout.data_begin;
  for (const auto* item : ordered) {
    const auto& [name, entry] = *item;
    const std::string what = entry.begin < covered ? "overlaps the tensor before it" : "leaves a hole before it";
    if (entry.begin != covered) {
      fail_tensor(layout.path, name,
                  what + ": it begins at byte " + std::to_string(entry.begin - layout.data_begin) +
                      " of the data, expected " + std::to_string(covered - layout.data_begin));
    }
    covered += entry.bytes;
  }
  const std::size_t left = layout.data_begin + layout.data_bytes - covered;
  if (left != 0) fail(layout.path, "has " + std::to_string(left) + " bytes at its end that belong to no tensor");
}

}  // namespace

Entries parse_safetensors_header(std::span<const std::byte> file, const std::string& path) {
  const Layout layout = read_layout(file, path);
  const json header =
      parse_json(layout.header, path + ": the header", {.non_finite_numbers = false, .unique_names = true});
  Entries entries;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") entries.emplace(name, parse_entry(layout, name, value));
  }
  check_coverage(layout, entries);
  return entries;
}

}  // namespace krait
