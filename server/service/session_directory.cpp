#include "server/service/session_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>

#include "engine/cache/disk/open_file.h"

namespace krait::server {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".session";
/// No session's name begins with a dot.
constexpr std::string_view kHalfWritten = ".writing-";

Error failed(const std::string& what, const std::string& path, const std::string& why) {
  return Error{.code = ErrorCode::kInternal, .message = "cannot " + what + " " + path + ": " + why, .field = {}};
}

bool write_file(const std::string& path, const SessionFile& file) {
  const OpenFile out(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!out.is_open()) return false;
  for (const std::string_view part :
       {std::string_view(file.before), std::string_view(file.session->image), std::string_view(file.after)}) {
    if (!out.write_all(part)) return false;
  }
  return out.sync();
}

}  // namespace

SessionDirectory::SessionDirectory(std::string path) : path_(std::move(path)) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) throw StartupError(failed("make", path_, error.message()));
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    std::error_code ignored;
    if (entry.path().filename().string().starts_with(kHalfWritten)) fs::remove(entry.path(), ignored);
  }
  if (error) throw StartupError(failed("read", path_, error.message()));
}

std::string SessionDirectory::path_of(const std::string& name) const {
  return (fs::path(path_) / (name + std::string(kEnding))).string();
}

Status SessionDirectory::write(const std::string& name, const SessionFile& file) {
  const std::string aside = (fs::path(path_) / (std::string(kHalfWritten) + name)).string();
  const std::string path = path_of(name);
  if (write_file(aside, file) && std::rename(aside.c_str(), path.c_str()) == 0) return ok_status();
  const std::string why = std::strerror(errno);
  ::unlink(aside.c_str());
  return failed("write", path, why);
}

Status SessionDirectory::fork(const std::string& name, const std::string& new_name) {
  if (name == new_name) return ok_status();
  const std::string aside = (fs::path(path_) / (std::string(kHalfWritten) + new_name)).string();
  std::error_code error;
  fs::remove(aside, error);
  fs::create_hard_link(path_of(name), aside, error);
  if (error) fs::copy_file(path_of(name), aside, fs::copy_options::overwrite_existing, error);
  // Renaming a link onto another one to the same file does nothing at all: so let go of the old name first.
  if (!error) fs::remove(path_of(new_name), error);
  if (!error) fs::rename(aside, path_of(new_name), error);
  return error ? Status(failed("write", path_of(new_name), error.message())) : ok_status();
}

Status SessionDirectory::erase(const std::string& name) {
  std::error_code error;
  fs::remove(path_of(name), error);
  return error ? Status(failed("remove", path_of(name), error.message())) : ok_status();
}

std::vector<SessionDirectory::Entry> SessionDirectory::list() const {
  std::vector<Entry> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string file = entry.path().filename().string();
    if (!file.ends_with(kEnding)) continue;
    const std::string name = file.substr(0, file.size() - kEnding.size());
    struct stat status {};
    if (!check_session_name(name, "name").ok() || ::stat(entry.path().c_str(), &status) != 0) continue;
    entries.push_back({.name = name, .file = status.st_ino});
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

Result<std::string> SessionDirectory::read(const std::string& name) const {
  std::ifstream in(path_of(name), std::ios::binary | std::ios::ate);
  if (!in) return failed("read", path_of(name), std::strerror(errno));
  std::string bytes(static_cast<std::size_t>(std::max<std::streamoff>(0, in.tellg())), '\0');
  in.seekg(0);
  if (!in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    return failed("read", path_of(name), "it is shorter than it was");
  }
  return bytes;
}

}  // namespace krait::server
