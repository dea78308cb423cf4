#include "kernels/cuda/runtime/cublas_gemm.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <tuple>

namespace krait::cuda {
namespace {

/// What NVIDIA recommends for Hopper; older devices need less.
constexpr std::size_t kWorkspace = std::size_t{32} << 20;
/// The library knows nothing of larger alignments.
constexpr std::uint32_t kMostAligned = 256;

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(std::string(call) + ": " + cublasLtGetStatusString(status));
}

/// A handle of the library that is destroyed with its owner.
template <typename T, cublasStatus_t (*Destroy)(T)>
struct Destroyed {
  using pointer = T;
  void operator()(T handle) const { Destroy(handle); }
};
template <typename T, cublasStatus_t (*Destroy)(T)>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, Destroyed<T, Destroy>>;
using Handle = Owned<cublasLtHandle_t, cublasLtDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

Handle make_handle() {
  cublasLtHandle_t handle = nullptr;
  check(cublasLtCreate(&handle), "cublasLtCreate");
  return Handle(handle);
}

/// Column by column, as the library has it.
Layout make_layout(cudaDataType type, int rows, int columns, std::int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  check(cublasLtMatrixLayoutCreate(&layout, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns),
                                   stride),
        "cublasLtMatrixLayoutCreate");
  return Layout(layout);
}

std::uint32_t alignment_of(const void* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return std::min(kMostAligned, static_cast<std::uint32_t>(address & (~address + 1)));
}

/// What decides how a product is computed.
struct ProductShape {
  int m;
  int n;
  int k;
  DType dtype;
  std::int64_t x_stride;
  std::int64_t y_stride;
  std::uint32_t x_alignment;
  std::uint32_t w_alignment;
  std::uint32_t y_alignment;

  explicit ProductShape(const GemmArgs& args)
      : m(args.m),
        n(args.n),
        k(args.k),
        dtype(args.dtype),
        // The stride of a single row may be anything.
        x_stride(args.m == 1 ? args.k : args.x_stride),
        y_stride(args.m == 1 ? args.n : args.y.stride),
        x_alignment(alignment_of(args.x)),
        w_alignment(alignment_of(args.w)),
        y_alignment(alignment_of(args.y.data)) {}

  auto operator<=>(const ProductShape&) const = default;
};

/// The library sees the transposes of our rows: y^T [n, m] = w [n, k] x^T [k, m].
class Product {
 public:
  Product(cublasLtHandle_t handle, const ProductShape& shape) {
    const cudaDataType type = shape.dtype == DType::kFloat32 ? CUDA_R_32F : CUDA_R_16BF;
    w_ = make_layout(type, shape.k, shape.n, shape.k);
    x_ = make_layout(type, shape.k, shape.m, shape.x_stride);
    y_ = make_layout(CUDA_R_32F, shape.n, shape.m, shape.y_stride);
    cublasLtMatmulDesc_t operation = nullptr;
    check(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    operation_.reset(operation);
    constexpr cublasOperation_t kTransposed = CUBLAS_OP_T;
    check(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &kTransposed, sizeof(kTransposed)),
          "cublasLtMatmulDescSetAttribute");
    search(handle, shape);
  }

  void run(cublasLtHandle_t handle, const GemmArgs& args, void* workspace, cudaStream_t stream) const {
    const float alpha = 1.0F;
    const float beta = args.accumulate ? 1.0F : 0.0F;
    check(cublasLtMatmul(handle, operation_.get(), &alpha, args.w, w_.get(), args.x, x_.get(), &beta, args.y.data,
                         y_.get(), args.y.data, y_.get(), &algorithm_, workspace, kWorkspace, stream),
          "cublasLtMatmul");
  }

 private:
  void search(cublasLtHandle_t handle, const ProductShape& shape) {
    cublasLtMatmulPreference_t preference = nullptr;
    check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    const Preference owner(preference);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)),
            "cublasLtMatmulPreferenceSetAttribute");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, shape.w_alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, shape.x_alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.y_alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.y_alignment);
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    check(cublasLtMatmulAlgoGetHeuristic(handle, operation_.get(), w_.get(), x_.get(), y_.get(), y_.get(), preference,
                                         1, &result, &found),
          "cublasLtMatmulAlgoGetHeuristic");
    if (found == 0) {
      throw DeviceError("cuBLASLt computes no product of " + std::to_string(shape.m) + " rows, " +
                        std::to_string(shape.n) + " outputs and " + std::to_string(shape.k) + " inputs");
    }
    algorithm_ = result.algo;
  }

  Layout w_;
  Layout x_;
  Layout y_;
  Operation operation_;
  cublasLtMatmulAlgo_t algorithm_{};
};

class CublasGemm final : public Gemm {
 public:
  explicit CublasGemm(Device& device) : device_(device), handle_((device.make_current(), make_handle())) {}

  void run(const GemmArgs& args, Stream stream) override {
    if (args.m == 0 || args.n == 0) return;
    device_.make_current();
    const ProductShape shape(args);
    auto known = products_.find(shape);
    if (known == products_.end()) known = products_.try_emplace(shape, handle_.get(), shape).first;
    known->second.run(handle_.get(), args, workspace(stream), static_cast<cudaStream_t>(stream));
  }

 private:
  /// One for each stream: products of two streams may run at once.
  void* workspace(Stream stream) {
    Buffer& buffer = workspaces_[stream];
    if (buffer.data == nullptr) buffer = device_.allocate(kWorkspace);
    return buffer.data.get();
  }

  Device& device_;
  Handle handle_;
  std::map<ProductShape, Product> products_;
  std::map<Stream, Buffer> workspaces_;
};

}  // namespace

std::unique_ptr<Gemm> make_cublas_gemm(Device& device) { return std::make_unique<CublasGemm>(device); }

}  // namespace krait::cuda
