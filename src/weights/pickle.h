// A pickle (protocols 2 to 5) as plain data. Nothing is imported and nothing is called: the few names that may stand in a PyTorch file are
// rows of a table, each with the data that it means; any other name is an error that tells it and its offset. Time and memory are linear in
// the pickle's length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/tensor.h"
#include "weights/bounds.h"

namespace sightline::weights {

using Reference = std::uint32_t;  // of a value in Pickle::values; containers may hold themselves

struct PickledStorage {
  std::string key;
  std::string type;         // "FloatStorage"
  std::int64_t begin = 0;   // of a view, in elements (the format before zip has such)
  std::int64_t length = 0;  // in elements
};
struct PickledTensor {
  std::uint32_t storage = 0;  // in Pickle::storages
  std::int64_t offset = 0;    // in elements
  Shape shape, strides;       // in elements
};

struct PickledValue {
  enum class Kind { none, boolean, integer, real, text, bytes, tuple, list, dict, global, storage, tensor, opaque };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  // boolean and integer; index of a storage or a tensor
  double real = 0;
  std::string text;              // text and bytes; "module.name" of a global
  std::vector<Reference> items;  // of a tuple or list; of a dict: key, value, key, value, …
};

struct Pickle {
  std::vector<PickledValue> values;
  std::vector<PickledStorage> storages;
  std::vector<PickledTensor> tensors;
  Reference root = 0;
  std::size_t length = 0;  // bytes of the pickle, STOP included: another may follow

  const PickledValue& operator[](Reference reference) const { return values[reference]; }
};

// Errors: invalid_data (damaged, with the offset), unsupported (a name or an operation that is not data).
Result<Pickle> read_pickle(std::string_view bytes, Allowance& allowance);

// dtype of a storage type; false for one that we have none for.
bool dtype_of_storage(const std::string& type, Dtype& dtype, std::uint64_t& item_size);

}  // namespace sightline::weights
