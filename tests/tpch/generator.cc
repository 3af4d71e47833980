#include "tpch/generator.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "tpch/vocabulary.h"

namespace millrace::tpch {
namespace {

constexpr size_t kStatementBytesMax = 1 << 20;

constexpr int64_t kDayFirst = 8035;              // 1992-01-01, days since 1970-01-01
constexpr int64_t kDayLastOrder = 10'591 - 151;  // 151 days before 1998-12-31
constexpr int64_t kDayCurrent = 9298;            // 1995-06-17

// In [first, last].
int64_t Between(Random& random, int64_t first, int64_t last) {
  return first + static_cast<int64_t>(random.Below(static_cast<uint64_t>(last - first + 1)));
}

template <size_t N>
std::string_view OneOf(Random& random, const std::array<std::string_view, N>& words) {
  return words[random.Below(N)];
}

std::string Quote(std::string_view text) { return fmt::format("'{}'", text); }
std::string Cents(int64_t cents) {
  return fmt::format("{}{}.{:02}", cents < 0 ? "-" : "", std::abs(cents) / 100,
                     std::abs(cents) % 100);
}
std::string Day(int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return fmt::format("'{}-{:02}-{:02}'", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

// Words of the specification, from `least` to `most` bytes.
std::string Text(Random& random, int64_t least, int64_t most) {
  const auto bytes = static_cast<size_t>(Between(random, least, most));
  std::string text;
  while (text.size() < bytes) text += std::string(OneOf(random, kTextWords)) + " ";
  text.resize(bytes);
  return text;
}

std::string Address(Random& random) {
  static constexpr std::string_view kLetters =
      "0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ,";
  std::string text(static_cast<size_t>(Between(random, 10, 40)), ' ');
  for (char& letter : text) letter = kLetters[random.Below(kLetters.size())];
  return text;
}

std::string Phone(Random& random, int64_t nation) {
  const int64_t area = Between(random, 100, 999);
  const int64_t office = Between(random, 100, 999);
  return fmt::format("{}-{}-{}-{}", nation + 10, area, office, Between(random, 1000, 9999));
}

std::string TypeOf(Random& random) {
  const std::string_view size = OneOf(random, kTypeSizes);
  const std::string_view finish = OneOf(random, kTypeFinishes);
  return fmt::format("{} {} {}", size, finish, OneOf(random, kTypeMetals));
}

std::string ContainerOf(Random& random) {
  const std::string_view size = OneOf(random, kContainerSizes);
  return fmt::format("{} {}", size, OneOf(random, kContainers));
}

int64_t RetailCents(int64_t part) { return 90'000 + part / 10 % 20'001 + 100 * (part % 1000); }

// Only the first eight of each 32 keys are used.
int64_t OrderKey(int64_t number) { return number / 8 * 32 + number % 8 + 1; }

// Gathers rows to INSERT statements of a bounded length.
class Inserts {
 public:
  Inserts(std::string table, const Generator::Execute& execute)
      : begin_("INSERT INTO " + std::move(table) + " VALUES\n"), execute_(execute) {}
  bool Add(std::string_view row) {
    rows_ += (rows_.empty() ? "" : ",\n") + std::string(row);
    return rows_.size() < kStatementBytesMax || End();
  }
  bool End() {
    if (rows_.empty()) return true;
    const bool going_on = execute_(begin_ + rows_);
    rows_.clear();
    return going_on;
  }

 private:
  const std::string begin_;
  const Generator::Execute& execute_;
  std::string rows_;
};

bool ExecuteAll(const std::vector<std::string>& statements, const Generator::Execute& execute) {
  return std::all_of(statements.begin(), statements.end(), execute);
}

}  // namespace

std::vector<std::string> TableDefinitions() {
  return {
      "CREATE TABLE region (r_regionkey INTEGER PRIMARY KEY, r_name VARCHAR, r_comment VARCHAR)",
      "CREATE TABLE nation (n_nationkey INTEGER PRIMARY KEY, n_name VARCHAR, n_regionkey INTEGER, "
      "n_comment VARCHAR)",
      "CREATE TABLE supplier (s_suppkey BIGINT PRIMARY KEY, s_name VARCHAR, s_address VARCHAR, "
      "s_nationkey INTEGER, s_phone VARCHAR, s_acctbal DECIMAL(15,2), s_comment VARCHAR)",
      "CREATE TABLE part (p_partkey BIGINT PRIMARY KEY, p_name VARCHAR, p_mfgr VARCHAR, p_brand "
      "VARCHAR, p_type VARCHAR, p_size INTEGER, p_container VARCHAR, p_retailprice DECIMAL(15,2), "
      "p_comment VARCHAR)",
      "CREATE TABLE partsupp (ps_partkey BIGINT, ps_suppkey BIGINT, ps_availqty BIGINT, "
      "ps_supplycost DECIMAL(15,2), ps_comment VARCHAR, PRIMARY KEY (ps_partkey, ps_suppkey))",
      "CREATE TABLE customer (c_custkey BIGINT PRIMARY KEY, c_name VARCHAR, c_address VARCHAR, "
      "c_nationkey INTEGER, c_phone VARCHAR, c_acctbal DECIMAL(15,2), c_mktsegment VARCHAR, "
      "c_comment VARCHAR)",
      "CREATE TABLE orders (o_orderkey BIGINT PRIMARY KEY, o_custkey BIGINT, o_orderstatus "
      "VARCHAR, "
      "o_totalprice DECIMAL(15,2), o_orderdate DATE, o_orderpriority VARCHAR, o_clerk VARCHAR, "
      "o_shippriority INTEGER, o_comment VARCHAR)",
      "CREATE TABLE lineitem (l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_linenumber "
      "INTEGER, l_quantity DECIMAL(15,2), l_extendedprice DECIMAL(15,2), l_discount DECIMAL(15,2), "
      "l_tax DECIMAL(15,2), l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate DATE, "
      "l_commitdate DATE, l_receiptdate DATE, l_shipinstruct VARCHAR, l_shipmode VARCHAR, "
      "l_comment "
      "VARCHAR, PRIMARY KEY (l_orderkey, l_linenumber))",
  };
}

Generator::Generator(double scale, uint64_t seed)
    : seed_(seed),
      suppliers_(std::max<int64_t>(20, static_cast<int64_t>(scale * 10'000))),
      parts_(suppliers_ * 20),
      customers_(suppliers_ * 15),
      orders_(customers_ * 10),
      changes_(seed),
      next_order_(orders_) {}

Random Generator::Draw(Table table, int64_t key) const {
  Random mixed(seed_ + static_cast<uint64_t>(table));
  return Random(mixed.Next() + static_cast<uint64_t>(key) * 0x2545f4914f6cdd1dull);
}

std::string Generator::Supplier(int64_t key) const {
  Random random = Draw(Table::kSupplier, key);
  const int64_t nation = Between(random, 0, 24);
  const std::string address = Address(random);
  const std::string phone = Phone(random, nation);
  const int64_t balance = Between(random, -99'999, 999'999);
  std::string comment = Text(random, 25, 60);
  // Of 10,000 suppliers five have complaints and five are recommended; here more, so that a small
  // scale has some.
  if (key % 50 == 3) comment += " Customer slyly Complaints";
  if (key % 50 == 7) comment += " Customer slyly Recommends";
  return fmt::format("({}, 'Supplier#{:09}', {}, {}, '{}', {}, {})", key, key, Quote(address),
                     nation, phone, Cents(balance), Quote(comment));
}

std::string Generator::Part(int64_t key) const {
  Random random = Draw(Table::kPart, key);
  std::array<std::string_view, kColours.size()> colours = kColours;
  std::string name;
  for (size_t i = 0; i < 5; ++i) {
    std::swap(colours[i], colours[i + random.Below(colours.size() - i)]);
    name += (i == 0 ? "" : " ") + std::string(colours[i]);
  }
  const int64_t maker = Between(random, 1, 5);
  const int64_t brand = Between(random, 1, 5);
  const std::string type = TypeOf(random);
  const int64_t size = Between(random, 1, 50);
  const std::string container = ContainerOf(random);
  return fmt::format("({}, '{}', 'Manufacturer#{}', 'Brand#{}{}', '{}', {}, '{}', {}, {})", key,
                     name, maker, maker, brand, type, size, container, Cents(RetailCents(key)),
                     Quote(Text(random, 5, 22)));
}

int64_t Generator::SupplierOf(int64_t part, int64_t which) const {
  return (part + which * (suppliers_ / 4 + (part - 1) / suppliers_)) % suppliers_ + 1;
}

std::string Generator::PartSupp(int64_t part, int64_t which) const {
  Random random = Draw(Table::kPartSupp, part * 4 + which);
  const int64_t available = Between(random, 1, 9999);
  const int64_t cost = Between(random, 100, 100'000);
  return fmt::format("({}, {}, {}, {}, {})", part, SupplierOf(part, which), available, Cents(cost),
                     Quote(Text(random, 49, 198)));
}

std::string Generator::Customer(int64_t key) const {
  Random random = Draw(Table::kCustomer, key);
  const int64_t nation = Between(random, 0, 24);
  const std::string address = Address(random);
  const std::string phone = Phone(random, nation);
  const int64_t balance = Between(random, -99'999, 999'999);
  const std::string_view segment = OneOf(random, kSegments);
  return fmt::format("({}, 'Customer#{:09}', {}, {}, '{}', {}, '{}', {})", key, key, Quote(address),
                     nation, phone, Cents(balance), segment, Quote(Text(random, 29, 116)));
}

Generator::Order Generator::MakeOrder(int64_t number) const {
  Random random = Draw(Table::kOrders, number);
  const int64_t key = OrderKey(number);
  int64_t customer = Between(random, 1, customers_);
  if (customer % 3 == 0) customer = customer == customers_ ? 1 : customer + 1;
  const int64_t day = Between(random, kDayFirst, kDayLastOrder);
  const int64_t count = Between(random, 1, 7);
  Order order;
  int64_t total_micros = 0;  // of a dollar: cents × hundredths × hundredths
  int64_t shipped = 0;
  for (int64_t line = 1; line <= count; ++line) {
    const int64_t part = Between(random, 1, parts_);
    const int64_t supplier = SupplierOf(part, Between(random, 0, 3));
    const int64_t quantity = Between(random, 1, 50);
    const int64_t price = quantity * RetailCents(part);
    const int64_t discount = Between(random, 0, 10);
    const int64_t tax = Between(random, 0, 8);
    const int64_t ship = day + Between(random, 1, 121);
    const int64_t commit = day + Between(random, 30, 90);
    const int64_t receipt = ship + Between(random, 1, 30);
    const char* flag = receipt > kDayCurrent ? "N" : random.OneIn(2) ? "R" : "A";
    const bool open = ship > kDayCurrent;
    shipped += open ? 0 : 1;
    total_micros += price * (100 - discount) * (100 + tax);
    const std::string_view instruction = OneOf(random, kInstructions);
    const std::string_view mode = OneOf(random, kModes);
    order.lines.push_back(fmt::format(
        "({}, {}, {}, {}, {}, {}, {}, {}, '{}', '{}', {}, {}, {}, '{}', '{}', {})", key, part,
        supplier, line, quantity, Cents(price), Cents(discount), Cents(tax), flag, open ? "O" : "F",
        Day(ship), Day(commit), Day(receipt), instruction, mode, Quote(Text(random, 10, 43))));
  }
  const char* status = shipped == count ? "F" : shipped == 0 ? "O" : "P";
  const std::string_view priority = OneOf(random, kPriorities);
  const int64_t clerk = Between(random, 1, std::max<int64_t>(1, suppliers_ / 10));
  order.row = fmt::format("({}, {}, '{}', {}, {}, '{}', 'Clerk#{:09}', 0, {})", key, customer,
                          status, Cents(total_micros / 10'000), Day(day), priority, clerk,
                          Quote(Text(random, 19, 78)));
  return order;
}

bool Generator::LoadOthers(const Execute& execute) const {
  Inserts regions("region", execute);
  for (size_t i = 0; i < kRegions.size(); ++i)
    if (!regions.Add(fmt::format("({}, '{}', 'a region')", i, kRegions[i]))) return false;
  Inserts nations("nation", execute);
  for (size_t i = 0; i < kNations.size(); ++i) {
    if (!nations.Add(
            fmt::format("({}, '{}', {}, 'a nation')", i, kNations[i].name, kNations[i].region)))
      return false;
  }
  Inserts suppliers("supplier", execute);
  for (int64_t key = 1; key <= suppliers_; ++key)
    if (!suppliers.Add(Supplier(key))) return false;
  Inserts parts("part", execute);
  for (int64_t key = 1; key <= parts_; ++key)
    if (!parts.Add(Part(key))) return false;
  Inserts offers("partsupp", execute);
  for (int64_t key = 1; key <= parts_; ++key) {
    for (int64_t which = 0; which < 4; ++which)
      if (!offers.Add(PartSupp(key, which))) return false;
  }
  Inserts customers("customer", execute);
  for (int64_t key = 1; key <= customers_; ++key)
    if (!customers.Add(Customer(key))) return false;
  return regions.End() && nations.End() && suppliers.End() && parts.End() && offers.End() &&
         customers.End();
}

bool Generator::LoadOrders(int64_t begin, int64_t end, const Execute& execute) const {
  Inserts orders("orders", execute);
  Inserts lines("lineitem", execute);
  for (int64_t number = begin; number < end; ++number) {
    const Order order = MakeOrder(number);
    if (!orders.Add(order.row)) return false;
    for (const std::string& line : order.lines)
      if (!lines.Add(line)) return false;
  }
  return orders.End() && lines.End();
}

bool Generator::Change(const Execute& execute) {
  return ChangeOrders(execute) && ChangeCustomers(execute) && ChangeParts(execute) &&
         ChangeNations(execute);
}

bool Generator::ChangeOrders(const Execute& execute) {
  const int64_t count = std::max<int64_t>(5, orders_ / 1000);
  if (!LoadOrders(next_order_, next_order_ + count, execute)) return false;
  next_order_ += count;
  const int64_t first = Between(changes_, 0, orders_ - count);
  const std::string gone =
      fmt::format("BETWEEN {} AND {}", OrderKey(first), OrderKey(first + count));
  const int64_t large = OrderKey(Between(changes_, 0, orders_ - 1));
  const auto some = [&](const char* key, int64_t of) {
    return fmt::format("{} % {} = {}", key, of, Between(changes_, 0, of - 1));
  };
  return ExecuteAll(
      {
          "DELETE FROM lineitem WHERE l_orderkey " + gone,
          "DELETE FROM orders WHERE o_orderkey " + gone,
          "UPDATE lineitem SET l_quantity = l_quantity::BIGINT % 50 + 1, l_discount = "
          "(l_discount + 0.03) % 0.11, l_extendedprice = l_extendedprice * 1.1 WHERE " +
              some("l_orderkey", 997),
          fmt::format("UPDATE lineitem SET l_quantity = 50 WHERE l_orderkey BETWEEN {} AND {}",
                      large, large + 128),
          "UPDATE lineitem SET l_shipdate = l_shipdate + 200, l_receiptdate = l_commitdate + "
          "(l_linenumber - 3), l_returnflag = CASE l_returnflag WHEN 'R' THEN 'A' ELSE 'R' END, "
          "l_shipmode = CASE l_shipmode WHEN 'MAIL' THEN 'SHIP' ELSE 'MAIL' END WHERE " +
              some("l_orderkey", 991),
          "UPDATE orders SET o_orderdate = o_orderdate - 100, o_orderpriority = '1-URGENT', "
          "o_orderstatus = 'F', o_comment = 'special foxes; requests' WHERE " +
              some("o_orderkey", 983),
          fmt::format("UPDATE orders SET o_custkey = o_custkey % {} + 1 WHERE ", customers_) +
              some("o_orderkey", 977),
      },
      execute);
}

bool Generator::ChangeCustomers(const Execute& execute) {
  const int64_t back = Between(changes_, 1, customers_);
  const std::string nation = fmt::to_string(Between(changes_, 0, 24));
  const auto some = [&](const char* key, int64_t of) {
    return fmt::format("{} % {} = {}", key, of, Between(changes_, 0, of - 1));
  };
  return ExecuteAll(
      {
          "UPDATE customer SET c_acctbal = c_acctbal + 1000, c_mktsegment = 'BUILDING', "
          "c_nationkey = " +
              nation + ", c_phone = '13' || c_phone[3:] WHERE " + some("c_custkey", 89),
          "DELETE FROM customer WHERE " + some("c_custkey", 499),
          "INSERT OR REPLACE INTO customer VALUES " + Customer(back),
          "UPDATE supplier SET s_acctbal = s_acctbal - 10.01, s_comment = CASE WHEN s_comment LIKE "
          "'%Customer%Complaints%' THEN 'none' ELSE 'Customer has Complaints' END, s_nationkey = "
          "(" +
              nation + " + s_suppkey) % 25 WHERE " + some("s_suppkey", 17),
          "DELETE FROM supplier WHERE " + some("s_suppkey", 97),
          "INSERT OR REPLACE INTO supplier VALUES " + Supplier(Between(changes_, 1, suppliers_)),
      },
      execute);
}

bool Generator::ChangeParts(const Execute& execute) {
  const int64_t size = Between(changes_, 1, 50);
  const std::string container = ContainerOf(changes_);
  const std::string type = TypeOf(changes_);
  const auto some = [&](const char* key, int64_t of) {
    return fmt::format("{} % {} = {}", key, of, Between(changes_, 0, of - 1));
  };
  return ExecuteAll(
      {
          fmt::format("UPDATE part SET p_size = {}, p_container = '{}' WHERE ", size, container) +
              some("p_partkey", 101),
          fmt::format(
              "UPDATE part SET p_type = '{}', p_name = 'forest green ' || p_name, p_brand = "
              "'Brand#23' WHERE ",
              type) +
              some("p_partkey", 211),
          "DELETE FROM part WHERE " + some("p_partkey", 499),
          "INSERT OR REPLACE INTO part VALUES " + Part(Between(changes_, 1, parts_)),
          "UPDATE partsupp SET ps_supplycost = ps_supplycost / 2, ps_availqty = ps_availqty * 2 "
          "WHERE " +
              some("ps_partkey", 103),
          "DELETE FROM partsupp WHERE " + some("ps_partkey", 499),
          "INSERT OR REPLACE INTO partsupp VALUES " +
              PartSupp(Between(changes_, 1, parts_), Between(changes_, 0, 3)),
      },
      execute);
}

bool Generator::ChangeNations(const Execute& execute) {
  const int64_t nation = Between(changes_, 0, 24);
  const int64_t region = Between(changes_, 0, 4);
  return ExecuteAll(
      {fmt::format("UPDATE nation SET n_regionkey = {} WHERE n_nationkey = {}", region, nation)},
      execute);
}

}  // namespace millrace::tpch
