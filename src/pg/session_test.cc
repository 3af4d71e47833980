// A session over a real node, spoken to in messages.
#include "pg/session.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "pg/authenticator.h"
#include "pg/replies.h"
#include "pg/testing.h"

namespace millrace::pg::session_test {
namespace {

std::string Text(std::string_view text) { return std::string(text) + '\0'; }
std::string Query(std::string_view text) { return Framed('Q', Text(text)); }
std::string Parse(std::string_view name, std::string_view text) {
  return Framed('P', Text(name) + Text(text) + std::string(2, '\0'));
}
std::string Bind(std::string_view name, const std::vector<std::string>& values) {
  std::string body = Text("") + Text(name) + std::string(2, '\0');
  PutInt16(static_cast<int16_t>(values.size()), body);
  for (const std::string& value : values) {
    PutInt32(static_cast<int32_t>(value.size()), body);
    body += value;
  }
  return Framed('B', body + std::string(2, '\0'));
}
std::string Execute() { return Framed('E', Text("") + std::string(4, '\0')); }
const std::string kSync = Framed('S', "");

class SessionTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::filesystem::temp_directory_path() / fmt::format("millrace_pg_{}", getpid());
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    runtime::NodeOptions options;
    options.data_directory = directory_.string();
    options.project_directory = directory_.string();
    options.workers = 1;
    options.memory_bytes = size_t{1} << 30;
    options.disk_reserve_bytes = 0;  // whatever else the disk holds
    auto started = runtime::Node::Start(options);
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = std::move(*started);
    for (const char* text :
         {"CREATE TABLE t (id BIGINT PRIMARY KEY, v VARCHAR)", "CREATE TABLE u (id BIGINT)",
          "CREATE STREAM s (id BIGINT NOT NULL CHECK (id >= 0), v VARCHAR)",
          "CREATE MATERIALIZED VIEW counts AS SELECT v, count(*) AS n FROM s GROUP BY v"})
      ASSERT_TRUE(node_->Execute(text, {}).ok()) << text;
    auto opened = SystemCatalog::Open(node_->SystemTableColumns());
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    catalog_ = std::move(*opened);
  }
  static void TearDownTestSuite() {
    catalog_.reset();
    node_.reset();
    std::filesystem::remove_all(directory_);
  }

  SessionTest() { Begin(); }
  void Begin() {
    cancel_ = std::make_shared<CancelState>();
    session_ = std::make_unique<Session>(SessionContext{*node_, *catalog_, nullptr, counters_},
                                         "ann", nullptr, 1, cancel_);
    EXPECT_TRUE(session_->Begin({}).ok());
  }

  // The replies' types, and the texts of rows and errors behind theirs: "T D(1) C Z".
  std::string Say(const std::string& bytes) {
    std::string_view in = bytes;
    std::string out;
    Session::Next next = Session::Next::kAgain;
    while (next == Session::Next::kAgain) next = session_->Work(in, out);
    std::string said;
    for (std::string_view rest = out; !rest.empty();) {
      const char type = rest[0];
      const auto length = static_cast<size_t>(GetInt32(rest.data() + 1));
      const std::string_view body = rest.substr(5, length - 4);
      rest.remove_prefix(1 + length);
      said += said.empty() ? "" : " ";
      said += type;
      if (type == 'E') said += "(" + std::string(body.substr(body.find("\0C", 0, 2) + 2, 5)) + ")";
      if (type == 'D') said += "(" + RowText(body) + ")";
      if (type == 'Z') said += body;
    }
    return said;
  }

  static std::string RowText(std::string_view body) {
    MessageReader reader(body);
    std::string text;
    for (int16_t left = reader.Int16(); left > 0; --left) {
      const int32_t size = reader.Int32();
      text += text.empty() ? "" : ",";
      text += size < 0 ? "null" : std::string(reader.Bytes(static_cast<size_t>(size)));
    }
    return text;
  }

  static std::filesystem::path directory_;
  static std::unique_ptr<runtime::Node> node_;
  static std::unique_ptr<SystemCatalog> catalog_;
  SessionCounters counters_;
  std::shared_ptr<CancelState> cancel_;
  std::unique_ptr<Session> session_;
};

std::filesystem::path SessionTest::directory_;
std::unique_ptr<runtime::Node> SessionTest::node_;
std::unique_ptr<SystemCatalog> SessionTest::catalog_;

TEST_F(SessionTest, ABlockIsOneChangeThatSeesItself) {
  EXPECT_EQ(Say(Query("BEGIN; INSERT INTO t VALUES (1, 'a'), (2, 'b'); UPDATE t SET v = v || '!' "
                      "WHERE id = 1 RETURNING v")),
            "C C T D(a!) C ZT");
  EXPECT_EQ(Say(Query("INSERT INTO t SELECT id + 10, v FROM t RETURNING id, v")),
            "T D(11,a!) D(12,b) C ZT");
  EXPECT_EQ(Say(Query("DELETE FROM t WHERE id = 2")), "C ZT");
  EXPECT_EQ(Say(Query("INSERT INTO s VALUES (1, 'x')")), "C ZT");
  EXPECT_EQ(Say(Query("INSERT INTO t SELECT n, v FROM counts")), "E(25001) ZE");
  EXPECT_EQ(Say(Query("ROLLBACK")), "C ZI");
  EXPECT_EQ(Say(Query("SELECT count(*) FROM t")), "T D(0) C ZI");
  EXPECT_EQ(Say(Query("BEGIN; INSERT INTO t VALUES (1, 'a'); INSERT INTO u VALUES (5), (5); INSERT "
                      "INTO s VALUES (1, 'x'), (2, 'x'); COMMIT")),
            "C C C C C ZI");
  EXPECT_EQ(Say(Query("SELECT * FROM t; SELECT sum(id) FROM u; FROM counts")),
            "T D(1,a) C T D(10) C T D(x,2) C ZI");
  EXPECT_EQ(Say(Query("DELETE FROM t; DELETE FROM u")), "C C ZI");
}

TEST_F(SessionTest, RowsThatAStreamRefusesFailTheBlock) {
  EXPECT_EQ(Say(Query("BEGIN; INSERT INTO t VALUES (7, 'a'); INSERT INTO s VALUES (-1, 'x')")),
            "C C E(23514) ZE");
  EXPECT_EQ(Say(Query("COMMIT")), "C ZI");
  EXPECT_EQ(Say(Query("SELECT count(*) FROM t")), "T D(0) C ZI");
}

TEST_F(SessionTest, DefinitionsStandAloneAndSayThatTheyStay) {
  EXPECT_EQ(Say(Query("BEGIN; CREATE TABLE made (id BIGINT)")), "C N C ZT");
  EXPECT_EQ(Say(Query("INSERT INTO made VALUES (1)")), "E(25001) ZE");
  EXPECT_EQ(Say(Query("ROLLBACK")), "C ZI");
  EXPECT_EQ(Say(Query("DROP TABLE made")), "C ZI");
}

TEST_F(SessionTest, PreparedLookupsGoStraightToTheContent) {
  ASSERT_EQ(Say(Query("INSERT INTO t VALUES (1, 'one'), (2, 'two')")), "C ZI");
  EXPECT_EQ(Say(Parse("p", "SELECT v FROM t WHERE id = $1") + kSync), "1 ZI");
  const std::string ask = Bind("p", {"2"}) + Execute() + kSync;
  EXPECT_EQ(Say(ask), "2 D(two) C ZI");
  EXPECT_EQ(counters_.lookups, 1);
  EXPECT_TRUE(session_->IsQuick(ask));
  EXPECT_EQ(Say(Bind("p", {"3"}) + Execute() + kSync), "2 C ZI");
  ASSERT_EQ(Say(Query("UPDATE t SET v = 'zwei' WHERE id = 2")), "C ZI");
  EXPECT_EQ(Say(ask), "2 D(zwei) C ZI");
  // Within a transaction, and after a definition, it is as any other.
  ASSERT_EQ(Say(Query("BEGIN")), "C ZT");
  EXPECT_FALSE(session_->IsQuick(ask));
  EXPECT_EQ(Say(ask), "2 D(zwei) C ZT");
  ASSERT_EQ(Say(Query("COMMIT; CREATE TABLE other (id BIGINT)")), "C C ZI");
  EXPECT_FALSE(session_->IsQuick(ask));
  EXPECT_EQ(Say(ask), "2 D(zwei) C ZI");
  EXPECT_TRUE(session_->IsQuick(ask));
  EXPECT_EQ(Say(Query("DROP TABLE other; DELETE FROM t")), "C C ZI");
}

TEST_F(SessionTest, ACancelledSubscriptionEnds) {
  std::string in = Query("SUBSCRIBE TO counts WITH SNAPSHOT");
  std::string_view view = in;
  std::string out;
  EXPECT_EQ(session_->Work(view, out), Session::Next::kWait);
  cancel_->Cancel();
  EXPECT_EQ(session_->Work(view, out), Session::Next::kRead);
  EXPECT_NE(out.find("57014"), std::string::npos);
  EXPECT_EQ(Say(Query("SELECT 1")), "T D(1) C ZI");
}

TEST_F(SessionTest, TenThousandDamagedConversationsHarmNobody) {
  std::mt19937 random(3);
  const std::vector<std::string> seeds = {
      Query("SELECT 1"),
      Query("BEGIN; SELECT 2; ROLLBACK"),
      Parse("a", "SELECT $1::BIGINT") + Bind("a", {"7"}) + Execute() + kSync,
      Parse("", "SELECT 'x'") + Bind("", {}) + Framed('D', "P" + Text("")) + Execute() + kSync,
      Query("COPY t FROM STDIN") + Framed('d', "5\tx\n") + Framed('f', Text("no")) + kSync,
      Query("SHOW server_version") + Framed('C', "S" + Text("a")) + kSync,
      Framed('H', "") + Framed('d', "zzz") + Framed('F', "abc") + kSync,
  };
  for (int i = 0; i < 10'000; ++i) {
    std::string bytes = seeds[random() % seeds.size()];
    for (int damages = static_cast<int>(random() % 3); damages > 0 && !bytes.empty(); --damages) {
      const size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + random() % 4);
          break;
        case 2:
          bytes.insert(at, 1, static_cast<char>(random()));
          break;
        default:
          bytes.resize(at);
      }
    }
    std::string_view in = bytes;
    std::string out;
    session_->IsQuick(in);
    Session::Next next = Session::Next::kAgain;
    while (next == Session::Next::kAgain) next = session_->Work(in, out);
    if (next != Session::Next::kRead || i % 100 == 0) Begin();
  }
  Begin();
  EXPECT_EQ(Say(Query("SELECT count(*) FROM t")), "T D(0) C ZI");
}

TEST(Authenticator, AsksNobodyWhereNobodyHasToSignIn) {
  Authenticator open(nullptr, "ann", false);
  EXPECT_EQ(*open.Begin(), "");
  std::string out;
  EXPECT_FALSE(open.Step("x", out).ok());
}

TEST(Authenticator, TakesScramInPostgresMessages) {
  const std::string directory =
      (std::filesystem::temp_directory_path() / fmt::format("millrace_scram_{}", getpid()))
          .string();
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  auth::Store store(Files::System(), directory);
  ASSERT_TRUE(
      store
          .CreateUser("ann", "a long password", auth::Scopes({{auth::Permission::kSql, ""}}), false)
          .ok());
  const auto access = auth::Access::Open(Files::System(), directory);
  ASSERT_TRUE(access.ok());
  (*access)->Require();
  Authenticator asked(access->get(), "ann", false);
  EXPECT_NE(asked.Begin()->find("SCRAM-SHA-256"), std::string::npos);
  std::string first = Text("SCRAM-SHA-256");
  const std::string client = "n,,n=,r=abcdefgh";
  PutInt32(static_cast<int32_t>(client.size()), first);
  std::string out;
  const auto step = asked.Step(first + client, out);
  ASSERT_TRUE(step.ok()) << step.error().ToString();
  EXPECT_FALSE(*step);
  EXPECT_NE(out.find("r=abcdefgh"), std::string::npos);
  EXPECT_EQ(asked.Step("c=biws,r=abcdefgh,p=AAAA", out).error().sqlstate(), "28P01");
  // A token needs a connection that nobody else reads.
  EXPECT_EQ(Authenticator(access->get(), "token", false).Begin().error().sqlstate(), "28000");
  EXPECT_FALSE(Authenticator(access->get(), "token", true).Begin()->empty());
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace millrace::pg::session_test
