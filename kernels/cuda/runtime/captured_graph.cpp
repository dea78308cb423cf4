#include "kernels/cuda/runtime/captured_graph.h"

#include <sstream>
#include <vector>

#include "kernels/cuda/cuda_check.h"

namespace krait::cuda {
namespace {

void list_node(cudaGraphNode_t node, std::ostringstream& text) {
  cudaGraphNodeType type{};
  check(cudaGraphNodeGetType(node, &type), "cudaGraphNodeGetType");
  text << "node of type " << static_cast<int>(type);
  cudaKernelNodeParams kernel{};
  if (type == cudaGraphNodeTypeKernel && cudaGraphKernelNodeGetParams(node, &kernel) == cudaSuccess) {
    text << ": kernel " << kernel.func << ", grid " << kernel.gridDim.x << " " << kernel.gridDim.y << " "
         << kernel.gridDim.z << ", block " << kernel.blockDim.x << " " << kernel.blockDim.y << " " << kernel.blockDim.z
         << ", " << kernel.sharedMemBytes << " bytes shared";
  }
  cudaGetLastError();  // a library's kernels are not the runtime's to tell of: an answer, not an error of what follows
  text << "\n";
}

class CapturedGraph final : public DeviceGraph {
 public:
  explicit CapturedGraph(cudaGraph_t graph) : graph_(graph) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph_, 0);
    if (status == cudaSuccess) return;
    cudaGraphDestroy(graph_);
    check(status, "cudaGraphInstantiate");
  }
  ~CapturedGraph() override {
    cudaGraphExecDestroy(executable_);
    cudaGraphDestroy(graph_);
  }
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;

  [[nodiscard]] std::string listing() const override {
    std::size_t count = 0;
    check(cudaGraphGetNodes(graph_, nullptr, &count), "cudaGraphGetNodes");
    std::vector<cudaGraphNode_t> nodes(count);
    check(cudaGraphGetNodes(graph_, nodes.data(), &count), "cudaGraphGetNodes");
    std::ostringstream text;
    for (cudaGraphNode_t node : nodes) list_node(node, text);
    return text.str();
  }
  [[nodiscard]] cudaGraphExec_t executable() const { return executable_; }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace

std::unique_ptr<DeviceGraph> instantiate(cudaGraph_t graph) { return std::make_unique<CapturedGraph>(graph); }

void launch_graph(const DeviceGraph& graph, cudaStream_t stream) {
  check(cudaGraphLaunch(dynamic_cast<const CapturedGraph&>(graph).executable(), stream), "cudaGraphLaunch");
}

}  // namespace krait::cuda
