// Boost.Asio as Millrace uses it: the one place that includes it. Its implementation is compiled
// once, in asio.cc, because each translation unit that did it would cost many seconds. Coroutines
// are asio::awaitable<T>; errors of operations come back as error codes (kWithError), so that
// nothing throws.
#pragma once

#include <utility>  // Boost 1.74 uses std::exchange without including this

#ifndef BOOST_ASIO_SEPARATE_COMPILATION
#define BOOST_ASIO_SEPARATE_COMPILATION
#endif
#ifndef BOOST_ASIO_NO_DEPRECATED
#define BOOST_ASIO_NO_DEPRECATED
#endif

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

// GCC 12 takes Asio's own allocation of coroutine frames, inlined into ours, for a mismatch of new
// and delete.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace millrace {
namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
// The completion token that resumes the coroutine and puts the error into `error`.
inline auto WithError(ErrorCode& error) { return asio::redirect_error(asio::use_awaitable, error); }
}  // namespace millrace
