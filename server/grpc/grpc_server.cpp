#include "server/grpc/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <krait/v1/inference.grpc.pb.h>

#include <chrono>
#include <utility>

#include "server/grpc/generate_call.h"
#include "server/service/api_key.h"

namespace krait::server {
namespace {

/// Where a call begins: checks the key and hands over.
class InferenceService : public v1::Inference::CallbackService {
 public:
  InferenceService(const GrpcOptions& options, server::Service& service)
      : api_key_(options.api_key), rate_limit_(options.rate_limit), service_(service) {}

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(grpc::CallbackServerContext* context,
                                                           const v1::GenerateRequest* request) override {
    if (!is_authorized(*context)) {
      return new GenerateCall(*context,
                              Error{.code = ErrorCode::kUnauthenticated,
                                    .message = "a valid API key is needed: metadata authorization: Bearer KEY",
                                    .field = {}});
    }
    if (const int wait = rate_limit_ == nullptr ? 0 : rate_limit_->take(); wait > 0) {
      return new GenerateCall(
          *context,
          Error{.code = ErrorCode::kResourceExhausted, .message = rate_limit_message(*rate_limit_, wait), .field = {}});
    }
    return new GenerateCall(*context, *request, service_);
  }

 private:
  bool is_authorized(const grpc::CallbackServerContext& context) const {
    if (api_key_.empty()) return true;
    const auto found = context.client_metadata().find("authorization");
    if (found == context.client_metadata().end()) return false;
    return is_valid_bearer({found->second.data(), found->second.size()}, api_key_);
  }

  std::string api_key_;
  std::shared_ptr<TokenBucket> rate_limit_;
  server::Service& service_;  // the base class has a Service of its own
};

}  // namespace

struct GrpcServer::Impl {
  Impl(const GrpcOptions& options, server::Service& service) : inference(options, service) {}
  InferenceService inference;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

GrpcServer::GrpcServer(const GrpcOptions& options, Service& service) : impl_(std::make_unique<Impl>(options, service)) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  const std::string address = options.host + ":" + std::to_string(options.port);
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // two servers on one port is a mistake, not a feature
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &impl_->port);
  builder.RegisterService(&impl_->inference);
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || impl_->port == 0) {
    throw StartupError("cannot listen on " + address + " for gRPC: is the port in use?");
  }
  set_serving(false);
}

GrpcServer::~GrpcServer() {
  // Calls that still run are cancelled at once: who drains has waited for them before.
  impl_->server->Shutdown(std::chrono::system_clock::now());
  impl_->server->Wait();
}

std::uint16_t GrpcServer::port() const { return static_cast<std::uint16_t>(impl_->port); }

void GrpcServer::set_serving(bool serving) {
  grpc::HealthCheckServiceInterface* health = impl_->server->GetHealthCheckService();
  health->SetServingStatus(serving);
  health->SetServingStatus("krait.v1.Inference", serving);
}

}  // namespace krait::server
