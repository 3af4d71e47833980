// For tests of what goes by the registry: one over a log in memory.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "base/faulty_files.h"
#include "schemas/registry.h"

namespace millrace::schemas {

class WithRegistry : public ::testing::Test {
 protected:
  void SetUp() override { OpenRegistry(); }
  // As after a restart, where one was open.
  void OpenRegistry() {
    registry_.reset();
    log_.reset();
    log::LogOptions options;
    options.files = &files_;
    options.directory = "data";
    options.disk_reserve_bytes = 0;
    auto log = log::Log::Open(options);
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
    auto registry = Registry::Open(*log_);
    ASSERT_TRUE(registry.ok()) << registry.error().ToString();
    registry_ = *std::move(registry);
  }

  FaultyFiles files_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<Registry> registry_;
};

}  // namespace millrace::schemas
