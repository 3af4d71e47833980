// Carries out a change of the catalog on a running node, all or nothing: topics, circuits, records,
// in the order that makes a crash at any point harmless (comments in the .cc). Views over relations
// that have rows are built from history: what of the change they stand for is set aside as a build,
// which the steps go on feeding, and which ends with a change of its own.
// Thread rule: Apply runs on the step loop's thread (StepLoop::AtBoundary).
#pragma once

#include <map>
#include <string>
#include <vector>

#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "log/log.h"
#include "runtime/pipeline.h"
#include "runtime/step_loop.h"

namespace millrace::runtime {

class CatalogChanger {
 public:
  CatalogChanger(log::Log& log, Pipeline& pipeline, StepLoop& loop, Clock& clock)
      : log_(log), pipeline_(pipeline), loop_(loop), clock_(clock) {}

  // The number of the build that the change began; 0: all of it has happened.
  Result<uint64_t> Apply(std::vector<catalog::Change> changes);
  // Halts the views that have failed in the last step (Pipeline::stopped) and gives up the builds
  // whose views did. The builds with their reasons.
  Result<std::map<uint64_t, std::string>> HaltStopped();

 private:
  struct Undo;
  uint64_t NextGeneration();
  Status GrowTopic(const catalog::Object& object);
  Status MakeTopics(std::vector<catalog::Change>& changes, Undo& undo);
  Status HoldHistory();

  log::Log& log_;
  Pipeline& pipeline_;
  StepLoop& loop_;
  Clock& clock_;
  uint64_t last_generation_ = 0;
};

}  // namespace millrace::runtime
