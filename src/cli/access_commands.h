// What the commands `token` and `user` take, and their help.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "cli/access.h"

namespace millrace::cli {

class AccessCommands {
 public:
  // Adds both to the program.
  void AddTo(CLI::App& app);
  // The group that was named, "token" or "user"; nullptr: neither.
  const CLI::App* parsed() const;
  // REQUIRES: parsed().
  Status Run() const;
  std::vector<const CLI::App*> groups() const { return {token_, user_}; }

 private:
  CLI::App& Add(CLI::App& group, const std::string& name, const std::string& description,
                const std::string& examples, Status (*action)(const AccessOptions&));

  CLI::App* token_ = nullptr;
  CLI::App* user_ = nullptr;
  std::vector<std::pair<CLI::App*, Status (*)(const AccessOptions&)>> actions_;
  AccessOptions options_;
  std::string data_;
};

}  // namespace millrace::cli
