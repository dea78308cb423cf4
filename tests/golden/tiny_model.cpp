#include "tiny_model.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "kernels/cpu/cpu_platform.h"
#include "models/config/config_reader.h"
#include "models/weights/quantization_config.h"
#include "models/weights/weight_loader.h"

namespace krait::test {
namespace {

constexpr std::size_t kBudget = std::size_t{256} << 20;
constexpr int kMaxPositions = 2048;

}  // namespace

TinyModel::TinyModel(const std::string& folder, const Options& options) {
  const std::string path = (std::filesystem::path(KRAIT_SOURCE_DIR) / folder).string();
  if (options.make_platform) {
    platform_ = options.make_platform();
  } else {
    platform_ = std::make_unique<CpuPlatform>(CpuOptions{.threads = options.threads, .isa = options.isa});
  }
  const LayerContext context{.platform = *platform_,
                             .mamba = options.mamba,
                             .parallel = {},
                             .kv_cache_dtype = options.kv_cache_dtype.value_or(
                                 options.compute_dtype == DType::kFloat32 ? DType::kFloat32 : DType::kBFloat16)};
  model_ = make_model(path, context);
  runner_ = std::make_unique<ModelRunner>(*platform_, *model_, options.mamba, options.block_size);
  runner_->set_graph_use(options.graphs);
  const Checkpoint checkpoint(path);
  WeightLoader loader(checkpoint, *platform_, options.compute_dtype);
  loader.set_quantization(options.quantization);
  const auto stored = read_quantization_config(ConfigReader::from_file(model_->config().file));
  if (stored) loader.set_stored_quantization(*stored);
  if (options.store != nullptr) loader.set_store(*options.store);
  model_->load_weights(loader, *platform_, kMaxPositions);
  loader.finish();
  weight_bytes_ = loader.packed_bytes();
  parameters_ = loader.parameters();
  pools_ = std::make_shared<CachePools>(*platform_, runner_->cache_layout(), kBudget);
  runner_->bind_pools(pools_);
}

Sequence TinyModel::start() {
  Sequence sequence;
  sequence.key = next_key_++;
  sequence.pages.resize(pools_->layout().kv_groups.size());
  if (pools_->slots() != nullptr) sequence.slot = pools_->slots()->allocate().value();
  return sequence;
}

std::vector<std::vector<Row>> TinyModel::step(const std::vector<Piece>& pieces) {
  StepPlan plan;
  for (const Piece& piece : pieces) {
    Sequence& sequence = *piece.sequence;
    const int total = sequence.computed + static_cast<int>(piece.tokens.size());
    const int block = pools_->layout().block_size;
    for (std::size_t group = 0; group < sequence.pages.size(); ++group) {
      while (static_cast<int>(sequence.pages[group].size()) * block < total) {
        sequence.pages[group].push_back(pools_->pages(group).allocate().value());
      }
    }
    plan.requests.push_back({.key = sequence.key,
                             .tokens = piece.tokens,
                             .num_computed = sequence.computed,
                             .is_decode = piece.is_decode,
                             .state_read = sequence.slot,
                             .state_write = sequence.slot,
                             .pages = sequence.pages,
                             .sample = std::nullopt,
                             .logits = PromptLogits::kAll});
    sequence.computed = total;
  }
  StepResult result = runner_->wait(runner_->submit(std::move(plan)));
  std::vector<std::vector<Row>> rows;
  for (StepOutput& output : result.outputs) rows.push_back(std::move(output.logits));
  return rows;
}

std::vector<Row> TinyModel::run(Sequence& sequence, const std::vector<std::int32_t>& tokens, bool is_decode) {
  return step({{.sequence = &sequence, .tokens = tokens, .is_decode = is_decode}}).front();
}

std::vector<std::byte> TinyModel::state(const Sequence& sequence) const {
  std::vector<std::byte> bytes;
  if (pools_->slots() == nullptr) return bytes;
  const std::string state = pools_->slots()->read(sequence.slot);
  bytes.resize(state.size());
  std::memcpy(bytes.data(), state.data(), bytes.size());
  return bytes;
}

std::int32_t argmax(const Row& row) {
  return static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

}  // namespace krait::test
