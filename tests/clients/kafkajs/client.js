// What a Node.js program does with Kafka, against the listener: run by test_kafka_clients.py with kafkajs.
//   node client.js BOOTSTRAP round-trip | transactions | admin
const assert = require("assert");
const { Kafka, CompressionTypes, logLevel } = require("kafkajs");

const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.ERROR });

// The next `count` messages of a topic for a group.
async function take(group, topic, count, options = {}) {
  const consumer = kafka.consumer({ groupId: group, sessionTimeout: 6000, ...options });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const got = [];
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${got.length} of ${count}`)), 60000);
    consumer.run({
      eachMessage: async ({ partition, message }) => {
        got.push({ partition, ...message });
        if (got.length === count) {
          clearTimeout(timer);
          resolve();
        }
      },
    }).catch(reject);
  });
  await consumer.disconnect(); // commits what was taken
  return got;
}

// Plain and gzip (the codecs it has of its own), with keys and headers; then all of it back through a group.
async function roundTrip() {
  let sent = 0;
  for (const [name, compression] of [["none", CompressionTypes.None], ["gzip", CompressionTypes.GZIP]]) {
    for (const idempotent of [false, true]) {
      const producer = kafka.producer({ idempotent, maxInFlightRequests: 1 });
      await producer.connect();
      const messages = Array.from({ length: 500 }, () => {
        const i = sent++;
        return { key: `k${i % 50}`, value: JSON.stringify({ user_id: i, product: name, price: 1 }), headers: { n: String(i) } };
      });
      await producer.send({ topic: "clicks", compression, messages });
      await producer.disconnect();
    }
  }
  const got = await take("js-group", "clicks", sent);
  assert.equal(new Set(got.map((m) => m.headers.n.toString())).size, sent);
}

async function transactions() {
  const producer = kafka.producer({ transactionalId: "js-tx", maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  for (let round = 0; round < 3; ++round) {
    const transaction = await producer.transaction();
    await transaction.send({ topic: "lines", messages: Array.from({ length: 10 }, (_, i) => ({ value: `round ${round} line ${i}` })) });
    if (round === 1) await transaction.abort();
    else await transaction.commit();
  }
  await producer.disconnect();
  const got = await take("js-committed", "lines", 20);
  assert(got.every((m) => !m.value.toString().startsWith("round 1")));
}

async function administer() {
  const admin = kafka.admin();
  await admin.connect();
  assert((await admin.listTopics()).includes("clicks"));
  assert.equal((await admin.describeCluster()).brokers.length, 1);
  const offsets = await admin.fetchTopicOffsets("clicks");
  assert.equal(offsets.length, 3);
  assert((await admin.listGroups()).groups.some((g) => g.groupId === "js-group"));
  const committed = await admin.fetchOffsets({ groupId: "js-group", topics: ["clicks"] });
  assert.equal(committed[0].partitions.reduce((sum, p) => sum + Number(p.offset), 0), 2000);
  await admin.resetOffsets({ groupId: "js-group", topic: "clicks", earliest: true });
  await admin.deleteGroups(["js-group"]);
  assert(await admin.createTopics({ topics: [{ topic: "made-by-js", numPartitions: 2 }] }));
  assert(!(await admin.createTopics({ topics: [{ topic: "made-by-js", numPartitions: 2 }] })));
  await admin.deleteTopics({ topics: ["made-by-js"] });
  await admin.disconnect();
}

({ "round-trip": roundTrip, transactions, admin: administer })[process.argv[3]]()
  .then(() => { console.log("done"); process.exit(0); })
  .catch((error) => { console.error(error); process.exit(1); });
