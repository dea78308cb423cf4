#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "kernels/result.h"

namespace krait::server {

/// Waits for a result that another thread hands over. The callback may outlive the wait, and sets the result on the
/// connection's strand only.
template <typename T>
boost::asio::awaitable<Result<T>> wait_for(std::function<void(std::function<void(Result<T>)>)> start) {
  namespace asio = boost::asio;
  struct Waiting {
    explicit Waiting(asio::any_io_executor on) : executor(on), woken(on, asio::steady_timer::time_point::max()) {}
    asio::any_io_executor executor;
    asio::steady_timer woken;
    std::optional<Result<T>> result;
  };
  auto waiting = std::make_shared<Waiting>(co_await asio::this_coro::executor);
  start([waiting](Result<T> result) {
    asio::post(waiting->executor, [waiting, result = std::move(result)]() mutable {
      waiting->result.emplace(std::move(result));
      waiting->woken.cancel();
    });
  });
  while (!waiting->result.has_value()) {
    boost::system::error_code ignored;
    co_await waiting->woken.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::move(*waiting->result);
}

}  // namespace krait::server
