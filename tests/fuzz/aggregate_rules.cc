#include "fuzz/rules.h"

namespace millrace::fuzz {

// What DuckDB computes with rounding, in an order of its own, is compared rounded (and -0.0 as
// 0.0).
const std::vector<Rule>& AggregateRules() {
  static const std::vector<Rule> rules = {
      {"BIGINT", "count(*)"},
      {"BIGINT", "count($A)"},
      {"BIGINT", "count(DISTINCT $A)"},
      {"HUGE", "count_if($BOOL)"},
      {"HUGE", "sum($INT)"},
      {"HUGE", "sum($BIGINT)"},
      {"HUGE", "sum($BOOL)"},
      {"HUGE", "sum(DISTINCT $INT)"},
      {"HUGE", "sum($UTINY)"},
      {"DEC38", "sum($DEC)::DECIMAL(38,10)"},
      {"DEC38", "sum(DISTINCT $DEC)::DECIMAL(38,10)"},
      {"DBL", "sum($DBL)"},
      {"DBL", "sum($FLT)"},
      // The greatest number twice is infinity, unless something below zero comes between: a power
      // of two in its place.
      {"XDBL",
       "sum(list_transform([$XDBL], lambda v: if(isfinite(v) AND abs(v) > 1e300, "
       "6.696928794914171e299::DOUBLE, v))[1])"},
      {"DBL", "fsum($DBL)"},
      {"DBL", "kahan_sum($DBL)"},
      {"ROUGH", "avg($INT)"},
      {"ROUGH", "avg($BIGINT)"},
      {"ROUGH", "avg($DEC)"},
      {"ROUGH", "avg($DBL)"},
      {"ROUGH", "favg($DBL)"},
      {"ROUGH", "mean($SMALL)"},
      {"TS", "avg($TS)"},
      {"TIME", "avg($TIME)"},
      {"ROUGH", "round(ln(1 + abs(product($INT::DOUBLE % 3 + 0.5))) * 0.739085133, 5) + 0.0"},
      {"A", "min($A)"},
      {"A", "max($A)"},
      {"INTS", "min($INT, $N)"},
      {"INTS", "max($INT, $N)"},
      {"TEXTS", "max($TEXT, $N)"},
      {"A", "first($A ORDER BY $ALL)"},
      {"A", "last($A ORDER BY $ALL)"},
      {"A", "any_value($A ORDER BY $ALL)"},
      {"A", "arbitrary($A ORDER BY $ALL)"},
      {"A", "arg_min($A, $P ORDER BY $ALL)"},
      {"A", "arg_max($A, $P ORDER BY $ALL)"},
      {"A", "min_by($A, $INT ORDER BY $ALL)"},
      {"A", "max_by($A, $TEXT ORDER BY $ALL)"},
      {"A", "arg_min_null($A, $INT ORDER BY $ALL)"},
      {"A", "arg_max_null($A, $INT ORDER BY $ALL)"},
      {"INTS", "arg_max($INT, $BIGINT, 2 ORDER BY $ALL)"},
      {"A", "mode($A ORDER BY $ALL)"},
      {"INTS", "list($INT ORDER BY $ALL)"},
      {"TEXTS", "array_agg($TEXT ORDER BY $ALL)"},
      {"PAIRS", "list($PAIR ORDER BY $ALL)"},
      {"INTS", "list_sort(list(DISTINCT $INT))"},
      {"TEXTS", "list(DISTINCT $CTEXT ORDER BY $CTEXT DESC)"},
      {"TEXT", "string_agg($TEXT, '|' ORDER BY $ALL)"},
      {"TEXT", "group_concat($TEXT ORDER BY $ALL)"},
      {"TEXT", "listagg($P::VARCHAR, '+' ORDER BY $ALL)"},
      {"TEXT", "histogram($P)::VARCHAR"},
      {"TEXT", "histogram($INT, [0, 1, 2])::VARCHAR"},
      {"TEXT", "histogram_exact($INT, [0, 1])::VARCHAR"},
      {"DBL", "median($DBL)"},
      {"DBL", "median($INT)"},
      {"TS", "median($TS)"},
      {"DBL", "quantile_cont($DBL, 0.25)"},
      {"DBL", "quantile_cont($INT, 0.75)"},
      {"A", "quantile_disc($A, 0.5)"},
      {"INTS", "quantile_disc($INT, [0.1, 0.9])"},
      {"DBL", "mad($DBL)"},
      {"BIGINT", "approx_count_distinct($P)"},
      {"ROUGH", "round(approx_quantile($DBL, 0.5 ORDER BY $ALL) * 0.739085133, 5) + 0.0"},
      {"INTS", "approx_top_k($INT, 2 ORDER BY $ALL)"},
      {"BIGINT", "bit_and($BIGINT)"},
      {"BIGINT", "bit_or($BIGINT)"},
      {"BIGINT", "bit_xor($BIGINT)"},
      {"BIT", "bit_or($BIT)"},
      {"TEXT", "bitstring_agg($INT % 5, -5, 5)::VARCHAR"},
      {"BOOL", "bool_and($BOOL)"},
      {"BOOL", "bool_or($BOOL)"},
      {"ROUGH", "round(var_pop($DBL) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(var_samp($INT) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(variance($DBL) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(stddev($DBL) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(stddev_pop($INT) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(stddev_samp($DBL) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(sem($DBL) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(entropy($P) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(covar_pop($CDBL, $CINT) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(covar_samp($CDBL, $CINT) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(regr_avgx($DBL, $INT) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(regr_avgy($DBL, $INT) * 0.739085133, 5) + 0.0"},
      {"BIGINT", "regr_count($DBL, $INT)::BIGINT"},
      // Squares of large numbers have no five places that every order of summation agrees on.
      {"ROUGH", "round(regr_sxx($DBL, $INT % 1000) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(regr_sxy($DBL, $INT % 1000) * 0.739085133, 5) + 0.0"},
      {"ROUGH", "round(regr_syy($DBL, $INT) * 0.739085133, 5) + 0.0"},
      // Where all values are (nearly) one, these divide a rounding error by another.
      {"BOOL", "corr($DBL, $INT ORDER BY $ALL) IS NULL"},
      {"BOOL", "regr_slope($DBL, $INT ORDER BY $ALL) IS NULL"},
      {"BOOL", "regr_intercept($DBL, $INT ORDER BY $ALL) IS NULL"},
      {"BOOL", "regr_r2($DBL, $INT ORDER BY $ALL) IS NULL"},
      {"BOOL", "skewness($INT ORDER BY $ALL) IS NULL"},
      {"BOOL", "kurtosis($INT ORDER BY $ALL) IS NULL"},
      {"BOOL", "kurtosis_pop($INT ORDER BY $ALL) IS NULL"},
  };
  return rules;
}

const std::vector<Rule>& PeerWindowRules() {
  static const std::vector<Rule> rules = {
      {"BIGINT", "rank() OVER ($PART ORDER BY $ORDER)"},
      {"BIGINT", "dense_rank() OVER ($PART ORDER BY $ORDER)"},
      {"ROUGH", "percent_rank() OVER ($PART ORDER BY $ORDER)"},
      {"ROUGH", "cume_dist() OVER ($PART ORDER BY $ORDER)"},
      {"BIGINT", "count(*) OVER ($PART)"},
      {"BIGINT", "count($A) OVER ($PART ORDER BY $ORDER)"},
      {"HUGE", "sum($INT) OVER ($PART ORDER BY $ORDER)"},
      {"HUGE", "sum($INT) FILTER (WHERE $COND) OVER ($PART ORDER BY $ORDER)"},
      {"HUGE", "sum($BIGINT) OVER ($PART ORDER BY $ORDER $FRAME)"},
      {"BIGINT", "count(DISTINCT $A) OVER ($PART ORDER BY $ORDER $FRAME)"},
      {"ROUGH", "avg($DBL) OVER ($PART ORDER BY $ORDER $FRAME)"},
      {"A", "min($A) OVER ($PART ORDER BY $ORDER $FRAME)"},
      {"A", "max($A) OVER ($PART ORDER BY $ORDER $FRAME)"},
      {"DBL", "median($DBL) OVER ($PART ORDER BY $ORDER $FRAME)"},
      {"DBL", "quantile_cont($INT, 0.25) OVER ($PART)"},
      {"BOOL", "bool_or($BOOL) OVER ($PART ORDER BY $ORDER $FRAME)"},
      {"INTS", "list_sort(list($INT) OVER ($PART ORDER BY $ORDER $FRAME))"},
      {"HUGE", "sum($INT) OVER ($PART ORDER BY $CINT RANGE BETWEEN 1 PRECEDING AND $N FOLLOWING)"},
      {"BIGINT",
       "count(*) OVER ($PART ORDER BY $CDEC DESC RANGE BETWEEN 1.5 PRECEDING AND CURRENT ROW)"},
      {"BIGINT", "count(*) OVER ($PART ORDER BY $CDBL RANGE BETWEEN 2 PRECEDING AND 1 PRECEDING)"},
      {"HUGE",
       "sum($INT) OVER ($PART ORDER BY $CTS RANGE BETWEEN INTERVAL 90 MINUTES PRECEDING AND "
       "INTERVAL 1 DAY FOLLOWING)"},
      {"BIGINT",
       "count(*) OVER ($PART ORDER BY $CDATE RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT "
       "ROW EXCLUDE CURRENT ROW)"},
  };
  return rules;
}

const std::vector<Rule>& RowWindowRules() {
  static const std::vector<Rule> rules = {
      {"BIGINT", "row_number() OVER ($PART ORDER BY $ALL)"},
      {"BIGINT", "ntile($N) OVER ($PART ORDER BY $ALL)"},
      {"A", "lag($A) OVER ($PART ORDER BY $ALL)"},
      {"A", "lag($A, $N) OVER ($PART ORDER BY $ALL)"},
      {"A", "lead($A, $N, $LA) OVER ($PART ORDER BY $ALL)"},
      {"A", "lead($A IGNORE NULLS) OVER ($PART ORDER BY $ALL)"},
      {"A", "first_value($A) OVER ($PART ORDER BY $ALL)"},
      {"A", "first_value($A IGNORE NULLS) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"A", "last_value($A) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"A", "last_value($A IGNORE NULLS) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"A", "nth_value($A, $N) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"HUGE", "sum($INT) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"BIGINT", "count(*) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"TEXT", "string_agg($TEXT, ',' ORDER BY $ALL) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"INTS", "list($INT ORDER BY $ALL) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"A", "arg_max($A, $INT ORDER BY $ALL) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"A", "mode($A ORDER BY $ALL) OVER ($PART ORDER BY $ALL $ROWS)"},
      {"BIGINT", "rank(ORDER BY $ALL) OVER ($PART ORDER BY $ALL $ROWS)"},
  };
  return rules;
}

const std::vector<Rule>& FrameRules() {
  static const std::vector<Rule> rules = {
      {"", "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"},
      {"", "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"},
      {"", "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP"},
      {"", "GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING"},
      {"", "GROUPS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW"},
      {"", "GROUPS BETWEEN 1 FOLLOWING AND 2 FOLLOWING"},
      {"", "GROUPS BETWEEN 2 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES"},
      {"", "GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING EXCLUDE GROUP"},
  };
  return rules;
}

const std::vector<Rule>& RowFrameRules() {
  static const std::vector<Rule> rules = {
      {"", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"},
      {"", "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING"},
      {"", "ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING"},
      {"", "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW"},
      {"", "ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING"},
      {"", "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE GROUP"},
      {"", "ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES"},
  };
  return rules;
}

}  // namespace millrace::fuzz
