// POST /v1/backup: holds still a copy of the node's files, as of one step, in its data directory.
// DELETE /v1/backup: gives it back. For `millrace backup`, which runs on the same machine.
#include <unistd.h>

#include "http/service.h"
#include "http/text.h"

namespace millrace::http {
namespace {

Result<std::string> Begin(Backend& backend) {
  TRY(const runtime::Node::BackupSource source, backend.BeginBackup());
  std::string out = "{\"directory\": ";
  AppendJsonString(out, source.directory);
  out += fmt::format(", \"step\": {}, \"frame\": {}}}\n", source.step, source.frame);
  return out;
}

Result<std::string> End(Backend& backend) {
  TRY(backend.EndBackup());
  return std::string("{}\n");
}

using Work = Result<std::string> (*)(Backend&);

asio::awaitable<void> HandleBackup(ServiceContext& context, Exchange& exchange, Work work) {
  Backend* backend = context.ReadyBackend(exchange);
  if (backend == nullptr) co_return;
  net::Waiting<std::string> waiting;
  const bool taken = context.queries.TrySubmit(
      [backend, work, done = waiting.Callback()] { done(work(*backend)); });
  if (!taken) {
    exchange.ReplyError(Error(Code::kUnavailable, "too many requests are waiting"));
    co_return;
  }
  auto body = co_await exchange.Wait(waiting);
  if (body.ok()) {
    exchange.Reply(200, "application/json", *body);
  } else {
    exchange.ReplyError(body.error());
  }
}

}  // namespace

void AddBackupRoute(ServiceContext& context, Router& router) {
  router.Add({"/v1/backup",
              "POST",
              [&context](Exchange& exchange) { return HandleBackup(context, exchange, Begin); },
              {}});
  router.Add({"/v1/backup",
              "DELETE",
              [&context](Exchange& exchange) { return HandleBackup(context, exchange, End); },
              {}});
}

}  // namespace millrace::http
