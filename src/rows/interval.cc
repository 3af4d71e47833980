// ISO 8601 durations.
#include <limits>

#include "rows/scalar.h"

namespace millrace::rows {
namespace {

struct Part {
  int64_t whole = 0;
  int64_t micros = 0;  // of the fraction, with the sign of the number
  char unit = 0;
};

// One number with its unit letter off the front of `text`.
bool TakePart(std::string_view& text, Part& part) {
  size_t i = 0;
  const bool negative = i < text.size() && text[i] == '-';
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  const size_t digits = i;
  int64_t whole = 0;
  for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    // Counted downwards: the least number has no positive twin.
    if (__builtin_mul_overflow(whole, 10, &whole)) return false;
    if (__builtin_sub_overflow(whole, text[i] - '0', &whole)) return false;
  }
  if (i == digits) return false;
  if (!negative && __builtin_mul_overflow(whole, -1, &whole)) return false;
  int64_t micros = 0;
  if (i < text.size() && (text[i] == '.' || text[i] == ',')) {
    ++i;
    const size_t begin = i;
    int64_t unit = 100'000;
    for (; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, unit /= 10) {
      micros += unit * (text[i] - '0');
    }
    if (i == begin) return false;
  }
  if (i == text.size()) return false;
  part = {whole, negative ? -micros : micros, text[i]};
  text.remove_prefix(i + 1);
  return true;
}

bool Accumulate(int64_t& total, int64_t count, int64_t unit) {
  int64_t product;
  return !__builtin_mul_overflow(count, unit, &product) &&
         !__builtin_add_overflow(total, product, &total);
}

bool Fits(int64_t value) {
  return value >= std::numeric_limits<int32_t>::min() &&
         value <= std::numeric_limits<int32_t>::max();
}

}  // namespace

bool ParseIsoInterval(std::string_view text, duckdb::interval_t& out) {
  using duckdb::Interval;
  if (text.size() < 3 || text.front() != 'P') return false;
  text.remove_prefix(1);
  int64_t months = 0, days = 0, micros = 0;
  bool time = false, any = false;
  while (!text.empty()) {
    if (text.front() == 'T' && !time) {
      time = true;
      any = false;
      text.remove_prefix(1);
      continue;
    }
    Part part;
    if (!TakePart(text, part)) return false;
    any = true;
    if (part.micros != 0 && part.unit != 'S') return false;
    bool good = false;
    switch (part.unit) {
      case 'Y':
        good = !time && Accumulate(months, part.whole, Interval::MONTHS_PER_YEAR);
        break;
      case 'M':
        good = time ? Accumulate(micros, part.whole, Interval::MICROS_PER_MINUTE)
                    : Accumulate(months, part.whole, 1);
        break;
      case 'W':
        good = !time && Accumulate(days, part.whole, Interval::DAYS_PER_WEEK);
        break;
      case 'D':
        good = !time && Accumulate(days, part.whole, 1);
        break;
      case 'H':
        good = time && Accumulate(micros, part.whole, Interval::MICROS_PER_HOUR);
        break;
      case 'S':
        good = time && Accumulate(micros, part.whole, Interval::MICROS_PER_SEC) &&
               Accumulate(micros, part.micros, 1);
        break;
      default:
        break;
    }
    if (!good) return false;
  }
  if (!any || !Fits(months) || !Fits(days)) return false;
  out.months = static_cast<int32_t>(months);
  out.days = static_cast<int32_t>(days);
  out.micros = micros;
  return true;
}

}  // namespace millrace::rows
