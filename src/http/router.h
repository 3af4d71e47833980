// Which handler answers which method and path. Built once, then read by all threads.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/scope.h"
#include "net/asio.h"

namespace millrace::http {

class Exchange;

// Answers a request. Runs on an I/O thread: it must not block; what takes long goes to a pool.
using Handler = std::function<asio::awaitable<void>(Exchange&)>;
// Answers a request at once, without a coroutine, and says true; or leaves it to the Handler.
using InlineHandler = std::function<bool(Exchange&)>;

struct Route {
  std::string
      pattern;         // "/v1/streams/{name}": a name in braces takes one segment that is not empty
  std::string method;  // GET answers HEAD too
  Handler handler;
  InlineHandler at_once;  // may be empty
  // What a client must be allowed to, where clients sign in; nullopt: it is enough to sign in. Of
  // ingest and consume the object is the first brace, of read the endpoint, or the model that
  // the first brace names.
  std::optional<auth::Permission> needs = auth::Permission::kAdmin;
  bool open = false;  // for anybody
};

class Router {
 public:
  void Add(Route route);
  // What answers paths that no pattern takes (endpoints). `methods` tells which methods it would
  // take on this path, as a list for Allow; empty: the path does not exist.
  void SetFallback(Route route, std::function<std::string(std::string_view path)> methods);

  // Asked before each handler; false: it has answered the request.
  using Gate = std::function<bool(Exchange&, const Route&)>;
  void SetGate(Gate gate) { gate_ = std::move(gate); }
  bool Admits(Exchange& exchange, const Route& route) const {
    return !gate_ || gate_(exchange, route);
  }

  struct Match {
    const Route* route = nullptr;       // null: 404 when `allow` is empty, else 405
    std::vector<std::string> segments;  // percent-decoded values of the braces, in order
    std::string allow;  // methods that the path takes, filled where the route is null
  };
  // `path` as it came, percent-encoded.
  Match Find(std::string_view method, std::string_view path) const;
  std::vector<std::string> Patterns() const;

 private:
  struct Place {
    Route route;
    size_t literal_bytes;  // of the pattern, before its first brace
  };

  std::vector<Place> places_;
  std::optional<Route> fallback_;
  Gate gate_;
  std::function<std::string(std::string_view)> fallback_methods_;
};

}  // namespace millrace::http
