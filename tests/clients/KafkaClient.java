// What a Java program does with Kafka, against the listener: run by test_kafka_java.py with Apache Kafka's own client.
//   java -cp 'jars/*' KafkaClient.java BOOTSTRAP STEP
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

public class KafkaClient {
  static String bootstrap;

  static void check(boolean holds, Object what) {
    if (!holds) throw new AssertionError(String.valueOf(what));
  }

  static Map<String, Object> settings(Object... more) {
    Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
    if (System.getenv("KAFKA_JAAS") != null) {
      all.putAll(Map.of("security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", System.getenv("KAFKA_MECHANISM"), "sasl.jaas.config", System.getenv("KAFKA_JAAS")));
    }
    if (System.getenv("KAFKA_AUTHORITY") != null) {
      all.put("security.protocol", System.getenv("KAFKA_JAAS") != null ? "SASL_SSL" : "SSL");
      all.putAll(Map.of("ssl.truststore.type", "PEM", "ssl.truststore.location", System.getenv("KAFKA_AUTHORITY")));
    }
    for (int i = 0; i < more.length; i += 2) all.put((String) more[i], more[i + 1]);
    return all;
  }

  static KafkaProducer<String, String> producer(Object... more) {
    return new KafkaProducer<>(settings(more), new StringSerializer(), new StringSerializer());
  }

  static KafkaConsumer<String, String> consumer(String group, Object... more) {
    Map<String, Object> all = settings(more);
    all.putAll(Map.of("group.id", group, "auto.offset.reset", "earliest", "session.timeout.ms", 6000, "enable.auto.commit", false));
    return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
  }

  static List<ConsumerRecord<String, String>> take(KafkaConsumer<String, String> consumer, int count) {
    List<ConsumerRecord<String, String>> got = new ArrayList<>();
    long until = System.currentTimeMillis() + 60_000;
    while (got.size() < count && System.currentTimeMillis() < until) consumer.poll(Duration.ofMillis(200)).forEach(got::add);
    return got;
  }

  // Each codec, idempotent (the default), with keys and headers; then all of it back through a group, in order by partition.
  static void roundTrip() throws Exception {
    int sent = 0;
    for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
      try (var producer = producer("compression.type", codec, "linger.ms", 5)) {
        List<Future<RecordMetadata>> answers = new ArrayList<>();
        for (int i = 0; i < 1000; ++i, ++sent) {
          answers.add(producer.send(new ProducerRecord<>("clicks", null, "k" + sent % 50, "{\"user_id\": " + sent + ", \"product\": \"" + codec + "\", \"price\": 1}",
              List.of(new RecordHeader("n", String.valueOf(sent).getBytes())))));
        }
        for (var answer : answers) check(answer.get().hasOffset(), "acknowledged with an offset");
      }
    }
    for (String assignor : List.of("RangeAssignor", "RoundRobinAssignor", "StickyAssignor", "CooperativeStickyAssignor")) {
      try (var consumer = consumer("java-" + assignor, "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor)) {
        consumer.subscribe(List.of("clicks"));
        var got = take(consumer, sent);
        check(got.size() == sent, got.size() + " of " + sent);
        Map<Integer, Long> next = new HashMap<>();
        Set<String> numbers = new HashSet<>();
        for (var record : got) {
          check(record.offset() == next.getOrDefault(record.partition(), 0L), "dense offsets");
          next.put(record.partition(), record.offset() + 1);
          numbers.add(new String(record.headers().lastHeader("n").value()));
        }
        check(numbers.size() == sent, "each record once");
        consumer.commitSync();
        check(consumer.committed(consumer.assignment()).values().stream().mapToLong(OffsetAndMetadata::offset).sum() == sent, "committed");
      }
    }
  }

  static void admin() throws Exception {
    try (Admin admin = Admin.create(settings())) {
      check(admin.describeCluster().nodes().get().size() == 1, "one node");
      check(admin.listTopics().names().get().containsAll(Set.of("clicks", "lines")), "topics");
      var topic = admin.describeTopics(List.of("clicks")).allTopicNames().get().get("clicks");
      check(topic.partitions().size() == 3 && topic.partitions().get(0).leader() != null, topic);
      var resource = new ConfigResource(ConfigResource.Type.TOPIC, "clicks");
      var config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
      check(config.get("cleanup.policy").value().equals("delete"), config);
      var partition = new TopicPartition("clicks", 0);
      check(admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all().get().get(partition).offset() > 0, "latest");
      check(admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).all().get().get(partition).offset() >= 0, "max timestamp");
      String group = "java-RangeAssignor";
      check(admin.listConsumerGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)), "groups");
      check(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().size() == 3, "offsets of a group");
      admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(1, "moved"))).all().get();
      check(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(partition).offset() == 1, "reset");
      admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
      admin.deleteConsumerGroups(List.of(group)).all().get();
      try {
        admin.describeTopics(List.of("no-such-topic")).allTopicNames().get();
        check(false, "a topic that is not there");
      } catch (ExecutionException e) {
        check(e.getCause() instanceof org.apache.kafka.common.errors.UnknownTopicOrPartitionException, e);
      }
    }
  }

  // Two transactions that commit around one that aborts, over two topics; then a job that reads one topic and writes the other, whose
  // offsets are part of its transactions.
  static void transactions() throws Exception {
    try (var producer = producer("transactional.id", "java-tx")) {
      producer.initTransactions();
      for (int round = 0; round < 3; ++round) {
        producer.beginTransaction();
        for (int i = 0; i < 10; ++i) {
          producer.send(new ProducerRecord<>("lines", "round " + round + " line " + i));
          producer.send(new ProducerRecord<>("clicks", "k" + i, "{\"user_id\": " + i + ", \"product\": \"round" + round + "\", \"price\": 1}"));
        }
        producer.flush();
        if (round == 1) producer.abortTransaction(); else producer.commitTransaction();
      }
    }
    try (var committed = consumer("committed", "isolation.level", "read_committed"); var all = consumer("all")) {
      committed.subscribe(List.of("lines"));
      var got = take(committed, 20);
      check(got.size() == 20 && got.stream().noneMatch(r -> r.value().startsWith("round 1")), got.size());
      all.subscribe(List.of("lines"));
      check(take(all, 30).size() == 30, "an uncommitted reader sees everything");
    }
    try (var reader = consumer("copies", "isolation.level", "read_committed"); var writer = producer("transactional.id", "java-copy")) {
      writer.initTransactions();
      reader.subscribe(List.of("lines"));
      int copied = 0;
      for (int round = 0; copied < 20; ++round) {
        var batch = reader.poll(Duration.ofMillis(500));
        if (batch.isEmpty()) continue;
        writer.beginTransaction();
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        for (var record : batch) {
          writer.send(new ProducerRecord<>("copied", record.value()));
          next.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
        }
        writer.sendOffsetsToTransaction(next, reader.groupMetadata());
        writer.commitTransaction();
        copied += batch.count();
      }
    }
    try (var reader = consumer("of-copies", "isolation.level", "read_committed")) {
      reader.subscribe(List.of("copied"));
      check(take(reader, 20).size() == 20, "each committed line was copied once");
      check(reader.poll(Duration.ofMillis(500)).isEmpty(), "and nothing else");
    }
    // A second producer of the same id fences the first.
    try (var first = producer("transactional.id", "java-fenced"); var second = producer("transactional.id", "java-fenced")) {
      first.initTransactions();
      first.beginTransaction();
      first.send(new ProducerRecord<>("lines", "of the one that is fenced")).get();
      second.initTransactions();
      try {
        first.commitTransaction();
        check(false, "the first producer should be fenced");
      } catch (KafkaException e) {
        // ProducerFencedException, or InvalidProducerEpochException: it depends on the client.
      }
    }
  }

  // Numbers from 0 on, each sent until it is acknowledged; stops when something comes by standard input, and says how many there were.
  static void numbers() throws Exception {
    var acknowledged = new AtomicInteger();
    var wrong = new ConcurrentLinkedQueue<Exception>();
    int sent = 0;
    try (var producer = producer("acks", "all", "delivery.timeout.ms", 300_000, "request.timeout.ms", 5_000, "linger.ms", 1, "max.block.ms", 300_000,
        "reconnect.backoff.max.ms", 200)) {
      for (; System.in.available() == 0; ++sent) {
        producer.send(new ProducerRecord<>("numbers", "java" + sent, "{\"source\": \"java\", \"n\": " + sent + "}"), (to, error) -> {
          if (error != null) wrong.add(error);
          acknowledged.incrementAndGet();
        });
        if (sent % 20 == 19) Thread.sleep(1);
      }
      producer.flush();
    }
    check(wrong.isEmpty(), wrong);
    check(acknowledged.get() == sent, acknowledged + " of " + sent);
    System.out.println(sent);
  }

  public static void main(String[] arguments) throws Exception {
    bootstrap = arguments[0];
    switch (arguments[1]) {
      case "round-trip" -> roundTrip();
      case "admin" -> admin();
      case "transactions" -> transactions();
      case "numbers" -> numbers();
      default -> throw new IllegalArgumentException(arguments[1]);
    }
    System.out.println("done");
  }
}
