#include "models/layers/cache_spec.h"

#include "kernels/operations/attention_args.h"

namespace krait {
namespace {

std::size_t align_up(std::size_t bytes) { return (bytes + kStateAlignment - 1) / kStateAlignment * kStateAlignment; }

std::size_t tensor_bytes(const StateTensorSpec& tensor) {
  return static_cast<std::size_t>(tensor.shape.elements()) * dtype_size(tensor.dtype);
}

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

std::size_t bytes_per_token(const CacheSpec& spec) {
  const auto kv = [](const auto& attention) {
    return 2 * static_cast<std::size_t>(attention.kv_heads) * kv_row_bytes(attention.dtype, attention.head_dim);
  };
  return std::visit(Overloaded{
                        [&](const FullAttentionSpec& attention) { return kv(attention); },
                        [&](const SlidingWindowSpec& attention) { return kv(attention); },
                        [](const MlaSpec& mla) { return kv_row_bytes(mla.dtype, mla.latent_dim + mla.rope_dim); },
                        [](const MambaSpec&) { return std::size_t{0}; },
                    },
                    spec);
}

std::size_t state_tensor_offset(const MambaSpec& spec, std::size_t tensor) {
  std::size_t offset = 0;
  for (std::size_t i = 0; i < tensor; ++i) offset = align_up(offset + tensor_bytes(spec.tensors[i]));
  return offset;
}

std::size_t bytes_per_request(const CacheSpec& spec) {
  const auto* mamba = std::get_if<MambaSpec>(&spec);
  return mamba == nullptr ? 0 : state_tensor_offset(*mamba, mamba->tensors.size());
}

StateCacheView conv_tensor(const StateCacheView& state, const MambaSpec& spec, std::size_t tensor) {
  std::size_t first = 0;
  while (spec.tensors[first].role != StateTensorSpec::Role::kConv) ++first;
  StateCacheView view = state;
  view.conv += state_tensor_offset(spec, tensor) - state_tensor_offset(spec, first);
  view.conv_dtype = spec.tensors[tensor].dtype;
  return view;
}

std::string kind_of(const CacheSpec& spec) {
  return std::visit(Overloaded{
                        [](const FullAttentionSpec&) { return std::string("full_attention"); },
                        [](const SlidingWindowSpec&) { return std::string("sliding_window"); },
                        [](const MlaSpec&) { return std::string("mla"); },
                        [](const MambaSpec& mamba) { return std::string(mamba.type.name()); },
                    },
                    spec);
}

}  // namespace krait
