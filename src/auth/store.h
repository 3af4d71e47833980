// The users and tokens of a data directory, in its folder `access` (docs/formats/access.md), and
// how they are changed: by the command line, whether a node runs on the directory or not. A node
// that runs takes a change up within a second (Access).
//
// Whoever may write the data directory may change them: there is no other authority. Changes are
// one durable step each, and one after the other, across processes. Thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "auth/principals.h"
#include "base/files.h"

namespace millrace::auth {

inline constexpr size_t kPrincipalsMax = 10'000;  // users and tokens together
inline constexpr size_t kPasswordBytesMin = 8;
inline constexpr size_t kPasswordBytesMax = 256;

struct NewToken {
  std::string id;
  // "mr_ID_SECRET": shown once, kept nowhere.
  std::string text;
};

// "mr_ID_SECRET" in its two parts; false where it is not of this form.
bool SplitToken(std::string_view text, std::string_view& id, std::string_view& secret);

// Printable ASCII of a sensible length: clients disagree on how other letters are prepared.
Status CheckPassword(std::string_view password);

class Store {
 public:
  Store(Files& files, std::string data_directory, const Clock& clock = Clock::System())
      : files_(files), folder_(std::move(data_directory) + "/access"), clock_(clock) {}

  // Empty where none was ever made. kCorruption: the file is damaged.
  Result<Principals> Read() const;
  // The file as it is; empty where there is none.
  Result<std::string> ReadText() const;

  // `lifetime` 0: for ever. Errors: kInvalidArgument (no scopes), kTooLarge (kPrincipalsMax).
  Result<NewToken> CreateToken(const Scopes& scopes, std::chrono::seconds lifetime,
                               const std::string& note, const Rate& rate = {});
  // kNotFound.
  Status RevokeToken(std::string_view id);
  // kAlreadyExists, kInvalidArgument. `replace`: a user of this name gets password, scopes and
  // rate anew.
  Status CreateUser(const std::string& name, std::string_view password, const Scopes& scopes,
                    bool replace, const Rate& rate = {});
  Status DropUser(std::string_view name);

  // When tokens were last used, by id; only to be shown, so a minute may be lost with a crash.
  Result<std::map<std::string, Micros>> ReadUses() const;
  Status WriteUses(const std::map<std::string, Micros>& uses);

 private:
  template <typename F>
  Status Change(const F& change);

  Files& files_;
  const std::string folder_;
  const Clock& clock_;
};

}  // namespace millrace::auth
