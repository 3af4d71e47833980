#include "cli/access_policy.h"

#include "base/logging.h"
#include "net/address.h"

namespace millrace::cli {

namespace {

// The listeners that other machines can reach: the settings' names.
Result<std::vector<std::string>> OpenListeners(const Settings& settings) {
  std::vector<std::string> names;
  for (const char* name : {"http", "kafka", "pg"}) {
    const std::string& value = settings.at(name).value;
    if (value == "off") continue;
    TRY(const net::Address address, net::ParseAddress(value));
    if (!net::IsLoopback(address)) names.emplace_back(name);
  }
  return names;
}

}  // namespace

Status ApplyAccessPolicy(const Settings& settings, auth::Access& access) {
  const Setting& wanted = settings.at("auth");
  TRY(const std::vector<std::string> open, OpenListeners(settings));
  const std::string listener = open.empty() ? "" : open.front();
  if (wanted.value == "off") {
    access.SwitchOff();
    if (!listener.empty() || access.has_principals()) {
      LOG_WARNING("nobody has to sign in: whoever reaches the listeners may do everything",
                  "auth=off ({})", wanted.origin);
    }
    return Ok();
  }
  if (wanted.value == "on" || !listener.empty()) access.Require();
  if (access.required() && !access.has_principals()) {
    const std::string why =
        wanted.value == "on"
            ? fmt::format("auth = on ({})", wanted.origin)
            : fmt::format("{} = {} ({}) can be reached from other machines", listener,
                          Quoted(settings.at(listener).value), settings.at(listener).origin);
    return Error(Code::kInvalidArgument,
                 "{}, so clients must sign in, and there is no user and no token", why)
        .Hint(
            "make one first: millrace user create NAME --scope admin, or millrace token create "
            "--scope admin; or leave the node open to all with --auth off");
  }
  for (const std::string& name : open) {
    if (SpeaksTls(settings, name)) continue;
    LOG_WARNING(
        "tokens, and passwords of SASL/PLAIN, cross the network in clear: give it a certificate "
        "(--tls-certificate), or put a proxy with TLS before it",
        "{}={}", name, settings.at(name).value);
  }
  return Ok();
}

}  // namespace millrace::cli
