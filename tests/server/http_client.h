#pragma once

#include <cstdint>
#include <string>

namespace krait::server {

/// A plain socket to 127.0.0.1, so that tests can send what no HTTP library would.
class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  void send(const std::string& bytes) const;
  /// Everything until the other side closes, or until `until` has been seen (empty: never).
  std::string read(const std::string& until = {});
  /// One response with Content-Length, head and body.
  std::string read_response();
  void close();

 private:
  bool receive();
  int socket_ = -1;
  std::string buffer_;
};

/// "POST PATH HTTP/1.1" with a JSON body and further header lines (each ending in \r\n).
std::string post(const std::string& path, const std::string& body, const std::string& headers = {});
std::string get(const std::string& path, const std::string& headers = {});

}  // namespace krait::server
