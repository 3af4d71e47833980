// A model: an ONNX graph that is loaded and can be run. A pure function: the same inputs give the
// same outputs (of what in ONNX is random, Load refuses the operators), so a materialized view may
// score rows and take them back.
//
// Thread-safe; runs on the caller's thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/tensor.h"

namespace millrace::models {

inline constexpr size_t kModelBytesMax = size_t{1} << 30;

class Model {
 public:
  // `digest`: of the bytes, lower-case hex; the model's name in errors of this module. Errors:
  // kInvalidArgument (no ONNX model, operators unknown, weights in another file), kNotSupported
  // (no ONNX Runtime here; inputs or outputs that are no tensors; random operators).
  static Result<std::shared_ptr<const Model>> Load(std::string_view bytes, std::string digest);
  ~Model();

  const std::string& digest() const { return digest_; }
  const Signature& signature() const { return signature_; }

  // Whether it scores rows: the first dimension of all inputs and outputs counts them. Ok, or why
  // not.
  Status ScoresRows() const;

  // Whether a run is to end, asked every few milliseconds on a thread of its own that it must not
  // hold up; empty: never. REQUIRES: once it is true it stays so.
  using IsOver = std::function<bool()>;

  // As the graph has it. `inputs` in the order of the signature, of its types; `outputs`: which of
  // the signature's to work out. Errors: kInvalidArgument with the library's words (a shape),
  // kCancelled: it was over. The graph ends between two of its operators.
  Result<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs,
                                  std::span<const size_t> outputs,
                                  const IsOver& is_over = {}) const;

  // All outputs of n rows that do not know of one another: they run in batches that are filled up
  // to a multiple of kRowsMultiple (or of the number that the model is made for), so that the
  // result of a row does not depend on which rows stand beside it: kernels treat the end of a
  // buffer otherwise than its middle, and a view that takes a row back must find the score that it
  // gave. REQUIRES: ScoresRows().ok(), all inputs have the same first dimension, which is not 0.
  Result<std::vector<Tensor>> RunRows(const std::vector<Tensor>& inputs,
                                      const IsOver& is_over = {}) const;
  static constexpr int64_t kRowsMultiple = 16;  // floats in the widest register

 private:
  struct Session;
  Model(std::string digest, Signature signature, std::unique_ptr<Session> session);

  const std::string digest_;
  const Signature signature_;
  const std::unique_ptr<Session> session_;
};

}  // namespace millrace::models
