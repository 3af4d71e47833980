// What a backup is copied from: a folder in the data directory that holds the node at one step,
// made in a moment by links to files whose bytes never change, and small copies of the rest.
//
//   backup/lock          held by whoever copies
//   backup/source/       laid out as a data directory; wal/ has the checkpoint only
//   backup/log_files     "BYTES PATH" of each file of the log: it may be longer, and grow
//
// The files keep their space on disk until the folder is given back, by EndBackup, the next
// BeginBackup, or the node's start.
#pragma once

#include "runtime/node.h"

namespace millrace::runtime {

inline constexpr char kBackupFolder[] = "backup";
inline constexpr char kBackupSource[] = "backup/source";
inline constexpr char kBackupLock[] = "backup/lock";
inline constexpr char kBackupLogFiles[] = "backup/log_files";

// See Node. REQUIRES: no catalog change is under way (Node::Impl::definition_mutex is held).
Result<Node::BackupSource> BeginBackup(Node::Impl& node);
Status EndBackup(const std::string& data_directory);

}  // namespace millrace::runtime
