#include "nexmark/queries.h"

namespace millrace::nexmark {

namespace {

// The bids of an auction that were made while it was open, by price, and then by time.
constexpr const char* kWinningBids = R"(
SELECT * FROM (
  SELECT a.*, b.auction, b.bidder, b.price, b.channel, b.url, b.date_time AS bid_date_time,
         b.extra AS bid_extra,
         row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time) AS n
  FROM auction a JOIN bid b
    ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires)
WHERE n <= 1)";

constexpr const char* kAverageOfLastTen = R"(
WITH winning AS (
  SELECT seller, price, date_time FROM (
    SELECT a.seller, b.price, b.date_time,
           row_number() OVER (PARTITION BY a.id, a.seller ORDER BY b.price DESC, b.date_time) AS n
    FROM auction a JOIN bid b
      ON a.id = b.auction AND b.date_time BETWEEN a.date_time AND a.expires)
  WHERE n <= 1)
SELECT seller, avg(price) OVER (PARTITION BY seller ORDER BY date_time
                                ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS average
FROM winning)";

constexpr const char* kHighestBids = R"(
SELECT b.auction, b.price, b.bidder, b.date_time, b.extra
FROM (SELECT *, time_bucket(INTERVAL 10 SECONDS, date_time) AS opened FROM bid) b
JOIN (SELECT time_bucket(INTERVAL 10 SECONDS, date_time) AS opened, max(price) AS price
      FROM bid GROUP BY opened) m
  ON b.opened = m.opened AND b.price = m.price)";

constexpr const char* kHotItems = R"(
WITH counts AS (
  SELECT auction, window_start, count(*) AS bids
  FROM hop(bid, date_time, INTERVAL 2 SECONDS, INTERVAL 10 SECONDS)
  GROUP BY auction, window_start)
SELECT c.auction, c.bids, c.window_start
FROM counts c
JOIN (SELECT window_start, max(bids) AS most FROM counts GROUP BY window_start) m
  ON c.window_start = m.window_start AND c.bids = m.most)";

constexpr const char* kNewSellers = R"(
SELECT p.id, p.name, p.opened
FROM (SELECT id, name, time_bucket(INTERVAL 10 SECONDS, date_time) AS opened
      FROM person GROUP BY ALL) p
JOIN (SELECT seller, time_bucket(INTERVAL 10 SECONDS, date_time) AS opened
      FROM auction GROUP BY ALL) a
  ON p.id = a.seller AND p.opened = a.opened)";

constexpr const char* kTotalsByDay = R"(
SELECT CAST(date_time AS DATE) AS day, count(*) AS bids,
  count(*) FILTER (price < 10000) AS rank1_bids,
  count(*) FILTER (price >= 10000 AND price < 1000000) AS rank2_bids,
  count(*) FILTER (price >= 1000000) AS rank3_bids,
  count(DISTINCT bidder) AS bidders,
  count(DISTINCT bidder) FILTER (price < 10000) AS rank1_bidders,
  count(DISTINCT bidder) FILTER (price >= 10000 AND price < 1000000) AS rank2_bidders,
  count(DISTINCT bidder) FILTER (price >= 1000000) AS rank3_bidders,
  count(DISTINCT auction) AS auctions,
  count(DISTINCT auction) FILTER (price < 10000) AS rank1_auctions,
  count(DISTINCT auction) FILTER (price >= 10000 AND price < 1000000) AS rank2_auctions,
  count(DISTINCT auction) FILTER (price >= 1000000) AS rank3_auctions
FROM bid GROUP BY day)";

constexpr const char* kTotalsByChannel = R"(
SELECT channel, CAST(date_time AS DATE) AS day, max(strftime(date_time, '%H:%M')) AS minute,
  count(*) AS bids,
  count(*) FILTER (price < 10000) AS rank1_bids,
  count(*) FILTER (price >= 10000 AND price < 1000000) AS rank2_bids,
  count(*) FILTER (price >= 1000000) AS rank3_bids,
  count(DISTINCT bidder) AS bidders,
  count(DISTINCT bidder) FILTER (price < 10000) AS rank1_bidders,
  count(DISTINCT bidder) FILTER (price >= 10000 AND price < 1000000) AS rank2_bidders,
  count(DISTINCT bidder) FILTER (price >= 1000000) AS rank3_bidders,
  count(DISTINCT auction) AS auctions,
  count(DISTINCT auction) FILTER (price < 10000) AS rank1_auctions,
  count(DISTINCT auction) FILTER (price >= 10000 AND price < 1000000) AS rank2_auctions,
  count(DISTINCT auction) FILTER (price >= 1000000) AS rank3_auctions
FROM bid GROUP BY channel, day)";

constexpr const char* kAuctionsByDay = R"(
SELECT auction, CAST(date_time AS DATE) AS day, count(*) AS bids,
  count(*) FILTER (price < 10000) AS rank1_bids,
  count(*) FILTER (price >= 10000 AND price < 1000000) AS rank2_bids,
  count(*) FILTER (price >= 1000000) AS rank3_bids,
  min(price) AS least, max(price) AS most, avg(price) AS average, sum(price) AS total
FROM bid GROUP BY auction, day)";

constexpr const char* kLabelledBids = R"(
SELECT auction, bidder, CAST(0.908 * price AS DECIMAL(23, 3)) AS price,
  CASE WHEN hour(date_time) BETWEEN 8 AND 18 THEN 'dayTime'
       WHEN hour(date_time) <= 6 OR hour(date_time) >= 20 THEN 'nightTime'
       ELSE 'otherTime' END AS bid_time,
  date_time, extra, length(extra) - length(replace(extra, 'c', '')) AS c_counts
FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000)";

constexpr const char* kChannelIds = R"(
SELECT * FROM (
  SELECT auction, bidder, price, channel,
    CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2'
      WHEN 'baidu' THEN '3' ELSE regexp_extract(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id
  FROM bid)
WHERE channel_id <> '')";

std::vector<Query> MakeQueries() {
  const Bounds stateless{1.5e6, 3e6, 800'000, 836'000, 610'000};
  return {
      {"q0", "SELECT auction, bidder, price, date_time, extra FROM bid", "", stateless},
      {"q1", "SELECT auction, bidder, 0.908 * price AS price, date_time, extra FROM bid", "",
       Bounds{1.5e6, 3e6, 800'000, 588'000, 645'000}},
      {"q2", "SELECT auction, price FROM bid WHERE auction % 123 = 0", "",
       Bounds{1.5e6, 3e6, 800'000, 775'000, 633'000}},
      {"q3",
       "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id "
       "WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
       "", Bounds{1e6, 2e6, 600'000, 804'000, 407'000}},
      {"q4",
       "SELECT category, avg(final) AS average FROM (SELECT a.id, a.category, max(b.price) AS "
       "final FROM auction a JOIN bid b ON a.id = b.auction AND b.date_time BETWEEN a.date_time "
       "AND a.expires GROUP BY a.id, a.category) GROUP BY category",
       "", Bounds{590'000, 1.2e6, 400'000, 586'000, 142'000}},
      {"q5", kHotItems, "", Bounds{660'000, 1.3e6, 450'000, 657'000, 265'000}, true},
      {"q6", kAverageOfLastTen, "over the winning bids as they stand, not over closed auctions"},
      {"q7", kHighestBids, "", Bounds{570'000, 1.1e6, 350'000, 566'000, 92'000}, true},
      {"q8", kNewSellers, "", Bounds{1e6, 2e6, 600'000, 740'000, 423'000}, true},
      {"q9", kWinningBids, "", Bounds{210'000, 470'000, 180'000, 208'000, 94'000}},
      {"q10",
       "SELECT auction, bidder, price, date_time, extra, strftime(date_time, '%Y-%m-%d') AS day, "
       "strftime(date_time, '%H:%M') AS minute FROM bid",
       "the rows, without the files that they are written to: there are no sinks yet"},
      {"q11",
       "SELECT bidder, window_start, window_end, count(*) AS bids FROM session(bid, date_time, "
       "INTERVAL 10 SECONDS, bidder) GROUP BY bidder, window_start, window_end",
       "", Bounds{680'000, 1.3e6, 450'000, 0, 240'000}, true},
      {"q12",
       "SELECT bidder, window_start, count(*) AS bids FROM tumble(bid, _ingested_at, INTERVAL 10 "
       "SECONDS) GROUP BY bidder, window_start",
       "by the time of append, which the generator sets to the event time; continuous",
       Bounds{680'000, 1.3e6, 450'000, 676'000, 372'000}},
      {"q13",
       "SELECT b.auction, b.bidder, b.price, b.date_time, s.value FROM bid b JOIN side_input s ON "
       "b.auction % 10000 = s.key",
       "the side table is a table of 10,000 rows, filled before the clock starts"},
      {"q14", kLabelledBids, ""},
      {"q15", kTotalsByDay, "", Bounds{500'000, 1e6, 350'000, 492'000, 156'000}},
      {"q16", kTotalsByChannel, "", Bounds{250'000, 500'000, 200'000, 248'000, 37'000}},
      {"q17", kAuctionsByDay, "", Bounds{400'000, 800'000, 300'000, 366'000, 239'000}},
      {"q18",
       "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY "
       "date_time DESC) AS n FROM bid) WHERE n <= 1",
       "", Bounds{400'000, 800'000, 300'000, 357'000, 209'000}},
      {"q19",
       "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, "
       "date_time) AS n FROM bid) WHERE n <= 10",
       "ties by time, which the published text leaves open",
       Bounds{400'000, 800'000, 300'000, 335'000, 150'000}},
      {"q20",
       "SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time, b.extra, a.* EXCLUDE "
       "(id, date_time, extra), a.date_time AS auction_date_time, a.extra AS auction_extra FROM "
       "bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10",
       "", Bounds{400'000, 800'000, 300'000, 390'000, 141'000}},
      {"q21", kChannelIds, ""},
      {"q22",
       "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, "
       "'/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid",
       "", Bounds{680'000, 1.3e6, 450'000, 579'000, 326'000}},
  };
}

}  // namespace

const std::vector<Query>& Queries() {
  static const std::vector<Query> queries = MakeQueries();
  return queries;
}

const Query* FindQuery(const std::string& name) {
  for (const Query& query : Queries()) {
    if (query.name == name) return &query;
  }
  return nullptr;
}

}  // namespace millrace::nexmark
