// Producer ids and transactions: messages to and from the coordinator of transactions
// (kafka_groups/transaction_coordinator.h). All of them wait for the disk; their arguments outlive
// the coroutines.
#pragma once

#include "kafka/produce_messages.h"
#include "kafka/service.h"
#include "kafka/transaction_messages.h"
#include "net/asio.h"

namespace millrace::kafka {

asio::awaitable<InitProducerIdResponse> InitProducerId(Service& service, const Request& request,
                                                       const InitProducerIdRequest& message);
asio::awaitable<AddPartitionsToTxnResponse> AddPartitionsToTxn(
    Service& service, const Request& request, const AddPartitionsToTxnRequest& message);
asio::awaitable<AddOffsetsToTxnResponse> AddOffsetsToTxn(Service& service, const Request& request,
                                                         const AddOffsetsToTxnRequest& message);
asio::awaitable<EndTxnResponse> EndTxn(Service& service, const Request& request,
                                       const EndTxnRequest& message);
asio::awaitable<TxnOffsetCommitResponse> TxnOffsetCommit(Service& service, const Request& request,
                                                         const TxnOffsetCommitRequest& message);

}  // namespace millrace::kafka
