#include "kafka/errors.h"

#include "log/append_problem.h"

namespace millrace::kafka {

ErrorCode AppendErrorCode(const Error& error) {
  if (const auto problem = log::AppendProblemOf(error)) {
    switch (*problem) {
      case log::AppendProblem::kOutOfOrderSequence:
        return ErrorCode::kOutOfOrderSequenceNumber;
      case log::AppendProblem::kInvalidProducerEpoch:
        return ErrorCode::kInvalidProducerEpoch;
      case log::AppendProblem::kInvalidTransactionState:
        return ErrorCode::kInvalidTxnState;
    }
  }
  switch (error.code()) {
    case Code::kCorruption:
      return ErrorCode::kCorruptMessage;
    case Code::kInvalidArgument:
    case Code::kNotSupported:
      return ErrorCode::kInvalidRecord;
    case Code::kTooLarge:
      return ErrorCode::kMessageTooLarge;
    case Code::kNotFound:
      return ErrorCode::kUnknownTopicOrPartition;
    case Code::kOverloaded:
      return ErrorCode::kNotEnoughReplicas;  // every client tries again after it
    case Code::kTimeout:
      return ErrorCode::kRequestTimedOut;
    default:
      return ErrorCode::kKafkaStorageError;
  }
}

ErrorCode ReadErrorCode(const Error& error) {
  switch (error.code()) {
    case Code::kNotFound:
      return ErrorCode::kUnknownTopicOrPartition;
    case Code::kInvalidArgument:
      return ErrorCode::kOffsetOutOfRange;
    case Code::kOverloaded:
      return ErrorCode::kThrottlingQuotaExceeded;
    case Code::kCorruption:
      return ErrorCode::kCorruptMessage;
    default:
      return ErrorCode::kKafkaStorageError;
  }
}

ErrorCode TopicErrorCode(const Error& error) {
  switch (error.code()) {
    case Code::kAlreadyExists:
      return ErrorCode::kTopicAlreadyExists;
    case Code::kNotFound:
      return ErrorCode::kUnknownTopicOrPartition;
    case Code::kInvalidArgument:
      return ErrorCode::kInvalidRequest;
    case Code::kConflict:
    case Code::kNotSupported:
      return ErrorCode::kPolicyViolation;
    case Code::kTimeout:
      return ErrorCode::kRequestTimedOut;
    default:
      return ErrorCode::kUnknownServerError;
  }
}

}  // namespace millrace::kafka
