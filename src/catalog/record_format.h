// The numbers of the catalog's log record. The layout is in docs/formats/catalog.md: a change here
// is a change there, and of kRecordVersion. Internal to catalog.
#pragma once

#include <cstdint>

namespace millrace::catalog {

// 2 added to version 1: comments, uses, identity, types and macros, ALTER. 3: builds, halted views,
// the history of a stream's columns. 4: formats of streams. 5: topics of views' changes. 6: topics
// of tables. 7: durability of streams. 8: retention of views' changes. 9: storage of streams.
// 10: models.
inline constexpr uint8_t kRecordVersion = 10;
inline constexpr uint8_t kOldestRecordVersion = 1;
enum class RecordTag : uint8_t {
  kCreate = 1,
  kReplace = 2,
  kDrop = 3,
  kAlter = 4,
  kStartBuild = 5,
  kControlBuild = 6,
};
// In the byte of a view's history: EMIT ON WINDOW CLOSE.
inline constexpr uint8_t kEmitOnClose = 4;

}  // namespace millrace::catalog
