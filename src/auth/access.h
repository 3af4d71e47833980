// Access answers, for the listeners of a node, who somebody is. It holds the users and tokens of
// the data directory and follows their changes: Refresh, called about every second, takes them up.
//
// Nothing is asked of anybody while required() is false. Once true it stays so: that the last token
// is revoked does not open a node that runs.
//
// Thread-safe. Errors of the checks are kInvalidArgument, and say no more than that it is wrong.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "auth/principals.h"
#include "auth/store.h"

namespace millrace::auth {

class Access {
 public:
  // kCorruption, kIo: nobody can be let in on the word of a file that cannot be read.
  static Result<std::unique_ptr<Access>> Open(Files& files, const std::string& data_directory,
                                              const Clock& clock = Clock::System());
  ~Access();

  // As it is set, or because a user or a token exists.
  bool required() const { return required_.load(std::memory_order_relaxed); }
  void Require() { required_ = true; }
  // Whatever users and tokens there are. REQUIRES: before the first listener starts.
  void SwitchOff() { switched_off_ = true, required_ = false; }
  bool has_principals() const { return !current_.load()->principals.empty(); }

  // "mr_ID_SECRET".
  Result<PrincipalPtr> CheckToken(std::string_view token) const;
  // A user's, or of the token of this id its text or secret. Computes for milliseconds: not for an
  // I/O thread.
  Result<PrincipalPtr> CheckPassword(std::string_view name, std::string_view password) const;

  // For SCRAM. Where there is no such user the verifier is one that no password fits, always the
  // same for a name, so that nobody learns which users there are.
  ScramVerifier VerifierOf(std::string_view user) const;
  // nullptr: no such user.
  PrincipalPtr FindUser(std::string_view name) const;

  // What a principal that signed in earlier is now: it may have other scopes. nullptr: revoked,
  // dropped, made anew under the same name, or expired.
  PrincipalPtr Renew(const PrincipalPtr& principal) const;

  // Takes changes up, and notes uses of tokens. A file that cannot be read changes nothing and is
  // reported in the log.
  void Refresh();

  // Prometheus text.
  std::string Metrics() const;

 private:
  struct Current {
    std::string text;  // of the file
    Principals principals;
    // Of each token, the last use in microseconds; outlives changes of the others.
    std::map<std::string, std::shared_ptr<std::atomic<int64_t>>, std::less<>> uses;
  };
  Access(Files& files, const std::string& data_directory, const Clock& clock);
  Status Load();
  void SaveUses();
  Error Refused() const;
  Result<PrincipalPtr> CheckSecret(std::string_view id, std::string_view secret) const;

  Store store_;
  const Clock& clock_;
  const std::string unknown_salt_key_;
  std::atomic<std::shared_ptr<const Current>> current_;
  std::atomic<bool> required_{false};
  bool switched_off_ = false;
  mutable std::atomic<int64_t> failures_{0};
  mutable std::atomic<int64_t> successes_{0};

  std::mutex refreshing_;
  std::string reported_;                   // the last failure; guarded by refreshing_
  Micros uses_saved_;                      // when; guarded by refreshing_
  std::map<std::string, Micros> on_disk_;  // uses; guarded by refreshing_
};

}  // namespace millrace::auth
