// Messages from bytes and to bytes: the two walks over a message's description (message.h). Every
// length is checked against what is left before memory is taken; arrays grow with what was really
// read. Not thread-safe.
//
// Decode and EncodeInto below are what callers use; they are compiled once for every message, in
// messages_*.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/coding.h"
#include "base/result.h"
#include "kafka/message.h"

namespace millrace::kafka {

// The body of a message of this version. Records are borrowed from `bytes`. kCorruption: the bytes
// are no such message, or something is left over.
template <typename M>
Result<M> Decode(std::string_view bytes, int16_t version);

// Appends the body.
template <typename M>
void EncodeInto(std::string& out, const M& message, int16_t version);

namespace codec {

template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};
template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

// Primitives off the front of a byte range. The first one that does not fit makes it fail for good:
// it then gives zeros and empty strings, and ok() is false.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : left_(bytes) {}

  bool ok() const { return ok_; }
  size_t left() const { return left_.size(); }
  void Fail() { ok_ = false, left_ = {}; }
  template <typename T>
  T Int() {
    const std::string_view raw = Take(sizeof(T));
    if (raw.size() != sizeof(T)) return T{};
    if constexpr (sizeof(T) == 1) {
      return static_cast<T>(raw[0]);
    } else {
      return GetBig<T>(raw.data());
    }
  }
  uint32_t Varint();  // at most five bytes
  std::string_view Take(size_t size);

 private:
  std::string_view left_;
  bool ok_ = true;
};

class Decoder {
 public:
  Decoder(std::string_view bytes, int16_t version, bool flexible)
      : in_(bytes), version_(version), flexible_(flexible) {}

  bool ok() const { return in_.ok(); }
  size_t left() const { return in_.left(); }

  template <typename T>
  void operator()(std::string_view, T& field, FieldVersions versions) {
    if (!versions.Has(version_) || versions.tag != tag_ || !in_.ok()) return;
    tag_found_ = true;
    const int16_t tag = std::exchange(tag_, kNoTag);
    Value(field, version_ >= versions.null_from);
    tag_ = tag;
  }

  template <typename M>
  void Struct(M& message) {
    message.Fields(*this);
    if (!flexible_) return;
    uint32_t tags = in_.Varint();
    while (tags-- > 0 && in_.ok()) {
      const uint32_t tag = in_.Varint();
      const std::string_view bytes = in_.Take(in_.Varint());
      if (tag > INT16_MAX) continue;  // none that we know
      Decoder tagged(bytes, version_, flexible_);
      tagged.tag_ = static_cast<int16_t>(tag);
      message.Fields(tagged);  // an unknown tag finds no field
      if (!tagged.ok() || (tagged.tag_found_ && tagged.left() > 0)) in_.Fail();
    }
  }

 private:
  static constexpr int16_t kNoTag = -1;

  template <typename T>
  void Value(T& field, bool nullable) {
    if constexpr (IsOptional<T>::value) {
      using Inner = typename T::value_type;
      if constexpr (IsVector<Inner>::value) {
        ReadVector(field.emplace(), [&] { nullable ? field.reset() : in_.Fail(); });
      } else {
        const std::optional<std::string_view> text = Text();
        if (!text && !nullable) return in_.Fail();
        field.reset();
        if (text) field.emplace(*text);
      }
    } else if constexpr (IsVector<T>::value) {
      ReadVector(field, [&] { in_.Fail(); });
    } else if constexpr (std::is_same_v<T, std::string>) {
      const std::optional<std::string_view> text = Text();
      if (!text) return in_.Fail();
      field = *text;
    } else if constexpr (std::is_same_v<T, Bytes>) {
      const int64_t size = Length(true);
      if (size < 0) return in_.Fail();
      field.value = in_.Take(static_cast<size_t>(size));
    } else if constexpr (std::is_same_v<T, Records>) {
      const int64_t size = Length(true);
      field.null = size < 0;
      if (size < 0 && !nullable) in_.Fail();
      if (size > 0) field.pieces = {in_.Take(static_cast<size_t>(size))};
    } else if constexpr (std::is_same_v<T, Uuid>) {
      const std::string_view raw = in_.Take(field.size());
      if (raw.size() == field.size()) std::copy(raw.begin(), raw.end(), field.begin());
    } else if constexpr (std::is_same_v<T, ErrorCode>) {
      field = static_cast<ErrorCode>(in_.Int<int16_t>());
    } else if constexpr (std::is_same_v<T, bool>) {
      field = in_.Int<int8_t>() != 0;
    } else if constexpr (std::is_same_v<T, double>) {
      const auto bits = in_.Int<uint64_t>();
      std::memcpy(&field, &bits, sizeof(field));
    } else if constexpr (std::is_integral_v<T>) {
      field = in_.Int<T>();
    } else {
      Struct(field);
    }
  }

  template <typename T, typename OnNull>
  void ReadVector(std::vector<T>& vector, const OnNull& on_null) {
    const int64_t count = Length(true);
    if (count < 0) return on_null();
    if (static_cast<uint64_t>(count) > in_.left()) return in_.Fail();  // an element has a byte
    vector.clear();
    for (int64_t i = 0; i < count && in_.ok(); ++i) Value(vector.emplace_back(), false);
  }

  std::optional<std::string_view> Text();
  // Of bytes or an array (long) or of a string; -1: null.
  int64_t Length(bool is_long);

  WireReader in_;
  const int16_t version_;
  const bool flexible_;
  int16_t tag_ = kNoTag;    // only fields of this tag are read
  bool tag_found_ = false;  // a field had it
};

class Encoder {
 public:
  Encoder(std::string& out, int16_t version, bool flexible)
      : out_(out), version_(version), flexible_(flexible) {}

  template <typename T>
  void operator()(std::string_view, T& field, FieldVersions versions) {
    if (!versions.Has(version_)) return;
    if (versions.tag < 0) {
      if (walk_ == Walk::kPlain) Value(field);
    } else if (walk_ != Walk::kPlain && !(field == T{})) {
      ++tags_;
      if (walk_ == Walk::kTagged) Tagged(versions.tag, field);
    }
  }

  template <typename M>
  void Struct(M& message) {
    const Walk outer = std::exchange(walk_, Walk::kPlain);
    message.Fields(*this);
    if (flexible_) {
      tags_ = 0;
      walk_ = Walk::kCountTags;
      message.Fields(*this);
      PutVarint(out_, tags_);
      walk_ = Walk::kTagged;
      if (tags_ > 0) message.Fields(*this);
    }
    walk_ = outer;
  }

 private:
  enum class Walk { kPlain, kCountTags, kTagged };

  template <typename T>
  void Value(T& field) {
    if constexpr (IsOptional<T>::value) {
      if (field) return Value(*field);
      PutLength(-1, IsVector<typename T::value_type>::value);
    } else if constexpr (IsVector<T>::value) {
      PutLength(static_cast<int64_t>(field.size()), true);
      for (auto& element : field) Value(element);
    } else if constexpr (std::is_same_v<T, std::string>) {
      PutLength(static_cast<int64_t>(field.size()), false);
      out_ += field;
    } else if constexpr (std::is_same_v<T, Bytes>) {
      PutLength(static_cast<int64_t>(field.value.size()), true);
      out_ += field.value;
    } else if constexpr (std::is_same_v<T, Records>) {
      PutLength(field.null ? -1 : static_cast<int64_t>(field.size()), true);
      for (const std::string_view piece : field.pieces) out_ += piece;
    } else if constexpr (std::is_same_v<T, Uuid>) {
      out_.append(field.begin(), field.end());
    } else if constexpr (std::is_same_v<T, ErrorCode>) {
      PutBig(out_, static_cast<int16_t>(field));
    } else if constexpr (std::is_same_v<T, bool>) {
      out_ += field ? '\1' : '\0';
    } else if constexpr (std::is_same_v<T, double>) {
      uint64_t bits;
      std::memcpy(&bits, &field, sizeof(bits));
      PutBig(out_, bits);
    } else if constexpr (std::is_integral_v<T> && sizeof(T) == 1) {
      out_ += static_cast<char>(field);
    } else if constexpr (std::is_integral_v<T>) {
      PutBig(out_, field);
    } else {
      Struct(field);
    }
  }

  template <typename T>
  void Tagged(int16_t tag, T& field) {
    std::string value;
    Encoder inner(value, version_, flexible_);
    inner.Value(field);
    PutVarint(out_, static_cast<uint64_t>(tag));
    PutBytes(out_, value);
  }

  void PutLength(int64_t length, bool is_long);

  std::string& out_;
  const int16_t version_;
  const bool flexible_;
  Walk walk_ = Walk::kPlain;
  uint32_t tags_ = 0;
};

}  // namespace codec
}  // namespace millrace::kafka
