// TPC-H's eight tables and a stream of changes to them, as SQL statements. Value distributions
// follow the specification (section 4.2) wherever a query's predicates or joins depend on them:
// sparse order keys, the four suppliers of a part, statuses that follow from the dates, a third of
// the customers without orders. Texts are words of the specification in random order, not its
// grammar.
//
// Everything is a function of scale, seed and key, so the same options give the same statements.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/random.h"

namespace millrace::tpch {

// CREATE TABLE of all eight, with their primary keys.
std::vector<std::string> TableDefinitions();

class Generator {
 public:
  using Execute = std::function<bool(const std::string& statement)>;  // false: stop

  Generator(double scale, uint64_t seed);

  // The rows of all tables but orders and lineitem. False: `execute` wanted to stop.
  bool LoadOthers(const Execute& execute) const;
  // The orders [begin, end) of `orders()`, with their line items.
  bool LoadOrders(int64_t begin, int64_t end, const Execute& execute) const;
  int64_t orders() const { return orders_; }

  // One batch of changes: new orders (the specification's refresh function 1), deleted ones (2),
  // and updates, deletes and returns in every table.
  bool Change(const Execute& execute);

 private:
  enum class Table : uint64_t { kSupplier, kPart, kPartSupp, kCustomer, kOrders };
  struct Order {
    std::string row;
    std::vector<std::string> lines;
  };

  Random Draw(Table table, int64_t key) const;
  std::string Supplier(int64_t key) const;
  std::string Part(int64_t key) const;
  std::string PartSupp(int64_t part, int64_t which) const;
  std::string Customer(int64_t key) const;
  Order MakeOrder(int64_t number) const;
  // The `which`-th of the four suppliers of a part.
  int64_t SupplierOf(int64_t part, int64_t which) const;

  bool ChangeOrders(const Execute& execute);
  bool ChangeCustomers(const Execute& execute);
  bool ChangeParts(const Execute& execute);
  bool ChangeNations(const Execute& execute);

  const uint64_t seed_;
  const int64_t suppliers_;
  const int64_t parts_;
  const int64_t customers_;
  const int64_t orders_;
  Random changes_;
  int64_t next_order_;
};

}  // namespace millrace::tpch
