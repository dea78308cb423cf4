#include "engine/packed_weights/packed_weight_cache.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "kernels/platform.h"
#include "kernels/result.h"

namespace krait {
namespace {

/// Type and dimensions of a tensor, as PackedImage::form.
using TensorForm = std::array<std::int64_t, 2 + Shape::kMaxRank>;

std::string form_of(const TensorView& tensor) {
  TensorForm form{static_cast<std::int64_t>(tensor.dtype), tensor.shape.rank()};
  for (int axis = 0; axis < tensor.shape.rank(); ++axis) form[static_cast<std::size_t>(2 + axis)] = tensor.shape[axis];
  return {reinterpret_cast<const char*>(form.data()), sizeof(form)};
}

/// Throws StartupError for a form that does not fit its block.
Tensor restore_tensor(const PackedImage& image) {
  constexpr std::int64_t kTypes = static_cast<std::int64_t>(DType::kBool) + 1;
  const StartupError unfit("Cannot restore a tensor: its form does not fit its bytes.");
  TensorForm form{};
  if (image.form.size() != sizeof(form) || image.blocks.size() != 1) throw unfit;
  std::memcpy(form.data(), image.form.data(), sizeof(form));
  const auto [type, rank] = std::pair{form[0], form[1]};
  if (type < 0 || type >= kTypes || rank < 1 || rank > Shape::kMaxRank) throw unfit;
  // What is left of the block's bytes when each dimension has taken its share, so that no product overflows.
  auto left = static_cast<std::int64_t>(image.blocks[0].bytes);
  Shape shape;
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(rank); ++axis) {
    const std::int64_t dim = form[2 + axis];
    if (dim < 1 || left % dim != 0) throw unfit;
    left /= dim;
    shape.push_back(dim);
  }
  if (left != static_cast<std::int64_t>(dtype_size(static_cast<DType>(type)))) throw unfit;
  return {image.blocks[0], static_cast<DType>(type), shape};
}

std::string megabytes(std::size_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
  return text.data();
}

[[noreturn]] void refuse(const std::string& why) {
  throw StartupError(Error{
      .code = ErrorCode::kInvalidArgument, .message = "--packed-weights-dir: " + why, .field = "packed-weights-dir"});
}

}  // namespace

std::string PackedWeightsPlace::path() const { return (std::filesystem::path(folder) / file_name).string(); }

PackedWeightCache::PackedWeightCache(PackedWeightsPlace place, PackedWeightsOptions options, Platform& platform)
    : place_(std::move(place)), options_(std::move(options)), platform_(platform), path_(place_.path()) {
  if (platform_.packed_format().empty()) {
    refuse("packed weights of platform '" + std::string(platform_.name()) + "' cannot be kept in this version");
  }
  const Status opened = open_file();
  if (opened.ok()) return;
  begin_writing();
  // Another process may have finished it meanwhile.
  if (open_file().ok()) {
    writer_.reset();
    return;
  }
  const Error& why = opened.error();
  const std::string text = why.message + ": the weights are packed and written";
  if (writer_ == nullptr) {
    note(path_ + " is being written by another process");
  } else if (why.code == ErrorCode::kInvalidArgument) {
    warn(text);
  } else {
    note(text);
  }
}

PackedWeightCache::~PackedWeightCache() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

Status PackedWeightCache::open_file() {
  auto file = PackedFile::open(path_, place_.identity, options_.threads);
  if (!file.ok()) return file.error();
  file_ = std::move(file).value();
  mapped_bytes_ = file_->bytes();
  return ok_status();
}

void PackedWeightCache::begin_writing() {
  std::error_code error;
  std::filesystem::create_directories(place_.folder, error);
  if (error) refuse(place_.folder + " cannot be created: " + error.message());
  auto writer = PackedFileWriter::begin(path_);
  if (!writer.ok()) refuse(writer.error().message);
  writer_ = std::move(writer).value();
}

const PackedImage* PackedWeightCache::find(const std::string& key) const {
  if (!file_) return nullptr;
  const auto found = file_->images().find(key);
  return found == file_->images().end() ? nullptr : &found->second;
}

PackedWeight PackedWeightCache::find_weight(const std::string& key) {
  const PackedImage* image = find(key);
  return image == nullptr ? PackedWeight{} : platform_.restore(*image);
}

Tensor PackedWeightCache::find_tensor(const std::string& key) {
  const PackedImage* image = find(key);
  return image == nullptr ? Tensor{} : restore_tensor(*image);
}

void PackedWeightCache::keep(const std::string& key, PackedImage image) { images_.emplace(key, std::move(image)); }

void PackedWeightCache::keep(const std::string& key, const PackedWeight& weight) { keep(key, platform_.image(weight)); }

void PackedWeightCache::keep(const std::string& key, const Tensor& tensor) {
  keep(key, PackedImage{.form = form_of(tensor.view()), .blocks = {tensor.buffer()}});
}

void PackedWeightCache::save(bool unchanged) {
  // A file of the same identity that lacks something: of a build that asked for other weights.
  if (file_ && !images_.empty()) {
    images_.insert(file_->images().begin(), file_->images().end());
    note(path_ + " lacks weights of this model: it is written anew");
    begin_writing();
  }
  file_.reset();
  if (!unchanged && writer_ != nullptr) {
    warn("the checkpoint changed while it was read: its packed weights are not written");
    writer_.reset();
  }
  if (writer_ == nullptr) return images_.clear();
  if (options_.write_behind) {
    thread_ = std::thread([this] { write(); });
  } else {
    write();
  }
}

void PackedWeightCache::write() {
  const auto start = std::chrono::steady_clock::now();
  const auto written = writer_->write(images_, place_.identity, stop_);
  if (written.ok()) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::array<char, 32> took{};
    std::snprintf(took.data(), took.size(), " in %.1f s", seconds);
    note("wrote " + megabytes(*written) + " to " + path_ + took.data());
  } else if (written.error().code != ErrorCode::kCancelled) {
    warn(written.error().message + "; the next start packs the weights again");
  }
  writer_.reset();
  images_.clear();
}

void PackedWeightCache::note(const std::string& text) const {
  if (options_.on_note) options_.on_note("packed weights: " + text);
}

void PackedWeightCache::warn(const std::string& text) const {
  if (options_.on_warning) options_.on_warning("packed weights: " + text);
}

}  // namespace krait
