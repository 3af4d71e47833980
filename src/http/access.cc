#include "http/access.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "http/websocket_handshake.h"

namespace millrace::http {

namespace {

using auth::Permission;

constexpr std::string_view kBearer = "bearer ";
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

// The token of "Authorization: Bearer TOKEN", or where a browser has to put it; nullopt: there is
// none.
std::optional<std::string_view> TokenOf(const RequestHead& head) {
  const auto value = head.Get("authorization");
  if (!value) return OfferedToken(head);
  if (value->size() < kBearer.size()) return std::nullopt;
  const bool bearer = std::equal(kBearer.begin(), kBearer.end(), value->begin(),
                                 [](char a, char b) { return Upper(a) == Upper(b); });
  if (!bearer) return std::nullopt;
  return value->substr(value->find_last_of(' ') + 1);
}

void Unauthenticated(Exchange& exchange, bool had_token) {
  exchange.AddHeader("WWW-Authenticate", had_token
                                             ? R"(Bearer realm="millrace", error="invalid_token")"
                                             : R"(Bearer realm="millrace")");
  const Error error =
      had_token ? Error(Code::kInvalidArgument, "the token is unknown, wrong, revoked or expired")
                      .Hint("millrace token list shows which there are")
                : Error(Code::kInvalidArgument, "this needs a token")
                      .Hint("send Authorization: Bearer TOKEN; millrace token create makes one");
  exchange.ReplyError(error, 401);
}

// What the route's permission is about: its first brace, of a model or an endpoint its name.
std::string ObjectOf(const Backend& backend, const Exchange& exchange, Permission needed) {
  if (needed == Permission::kIngest || needed == Permission::kConsume)
    return exchange.segments().empty() ? std::string() : exchange.segments().front();
  if (needed != Permission::kRead) return "";
  if (!exchange.segments().empty()) {
    const std::string& model = exchange.segments().front();
    const catalog::CatalogPtr catalog = backend.catalog();
    const catalog::Object* object = catalog->Find(catalog::Kind::kModel, model);
    return object == nullptr ? model : object->name();
  }
  const std::string_view method =
      exchange.head().method == "HEAD" ? std::string_view("GET") : exchange.head().method;
  const auto match = backend.MatchEndpoint(method, exchange.head().path);
  return match ? match->endpoint->name() : "";
}

}  // namespace

bool Admit(ServiceContext& context, Exchange& exchange, const Route& route) {
  const auth::Access* access = context.options.access;
  if (access == nullptr || !access->required() || route.open) return true;
  const auto token = TokenOf(exchange.head());
  if (!token) {
    Unauthenticated(exchange, false);
    return false;
  }
  auto principal = access->CheckToken(*token);
  if (!principal.ok()) {
    Unauthenticated(exchange, true);
    return false;
  }
  exchange.set_principal(*principal);
  if (const auto wait = (*principal)->TakeTurn(Tick()); wait.count() > 0) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    exchange.ReplyError((*principal)->OverRate(wait), 429, static_cast<int>(seconds));
    return false;
  }
  if (!route.needs) return true;
  const Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) return false;
  const std::string object = ObjectOf(*backend, exchange, *route.needs);
  if ((*principal)->scopes.Allow(*route.needs, object)) return true;
  const std::string scope =
      auth::ToString(auth::Scope{*route.needs, object.empty() ? "*" : object});
  exchange.ReplyError(
      Error(Code::kInvalidArgument, "{} has no scope {}", (*principal)->ToString(), scope)
          .Hint(fmt::format("make one that has: millrace token create --scope {}", scope)),
      403);
  return false;
}

Status CheckStillAdmitted(const ServiceContext& context, Exchange& exchange,
                          auth::Permission needed) {
  const auth::Access* access = context.options.access;
  if (access == nullptr || !access->required()) return Ok();
  if (exchange.principal() == nullptr)
    return Error(Code::kInvalidArgument, "this node asks its clients to sign in now");
  const std::string who = exchange.principal()->ToString();
  const auto now = access->Renew(exchange.principal());
  if (now == nullptr)
    return Error(Code::kInvalidArgument, "{} is revoked, dropped, replaced or expired", who);
  const Backend* backend = context.backend.load();
  const std::string object = backend == nullptr ? "" : ObjectOf(*backend, exchange, needed);
  if (now->scopes.Allow(needed, object)) return Ok();
  return Error(Code::kInvalidArgument, "{} has no scope {} any more", who,
               auth::ToString(auth::Scope{needed, object.empty() ? "*" : object}));
}

}  // namespace millrace::http
