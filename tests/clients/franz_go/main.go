// What a Go program does with Kafka, against the listener: run by test_kafka_clients.py with franz-go.
//
//	client BOOTSTRAP round-trip | transactions | admin
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var bootstrap string

func check(holds bool, what ...any) {
	if !holds {
		fmt.Fprintln(os.Stderr, what...)
		os.Exit(1)
	}
}

func must(err error) { check(err == nil, err) }

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(bootstrap)}, options...)...)
	must(err)
	return made
}

func reader(options ...kgo.Opt) *kgo.Client {
	return client(append([]kgo.Opt{kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, options...)...)
}

// take reads until it has count records, or no more come in time.
func take(ctx context.Context, from *kgo.Client, count int) []*kgo.Record {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	var got []*kgo.Record
	for len(got) < count && ctx.Err() == nil {
		fetches := from.PollFetches(ctx)
		if ctx.Err() == nil {
			must(fetches.Err())
		}
		got = append(got, fetches.Records()...)
	}
	return got
}

// Each codec, idempotent (the default), with keys and headers; then all of it back through groups.
func roundTrip(ctx context.Context) {
	codecs := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	codec := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	sent := 0
	for i, name := range codecs {
		writer := client(kgo.ProducerBatchCompression(codec[i]))
		var records []*kgo.Record
		for range [1000]struct{}{} {
			records = append(records, &kgo.Record{
				Topic:   "clicks",
				Key:     []byte(fmt.Sprintf("k%d", sent%50)),
				Value:   []byte(fmt.Sprintf(`{"user_id": %d, "product": "%s", "price": 1}`, sent, name)),
				Headers: []kgo.RecordHeader{{Key: "n", Value: []byte(fmt.Sprint(sent))}},
			})
			sent++
		}
		must(writer.ProduceSync(ctx, records...).FirstErr())
		writer.Close()
	}
	for _, balancer := range []kgo.GroupBalancer{kgo.RangeBalancer(), kgo.CooperativeStickyBalancer()} {
		group := "go-" + balancer.ProtocolName()
		consumer := reader(kgo.ConsumerGroup(group), kgo.ConsumeTopics("clicks"), kgo.Balancers(balancer), kgo.DisableAutoCommit())
		next := map[int32]int64{}
		numbers := map[string]bool{}
		for _, record := range take(ctx, consumer, sent) {
			check(record.Offset == next[record.Partition], "dense offsets", record.Offset, next[record.Partition])
			next[record.Partition] = record.Offset + 1
			numbers[string(record.Headers[0].Value)] = true
		}
		check(len(numbers) == sent, len(numbers), "of", sent)
		must(consumer.CommitUncommittedOffsets(ctx))
		var committed int64
		for _, offset := range consumer.CommittedOffsets()["clicks"] {
			committed += offset.Offset
		}
		check(committed == int64(sent), "committed", committed)
		consumer.Close()
	}
}

// Transactions that commit around one that aborts, then a job that copies in transactions.
func transactions(ctx context.Context) {
	writer := client(kgo.TransactionalID("go-tx"))
	for round := 0; round < 3; round++ {
		must(writer.BeginTransaction())
		for i := 0; i < 10; i++ {
			writer.Produce(ctx, &kgo.Record{Topic: "lines", Value: []byte(fmt.Sprintf("round %d line %d", round, i))}, func(_ *kgo.Record, err error) { must(err) })
		}
		must(writer.Flush(ctx))
		must(writer.EndTransaction(ctx, kgo.TransactionEndTry(round != 1)))
	}
	writer.Close()
	committed := reader(kgo.ConsumeTopics("lines"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	for _, record := range take(ctx, committed, 20) {
		check(!strings.HasPrefix(string(record.Value), "round 1"), string(record.Value))
	}
	committed.Close()
	job, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(bootstrap), kgo.TransactionalID("go-copy"), kgo.ConsumerGroup("go-copies"), kgo.ConsumeTopics("lines"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets())
	must(err)
	for copied := 0; copied < 20; {
		records := take(ctx, job.Client(), 1)
		must(job.Begin())
		for _, record := range records {
			job.Produce(ctx, &kgo.Record{Topic: "copied", Value: record.Value}, func(_ *kgo.Record, err error) { must(err) })
		}
		done, err := job.End(ctx, kgo.TryCommit)
		must(err)
		if done {
			copied += len(records)
		}
	}
	job.Close()
	copies := reader(kgo.ConsumeTopics("copied"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	check(len(take(ctx, copies, 20)) == 20, "each committed line is copied")
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	check(copies.PollFetches(short).NumRecords() == 0, "and nothing else")
	copies.Close()
}

func admin(ctx context.Context) {
	c := client()
	defer c.Close()
	must(c.Ping(ctx))
	metadata, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, c)
	must(err)
	topics := map[string]int{}
	for _, topic := range metadata.Topics {
		topics[*topic.Topic] = len(topic.Partitions)
	}
	check(topics["clicks"] == 3, topics)
	create := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "made-by-go", 2, 1
	create.Topics = append(create.Topics, topic)
	created, err := create.RequestWith(ctx, c)
	must(err)
	must(kerr.ErrorForCode(created.Topics[0].ErrorCode))
	created, err = create.RequestWith(ctx, c)
	must(err)
	check(errors.Is(kerr.ErrorForCode(created.Topics[0].ErrorCode), kerr.TopicAlreadyExists), created.Topics[0])
	drop := kmsg.NewPtrDeleteTopicsRequest()
	name := "made-by-go"
	one := kmsg.NewDeleteTopicsRequestTopic()
	one.Topic = &name
	drop.TopicNames, drop.Topics = []string{name}, append(drop.Topics, one)
	dropped, err := drop.RequestWith(ctx, c)
	must(err)
	must(kerr.ErrorForCode(dropped.Topics[0].ErrorCode))
}

func main() {
	bootstrap = os.Args[1]
	ctx, cancel := context.WithTimeout(context.Background(), 120*time.Second)
	defer cancel()
	map[string]func(context.Context){"round-trip": roundTrip, "transactions": transactions, "admin": admin}[os.Args[2]](ctx)
	fmt.Println("done")
}
