#include "nexmark/generator.h"

#include <cmath>

#include "catalog/relation_shape.h"

namespace millrace::nexmark {

namespace {

using duckdb::LogicalType;
using duckdb::string_t;

constexpr int64_t kEpochEvents = 50;
constexpr int64_t kEpochAuctions = 3;
constexpr int64_t kFirstId = 1000;
constexpr int64_t kFirstCategory = 10;
constexpr uint64_t kCategories = 5;

// Hot ids stay the same for so many new ones.
constexpr int64_t kHotSpan = 100;
constexpr int64_t kAuctionsInFlight = 100;
constexpr int64_t kActivePeople = 1000;
constexpr int64_t kIdsAhead = 10;  // ids that do not exist yet

constexpr size_t kPersonBytes = 200;
constexpr size_t kAuctionBytes = 500;
constexpr size_t kBidBytes = 100;
constexpr size_t kItemNameBytesMax = 20;
constexpr size_t kDescriptionBytesMax = 100;
constexpr size_t kTextBytesMin = 3;

constexpr const char* kFirstNames[] = {"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                       "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
constexpr const char* kLastNames[] = {"Shultz", "Abrams", "Spencer", "White", "Bartels",
                                      "Walton", "Smith",  "Jones",   "Noris"};
constexpr const char* kCities[] = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
                                   "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
constexpr const char* kStates[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
constexpr const char* kHotChannels[] = {"Google", "Facebook", "Baidu", "Apple"};

// The newest ids, counted from 0, once event n has happened; -1: none yet.
int64_t NewestPerson(int64_t event) { return event / kEpochEvents; }
int64_t NewestAuction(int64_t event) {
  const int64_t in_epoch = std::min(event % kEpochEvents, kEpochAuctions);
  return event / kEpochEvents * kEpochAuctions + in_epoch - 1;
}

// Which of an epoch's events are of a kind: [first, first + count).
struct Slots {
  int64_t first;
  int64_t count;
};
Slots SlotsOf(Kind kind) {
  switch (kind) {
    case Kind::kPerson:
      return {0, 1};
    case Kind::kAuction:
      return {1, kEpochAuctions};
    case Kind::kBid:
      break;
  }
  return {1 + kEpochAuctions, kEpochEvents - 1 - kEpochAuctions};
}

rows::Schema SchemaOf(std::vector<std::pair<const char*, LogicalType>> columns) {
  rows::Schema schema;
  for (auto& [name, type] : columns) {
    rows::Column column;
    column.name = name;
    column.type = std::move(type);
    column.not_null = true;
    column.id = static_cast<int>(schema.columns.size());
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

string_t View(const std::string& text) { return {text.data(), static_cast<uint32_t>(text.size())}; }
string_t View(const char* text) { return {text, static_cast<uint32_t>(std::strlen(text))}; }

}  // namespace

// Counter-based: the state is a hash of seed and event.
class Generator::Draw {
 public:
  Draw(uint64_t seed, int64_t event)
      : random_(Random(seed + static_cast<uint64_t>(event)).Next()) {}
  // In [0, bound). REQUIRES: bound < 2^32.
  uint64_t Below(uint64_t bound) { return ((random_.Next() >> 32) * bound) >> 32; }
  // In [0, 1).
  double Unit() { return static_cast<double>(random_.Next() >> 11) * 0x1p-53; }
  bool Hot(uint64_t once_in) { return Below(once_in) > 0; }
  int64_t Price() { return std::llround(100 * std::exp(Unit() * (6 * M_LN10))); }

  int64_t Auction(int64_t event) {
    const int64_t newest = NewestAuction(event);
    if (Hot(2)) return kFirstId + newest / kHotSpan * kHotSpan;
    const int64_t oldest = std::max<int64_t>(newest - kAuctionsInFlight, 0);
    return kFirstId + oldest + static_cast<int64_t>(Below(newest - oldest + 1 + kIdsAhead));
  }
  int64_t Seller(int64_t event) {
    if (Hot(4)) return kFirstId + NewestPerson(event) / kHotSpan * kHotSpan;
    return AnyPerson(event);
  }
  int64_t Bidder(int64_t event) {
    if (Hot(4)) return kFirstId + NewestPerson(event) / kHotSpan * kHotSpan + 1;
    return AnyPerson(event);
  }

 private:
  int64_t AnyPerson(int64_t event) {
    const int64_t people = NewestPerson(event) + 1;
    const int64_t active = std::min(people, kActivePeople);
    return kFirstId + people - active + static_cast<int64_t>(Below(active + kIdsAhead));
  }

  Random random_;
};

// The row that is written next, column by column, into flat vectors.
struct Generator::Columns {
  duckdb::DataChunk& chunk;
  size_t row = 0;
  size_t column = 0;

  template <typename T>
  void Put(T value) {
    duckdb::FlatVector::GetData<T>(chunk.data[column++])[row] = value;
  }
  // Texts made for this row alone go into the vector's own memory.
  string_t PutOwned(const std::string& text) {
    const string_t stored = duckdb::StringVector::AddString(chunk.data[column], text);
    Put(stored);
    return stored;
  }
};

const char* RelationName(Kind kind) {
  switch (kind) {
    case Kind::kPerson:
      return "person";
    case Kind::kAuction:
      return "auction";
    case Kind::kBid:
      break;
  }
  return "bid";
}

catalog::StreamDefinition StreamOf(Kind kind) {
  const LogicalType id = LogicalType::BIGINT;
  const LogicalType text = LogicalType::VARCHAR;
  const LogicalType time = LogicalType::TIMESTAMP;
  catalog::StreamDefinition stream;
  stream.name = RelationName(kind);
  stream.watermark = {"date_time", std::chrono::seconds(4)};
  switch (kind) {
    case Kind::kPerson:
      stream.schema = SchemaOf({{"id", id},
                                {"name", text},
                                {"email", text},
                                {"credit_card", text},
                                {"city", text},
                                {"state", text},
                                {"date_time", time},
                                {"extra", text}});
      break;
    case Kind::kAuction:
      stream.schema = SchemaOf({{"id", id},
                                {"item_name", text},
                                {"description", text},
                                {"initial_bid", LogicalType::BIGINT},
                                {"reserve", LogicalType::BIGINT},
                                {"date_time", time},
                                {"expires", time},
                                {"seller", id},
                                {"category", id},
                                {"extra", text}});
      break;
    case Kind::kBid:
      stream.schema = SchemaOf({{"auction", id},
                                {"bidder", id},
                                {"price", LogicalType::BIGINT},
                                {"channel", text},
                                {"url", text},
                                {"date_time", time},
                                {"extra", text}});
      break;
  }
  return stream;
}

Generator::Generator(const GeneratorOptions& options)
    : seed_(Random(options.seed).Next()),
      rate_(options.rate),
      auction_horizon_(kAuctionsInFlight * kEpochEvents / kEpochAuctions * 1'000'000 / rate_) {
  Random random(seed_);
  text_.resize(kTextBytes);
  for (char& letter : text_) letter = static_cast<char>('a' + random.Below(26));
  for (const char* first : kFirstNames) {
    for (const char* last : kLastNames) names_.push_back(fmt::format("{} {}", first, last));
  }
  for (const char* name : kHotChannels) channels_.push_back({name, RandomUrl(random)});
  for (size_t i = 0; i < kNumberedChannels; ++i) {
    Channel channel{fmt::format("channel-{}", i), RandomUrl(random)};
    if (!random.OneIn(10)) channel.url += fmt::format("&channel_id={}", random.Below(1ull << 31));
    channels_.push_back(std::move(channel));
  }
}

std::string Generator::RandomUrl(Random& random) const {
  std::string url = "https://www.nexmark.com/";
  for (int i = 0; i < 3; ++i) {
    url += std::string_view(text_).substr(random.Below(kTextBytes - 5),
                                          kTextBytesMin + random.Below(3));
    url += '/';
  }
  return url + "item.htm?query=1";
}

string_t Generator::Slice(Draw& draw, size_t bytes) const {
  return {text_.data() + draw.Below(kTextBytes - bytes), static_cast<uint32_t>(bytes)};
}

string_t Generator::Extra(Draw& draw, size_t bytes, size_t average) const {
  if (bytes >= average) return string_t();
  const size_t missing = average - bytes;
  const size_t spread = missing / 5;
  return Slice(draw, missing - spread + draw.Below(2 * spread + 1));
}

void Generator::WritePerson(int64_t event, Columns& out) const {
  Draw draw(seed_, event);
  const string_t name = View(names_[draw.Below(names_.size())]);
  out.Put(kFirstId + NewestPerson(event));
  out.Put(name);
  const string_t user = Slice(draw, kTextBytesMin + draw.Below(5));
  const string_t host = Slice(draw, kTextBytesMin + draw.Below(3));
  const string_t email = out.PutOwned(user.GetString() + "@" + host.GetString() + ".com");
  const string_t card =
      out.PutOwned(fmt::format("{:04} {:04} {:04} {:04}", draw.Below(10'000), draw.Below(10'000),
                               draw.Below(10'000), draw.Below(10'000)));
  const string_t city = View(kCities[draw.Below(std::size(kCities))]);
  const string_t state = View(kStates[draw.Below(std::size(kStates))]);
  out.Put(city);
  out.Put(state);
  out.Put(TimeOf(event));
  const size_t bytes =
      16 + name.GetSize() + email.GetSize() + card.GetSize() + city.GetSize() + state.GetSize();
  out.Put(Extra(draw, bytes, kPersonBytes));
}

void Generator::WriteAuction(int64_t event, Columns& out) const {
  Draw draw(seed_, event);
  const string_t item = Slice(draw, kTextBytesMin + draw.Below(kItemNameBytesMax - 2));
  const string_t description = Slice(draw, kTextBytesMin + draw.Below(kDescriptionBytesMax - 2));
  const int64_t initial_bid = draw.Price();
  out.Put(kFirstId + NewestAuction(event));
  out.Put(item);
  out.Put(description);
  out.Put(initial_bid);
  out.Put(initial_bid + draw.Price());
  out.Put(TimeOf(event));
  const double later = draw.Unit() * static_cast<double>(2 * auction_horizon_);
  out.Put(TimeOf(event) + 1000 + static_cast<int64_t>(later));
  out.Put(draw.Seller(event));
  out.Put(kFirstCategory + static_cast<int64_t>(draw.Below(kCategories)));
  out.Put(Extra(draw, 56 + item.GetSize() + description.GetSize(), kAuctionBytes));
}

void Generator::WriteBid(int64_t event, Columns& out) const {
  Draw draw(seed_, event);
  out.Put(draw.Auction(event));
  out.Put(draw.Bidder(event));
  out.Put(draw.Price());
  const size_t hot = std::size(kHotChannels);
  const Channel& channel =
      channels_[draw.Hot(2) ? draw.Below(hot) : hot + draw.Below(kNumberedChannels)];
  out.Put(View(channel.name));
  out.Put(View(channel.url));
  out.Put(TimeOf(event));
  out.Put(Extra(draw, 32, kBidBytes));
}

rows::Batch Generator::Rows(Kind kind, EventRange range) const {
  catalog::Object object;
  object.definition = StreamOf(kind);
  const catalog::RelationShape shape = catalog::ShapeOf(object);
  const rows::Types types = shape.schema.types();
  const auto time = *shape.schema.Find("date_time");
  const rows::Types declared(types.begin(), types.begin() + static_cast<long>(shape.visible));
  const Slots slots = SlotsOf(kind);

  rows::Batch out;
  duckdb::DataChunk chunk;
  std::vector<int64_t> numbers;
  const auto close = [&] {
    auto rows = std::make_shared<duckdb::DataChunk>();
    rows->InitializeEmpty(types);
    for (size_t i = 0; i < shape.visible; ++i) rows->data[i].Reference(chunk.data[i]);
    duckdb::Vector offsets(LogicalType::BIGINT, numbers.size());
    std::copy(numbers.begin(), numbers.end(), duckdb::FlatVector::GetData<int64_t>(offsets));
    rows->data[shape.visible].Reference(duckdb::Value::INTEGER(0));
    rows->data[shape.visible + 1].Reference(offsets);
    rows->data[shape.visible + 2].Reference(chunk.data[time]);
    rows->data[shape.visible + 3].Reference(chunk.data[time]);
    rows->data[shape.visible + 4].Reference(duckdb::Value::BOOLEAN(false));
    rows->SetCardinality(numbers.size());
    out.parts.push_back({std::move(rows), {}});
    numbers.clear();
  };
  for (int64_t epoch = range.begin / kEpochEvents; epoch * kEpochEvents < range.end; ++epoch) {
    const int64_t first = epoch * kEpochEvents + slots.first;
    const int64_t end = std::min(first + slots.count, range.end);
    for (int64_t event = std::max(first, range.begin); event < end; ++event) {
      if (numbers.empty()) {
        chunk.Destroy();
        chunk.Initialize(duckdb::Allocator::DefaultAllocator(), declared);
      }
      Columns columns{chunk, numbers.size()};
      if (kind == Kind::kPerson) WritePerson(event, columns);
      if (kind == Kind::kAuction) WriteAuction(event, columns);
      if (kind == Kind::kBid) WriteBid(event, columns);
      numbers.push_back(event);
      if (numbers.size() == STANDARD_VECTOR_SIZE) close();
    }
  }
  if (!numbers.empty()) close();
  return out;
}

}  // namespace millrace::nexmark
