#include "fuzz/case.h"

#include <fmt/format.h>

#include <algorithm>

#include "fuzz/closed_views.h"

namespace millrace::fuzz {
namespace {

class Maker {
 public:
  explicit Maker(uint64_t seed) : expressions_(seed), random_(expressions_.random()) {}

  Case Make(uint64_t seed) {
    made_.regime = RegimeOf(seed);
    const size_t count = 2 + random_.Below(2);
    for (size_t i = 0; i < count; ++i) {
      relations_.push_back(MakeRelation(expressions_, "t" + std::to_string(i)));
      made_.relations.push_back(relations_.back().name);
      std::set<std::string> types;
      for (const Column& column : relations_.back().columns)
        types.insert("column of type " + column.type->name);
      Add({.kind = Step::Kind::kStatement,
           .change = {relations_.back().Create(), {}, ""},
           .constructs = types});
    }
    for (int i = 0; i < 4; ++i) AddView();
    const size_t rounds = 3 + random_.Below(3);
    for (size_t round = 0; round < rounds; ++round) {
      const size_t changes = 1 + random_.Below(3);
      for (size_t i = 0; i < changes; ++i)
        Statement(MakeChange(expressions_, relations_[random_.Below(relations_.size())]));
      if (random_.OneIn(12)) {
        constexpr Step::Kind kEnds[] = {Step::Kind::kRestart, Step::Kind::kKill,
                                        Step::Kind::kPowerLoss};
        Add({.kind = kEnds[random_.Below(3)]});
      }
      if (round > 0) Add({.kind = Step::Kind::kCheck});
      for (int i = 0; i < 2; ++i) AddView();
      if (random_.OneIn(6)) ReplaceView();
      if (random_.OneIn(8))
        Add({.kind = Step::Kind::kDropView, .view = "v" + std::to_string(random_.Below(views_))});
    }
    Statement(MakeChange(expressions_, relations_[0]));
    Add({.kind = Step::Kind::kCheck});
    return std::move(made_);
  }

 private:
  static Regime RegimeOf(uint64_t seed) {
    Random random(seed / kBlock);
    Regime regime;
    regime.workers = 1 + static_cast<int>(random.Below(4));
    if (random.OneIn(4)) regime.step_rows_max = 1;
    if (random.OneIn(4)) regime.memory_bytes = size_t{64} << 20;
    return regime;
  }

  void Add(Step step) { made_.steps.push_back(std::move(step)); }

  void Statement(Change change) {
    expressions_.TakeUsed();  // conditions of changes are none of a view's constructs
    Add({.kind = Step::Kind::kStatement, .change = std::move(change)});
  }

  Query MakeQuery() {
    std::vector<const RelationSpec*> timed;
    for (const RelationSpec& relation : relations_) {
      if (!relation.event_time.empty()) timed.push_back(&relation);
    }
    expressions_.TakeUsed();
    if (!timed.empty() && random_.OneIn(8))
      return MakeClosedView(expressions_, *timed[random_.Below(timed.size())]);
    return Queries(expressions_, readable_).Make();
  }

  void AddView() {
    if (readable_.empty()) {
      for (const RelationSpec& relation : relations_)
        readable_.push_back({relation.name, relation.columns, false});
    }
    if (views_ > 0 && random_.OneIn(5)) return AddTwin();
    Query query = MakeQuery();
    const std::string name = "v" + std::to_string(views_++);
    Add({.kind = Step::Kind::kCreateView,
         .view = name,
         .query = query.sql,
         .answer = query.answer,
         .constructs = expressions_.TakeUsed()});
    if (!query.columns.empty() && random_.OneIn(6))
      readable_.push_back({name, query.columns, true});
  }

  // What an earlier view asks for, whole or counted: operators are shared though the views came at
  // different times.
  void AddTwin() {
    std::vector<const Step*> earlier;
    for (const Step& step : made_.steps) {
      if (step.kind == Step::Kind::kCreateView) earlier.push_back(&step);
    }
    Step twin = *earlier[random_.Below(earlier.size())];
    twin.view = "v" + std::to_string(views_++);
    twin.replaces = false;
    twin.constructs = {kTwin};
    if (twin.answer.empty() && random_.OneIn(2)) {
      twin.query = fmt::format("SELECT count(*) AS c0 FROM ({}) AS q", twin.query);
      twin.constructs = {kOverTwin};
    }
    Add(std::move(twin));
  }

  // Views on it follow, where its columns stay; else it is refused.
  void ReplaceView() {
    Query query = MakeQuery();
    Add({.kind = Step::Kind::kCreateView,
         .view = "v" + std::to_string(random_.Below(views_)),
         .query = query.sql,
         .answer = query.answer,
         .replaces = true,
         .constructs = expressions_.TakeUsed()});
  }

  Expressions expressions_;
  Random& random_;
  Case made_;
  std::vector<RelationSpec> relations_;
  std::vector<Readable> readable_;
  uint64_t views_ = 0;
};

}  // namespace

std::string Step::Sql() const {
  if (kind == Kind::kCreateView)
    return fmt::format("CREATE {}MATERIALIZED VIEW {} AS {}", replaces ? "OR REPLACE " : "", view,
                       query);
  if (kind == Kind::kDropView) return "DROP MATERIALIZED VIEW " + view;
  std::string sql = change.head;
  for (size_t i = 0; i < change.rows.size(); ++i) sql += (i > 0 ? ",\n  " : " ") + change.rows[i];
  return sql + change.tail;
}

Case MakeCase(uint64_t seed) { return Maker(seed).Make(seed); }

}  // namespace millrace::fuzz
