#include "models/backends/mamba_registry.h"

#include <algorithm>

#include "models/backends/builtin_backends.h"

namespace krait {
namespace {

Error invalid(std::string message, std::string_view field) {
  return Error{.code = ErrorCode::kInvalidArgument, .message = std::move(message), .field = std::string(field)};
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string quoted(std::string_view name) { return "'" + std::string(name) + "'"; }

}  // namespace

MambaRegistry::MambaRegistry() { register_builtin_backends(*this); }

MambaRegistry& MambaRegistry::instance() {
  static MambaRegistry registry;
  return registry;
}

Status MambaRegistry::register_type(const std::string& type, const std::string& default_backend) {
  const std::lock_guard lock(mutex_);
  if (defaults_.contains(type)) return invalid("Mamba type " + quoted(type) + " already exists", type);
  defaults_[type] = default_backend;
  type_order_.push_back(type);
  return ok_status();
}

Status MambaRegistry::register_backend(MambaBackendEntry entry, std::optional<std::string> replace_default_of) {
  const std::lock_guard lock(mutex_);
  if (backends_.contains(entry.name)) {
    return invalid("Mamba backend " + quoted(entry.name) + " already exists", entry.name);
  }
  if (replace_default_of) {
    if (!defaults_.contains(*replace_default_of)) {
      return invalid("Invalid mamba type: " + quoted(*replace_default_of) + ". Valid types: " + join(type_order_),
                     *replace_default_of);
    }
    overrides_[*replace_default_of] = entry.name;
  }
  cache_.clear();
  std::string name = entry.name;
  backends_[std::move(name)].entry = std::move(entry);
  return ok_status();
}

void MambaRegistry::unregister_backend(const std::string& name) {
  const std::lock_guard lock(mutex_);
  std::erase_if(overrides_, [&](const auto& item) { return item.second == name; });
  backends_.erase(name);
  cache_.clear();
}

Result<MambaType> MambaRegistry::type(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  if (!defaults_.contains(name)) {
    return invalid("Invalid mamba type: " + quoted(name) + ". Valid types: " + join(type_order_), name);
  }
  return MambaType(std::string(name));
}

std::vector<std::string> MambaRegistry::type_names() const {
  const std::lock_guard lock(mutex_);
  return type_order_;
}

std::vector<std::string> MambaRegistry::served_type_names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> served;
  for (const std::string& type : type_order_) {
    const auto found = backends_.find(defaults_.at(type));
    if (found != backends_.end() && found->second.entry.make) served.push_back(type);
  }
  return served;
}

std::int64_t MambaRegistry::cache_hits() const {
  const std::lock_guard lock(mutex_);
  return cache_hits_;
}

std::string MambaRegistry::backends_of(std::string_view type) const {
  std::vector<std::string> names;
  for (const auto& [name, registered] : backends_) {
    const auto& types = registered.entry.types;
    if (std::find(types.begin(), types.end(), type) != types.end()) names.push_back(name);
  }
  return join(names);
}

Result<const MambaBackend*> MambaRegistry::select(const MambaType& type, const Platform& platform,
                                                  std::optional<std::string_view> explicit_choice) {
  const std::lock_guard lock(mutex_);
  const std::string name(type.name());
  const MambaBackendOpinion opinion = platform.mamba_backend(name, explicit_choice);
  Key key{.type = name,
          .platform = std::string(platform.name()),
          .opinion = opinion.kind,
          .opinion_text = opinion.backend + opinion.reason,
          .choice = explicit_choice ? std::optional<std::string>(*explicit_choice) : std::nullopt};
  if (const auto cached = cache_.find(key); cached != cache_.end()) {
    ++cache_hits_;
    return cached->second;
  }
  auto selected = select_uncached(name, platform, opinion, explicit_choice);
  if (selected.ok()) cache_[std::move(key)] = selected.value();
  return selected;
}

Result<const MambaBackend*> MambaRegistry::select_uncached(const std::string& name, const Platform& platform,
                                                           const MambaBackendOpinion& opinion,
                                                           std::optional<std::string_view> choice) {
  const auto default_backend = defaults_.find(name);
  if (default_backend == defaults_.end()) {
    return invalid("Invalid mamba type: " + quoted(name) + ". Valid types: " + join(type_order_), name);
  }
  if (opinion.kind == MambaBackendOpinion::Kind::kRefuse) {
    return invalid("Mamba type " + quoted(name) + " is not supported on platform " + quoted(platform.name()) + ": " +
                       opinion.reason,
                   name);
  }
  if (opinion.kind == MambaBackendOpinion::Kind::kBackend) {
    if (choice && *choice != opinion.backend) {
      return invalid("Platform " + quoted(platform.name()) + " serves mamba type " + quoted(name) + " with backend " +
                         quoted(opinion.backend) + ", but " + quoted(*choice) + " was selected for it",
                     "mamba-attention-backend");
    }
    return use(opinion.backend, name, platform);
  }
  if (choice) return use(std::string(*choice), name, platform);
  const auto replaced = overrides_.find(name);
  return use(replaced != overrides_.end() ? replaced->second : default_backend->second, name, platform);
}

Result<const MambaBackend*> MambaRegistry::use(const std::string& backend, const std::string& type,
                                               const Platform& platform) {
  const std::string valid = "Valid backends for " + quoted(type) + " are: " + backends_of(type);
  const auto found = backends_.find(backend);
  if (found == backends_.end()) {
    return invalid("Unknown mamba backend: " + quoted(backend) + ". " + valid, "mamba-attention-backend");
  }
  Registered& registered = found->second;
  const auto& types = registered.entry.types;
  if (std::find(types.begin(), types.end(), type) == types.end()) {
    return invalid("Mamba backend " + quoted(backend) + " does not serve type " + quoted(type) + ". " + valid,
                   "mamba-attention-backend");
  }
  if (!registered.entry.make) {
    return Error{.code = ErrorCode::kUnsupported,
                 .message = "Mamba type " + quoted(type) + " is known, but its backend " + quoted(backend) +
                            " is not built in this version",
                 .field = type};
  }
  if (!registered.instance) registered.instance = registered.entry.make();
  const auto& platforms = registered.instance->capabilities().platforms;
  if (!platforms.empty() && std::find(platforms.begin(), platforms.end(), platform.name()) == platforms.end()) {
    return invalid("Mamba backend " + quoted(backend) + " does not run on platform " + quoted(platform.name()) +
                       ". It runs on: " + join(platforms),
                   "mamba-attention-backend");
  }
  return registered.instance.get();
}

Result<const MambaBackend*> select_mamba_backend(const MambaType& type, const Platform& platform,
                                                 std::optional<std::string_view> explicit_choice) {
  return MambaRegistry::instance().select(type, platform, explicit_choice);
}

Status register_mamba_backend(const std::string& type, MambaBackendEntry entry) {
  return MambaRegistry::instance().register_backend(std::move(entry), type);
}

}  // namespace krait
