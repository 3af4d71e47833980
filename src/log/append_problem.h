// Why an append was refused for the sake of its producer: what a protocol tells apart, and its
// client acts upon. Travels in the Error of an append (with Code::kConflict).
#pragma once

#include <optional>

#include "base/error.h"

namespace millrace::log {

enum class AppendProblem {
  // A batch before this one is missing, or this one is older than the last five: the producer sends
  // what is missing first.
  kOutOfOrderSequence,
  // The producer's id was handed out anew with a higher epoch: this producer must stop.
  kInvalidProducerEpoch,
  // A batch outside a transaction while the producer's transaction is open in the partition.
  kInvalidTransactionState,
};

// nullopt: the error says nothing of the producer.
std::optional<AppendProblem> AppendProblemOf(const Error& error);
// The error, marked with the problem.
Error WithProblem(Error error, AppendProblem problem);

}  // namespace millrace::log
