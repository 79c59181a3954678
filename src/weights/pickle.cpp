#include "weights/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <unordered_map>

namespace sightline::weights {
namespace {

using Kind = PickledValue::Kind;

// What a name stands for when it is called (REDUCE) or used as data.
enum class Meaning { dict, tensor_v2, tensor, parameter, size, opaque, encode, storage, plain };
struct Name {
  const char* module;
  const char* name;
  Meaning meaning;
};
constexpr std::array names{
    Name{"collections", "OrderedDict", Meaning::dict},
    Name{"collections", "Counter", Meaning::dict},
    Name{"collections", "defaultdict", Meaning::dict},
    Name{"torch._utils", "_rebuild_tensor_v2", Meaning::tensor_v2},
    Name{"torch._utils", "_rebuild_tensor", Meaning::tensor},
    Name{"torch._utils", "_rebuild_parameter", Meaning::parameter},
    Name{"torch._utils", "_rebuild_parameter_with_state", Meaning::parameter},
    Name{"torch", "Size", Meaning::size},
    Name{"torch", "device", Meaning::opaque},
    Name{"_codecs", "encode", Meaning::encode},
    Name{"__builtin__", "set", Meaning::opaque},
    Name{"builtins", "set", Meaning::opaque},
    Name{"__builtin__", "list", Meaning::plain},
    Name{"__builtin__", "int", Meaning::plain},
    Name{"__builtin__", "float", Meaning::plain},
    Name{"__builtin__", "dict", Meaning::plain},
    Name{"builtins", "list", Meaning::plain},
    Name{"builtins", "int", Meaning::plain},
    Name{"builtins", "float", Meaning::plain},
    Name{"builtins", "dict", Meaning::plain},
    Name{"torch", "float32", Meaning::plain},
    Name{"torch", "float16", Meaning::plain},
    Name{"torch", "bfloat16", Meaning::plain},
    Name{"torch", "float64", Meaning::plain},
    Name{"torch", "int64", Meaning::plain},
    Name{"torch", "int32", Meaning::plain},
    Name{"torch", "uint8", Meaning::plain},
    Name{"torch", "int8", Meaning::plain},
    Name{"torch", "bool", Meaning::plain},
};

struct StorageRow {
  const char* type;
  std::uint64_t item_size;
  bool ours;
  Dtype dtype;
};
constexpr std::array storage_rows{StorageRow{"FloatStorage", 4, true, Dtype::f32},
                                  StorageRow{"DoubleStorage", 8, true, Dtype::f64},
                                  StorageRow{"HalfStorage", 2, true, Dtype::f16},
                                  StorageRow{"BFloat16Storage", 2, true, Dtype::bf16},
                                  StorageRow{"LongStorage", 8, true, Dtype::i64},
                                  StorageRow{"IntStorage", 4, true, Dtype::i32},
                                  StorageRow{"CharStorage", 1, true, Dtype::i8},
                                  StorageRow{"ByteStorage", 1, true, Dtype::u8},
                                  StorageRow{"BoolStorage", 1, true, Dtype::boolean},
                                  StorageRow{"ShortStorage", 2, false, Dtype::i32},
                                  StorageRow{"QInt8Storage", 1, false, Dtype::i8},
                                  StorageRow{"QUInt8Storage", 1, false, Dtype::u8},
                                  StorageRow{"QInt32Storage", 4, false, Dtype::i32},
                                  StorageRow{"ComplexFloatStorage", 8, false, Dtype::f32},
                                  StorageRow{"ComplexDoubleStorage", 16, false, Dtype::f64}};

const StorageRow* find_storage(std::string_view type) {
  const auto* const found = std::find_if(storage_rows.begin(), storage_rows.end(), [&](const StorageRow& row) { return type == row.type; });
  return found == storage_rows.end() ? nullptr : found;
}

// Nothing when the name is not in the tables.
const Meaning* find_meaning(std::string_view module, std::string_view name) {
  static constexpr Meaning storage = Meaning::storage;
  if (module == "torch" && find_storage(name) != nullptr) return &storage;
  for (const Name& each : names)
    if (module == each.module && name == each.name) return &each.meaning;
  return nullptr;
}

class Machine {
 public:
  Machine(std::string_view bytes, Allowance& allowance) : bytes_(bytes), allowance_(allowance) {}
  Result<Pickle> run();

 private:
  Error damaged(const std::string& what) const {
    return {ErrorKind::invalid_data, fmt::format("the pickle is damaged at byte {}: {}", at_, what)};
  }
  Error foreign(const std::string& what) const {
    return {ErrorKind::unsupported,
            fmt::format(
                "the pickle holds {} at byte {}; weights are read as data and nothing is executed, so that only tensors, numbers, text and "
                "plain containers may be in it: save the state dict alone (torch.save(model.state_dict(), …))",
                what, at_)};
  }

  bool have(std::size_t count) const { return next_ + count <= bytes_.size(); }
  std::string_view take(std::size_t count) {
    const std::string_view piece = bytes_.substr(next_, count);
    next_ += count;
    return piece;
  }
  // The number of bytes that an opcode's length field of `width` bytes announces, and these bytes.
  Result<std::string_view> counted(std::size_t width);
  Result<std::string_view> line();

  Result<Reference> make(PickledValue value);
  Result<void> push(PickledValue value);
  Result<Reference> pop();
  Result<std::vector<Reference>> pop_to_mark();

  Result<void> step(unsigned char opcode);
  Result<void> step_text(unsigned char opcode, bool& known);
  Result<void> step_container(unsigned char opcode, bool& known);
  Result<void> step_memo(unsigned char opcode, bool& known);
  Result<void> push_global(std::string_view module, std::string_view name);
  Result<void> push_long(std::string_view digits);
  Result<void> append(Reference target, const std::vector<Reference>& items, bool pairs);
  Result<void> reduce();
  Result<void> build();
  Result<void> persistent_id();
  Result<void> rebuild_tensor(std::span<const Reference> arguments);
  Result<void> make_dict(std::span<const Reference> arguments);

  const PickledValue& value(Reference reference) const { return pickle_.values[reference]; }
  bool is(Reference reference, Kind kind) const { return value(reference).kind == kind; }
  Result<std::vector<std::int64_t>> integers(Reference reference) const;

  std::string_view bytes_;
  Allowance& allowance_;
  std::size_t at_ = 0, next_ = 0;  // of the opcode under way; of the next byte
  Pickle pickle_;
  std::vector<Reference> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, Reference> memo_;
  bool stopped_ = false;
};

Result<std::string_view> Machine::counted(std::size_t width) {
  if (!have(width)) return damaged("it ends within an operation");
  const std::string_view field = take(width);
  const std::uint64_t count = width == 1   ? little<std::uint8_t>(field, 0)
                              : width == 4 ? little<std::uint32_t>(field, 0)
                                           : little<std::uint64_t>(field, 0);
  if (count > bytes_.size() - next_) return damaged(fmt::format("{} bytes are announced and {} are left", count, bytes_.size() - next_));
  return take(count);
}

Result<std::string_view> Machine::line() {
  const std::size_t end = bytes_.find('\n', next_);
  if (end == std::string_view::npos) return damaged("a line has no end");
  const std::string_view text = take(end - next_);
  ++next_;
  return text;
}

Result<Reference> Machine::make(PickledValue made) {
  if (!allowance_.take(sizeof(PickledValue) + made.text.size() + made.items.size() * sizeof(Reference)))
    return damaged("it needs more memory than a file of this size may cost");
  pickle_.values.push_back(std::move(made));
  return static_cast<Reference>(pickle_.values.size() - 1);
}
Result<void> Machine::push(PickledValue made) {
  SIGHTLINE_TRY(const Reference reference, make(std::move(made)));
  stack_.push_back(reference);
  return {};
}
Result<Reference> Machine::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) return damaged("the stack is empty");
  const Reference top = stack_.back();
  stack_.pop_back();
  return top;
}
Result<std::vector<Reference>> Machine::pop_to_mark() {
  if (marks_.empty()) return damaged("a mark is missing");
  const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
  std::vector<Reference> items(from, stack_.end());
  stack_.erase(from, stack_.end());
  marks_.pop_back();
  return items;
}

Result<void> Machine::push_global(std::string_view module, std::string_view name) {
  if (find_meaning(module, name) == nullptr) return foreign(fmt::format("the name {}.{}", module, name));
  return push({.kind = Kind::global, .text = fmt::format("{} {}", module, name), .items = {}});
}

// Two's complement, little endian, any length; what does not fit into 64 bits is a number that we have no use for.
Result<void> Machine::push_long(std::string_view digits) {
  if (digits.size() > 8) return push({.kind = Kind::opaque, .text = {}, .items = {}});
  std::uint64_t bits = !digits.empty() && (static_cast<unsigned char>(digits.back()) & 0x80U) != 0 ? ~0ULL : 0;
  for (std::size_t i = digits.size(); i-- > 0;) bits = bits << 8U | static_cast<unsigned char>(digits[i]);
  return push({.kind = Kind::integer, .integer = static_cast<std::int64_t>(bits), .text = {}, .items = {}});
}

Result<void> Machine::append(Reference target, const std::vector<Reference>& items, bool pairs) {
  PickledValue& container = pickle_.values[target];
  if (container.kind != (pairs ? Kind::dict : Kind::list))
    return damaged(pairs ? "items are set in what is no dict" : "appended to what is no list");
  if (pairs && items.size() % 2 != 0) return damaged("a key has no value");
  if (!allowance_.take(items.size() * sizeof(Reference))) return damaged("it needs more memory than a file of this size may cost");
  container.items.insert(container.items.end(), items.begin(), items.end());
  return {};
}

Result<std::vector<std::int64_t>> Machine::integers(Reference reference) const {
  const PickledValue& list = value(reference);
  if (list.kind != Kind::tuple && list.kind != Kind::list) return damaged("sizes or strides are no tuple");
  if (list.items.size() > most_axes) return damaged(fmt::format("a tensor with {} axes", list.items.size()));
  std::vector<std::int64_t> numbers;
  for (const Reference item : list.items) {
    if (!is(item, Kind::integer) || value(item).integer < 0) return damaged("a size or stride is no natural number");
    numbers.push_back(value(item).integer);
  }
  return numbers;
}

// (storage, offset, sizes, strides, requires_grad, hooks[, metadata])
Result<void> Machine::rebuild_tensor(std::span<const Reference> arguments) {
  if (arguments.size() < 4 || !is(arguments[0], Kind::storage) || !is(arguments[1], Kind::integer) || value(arguments[1]).integer < 0)
    return damaged("a tensor needs a storage, an offset, sizes and strides");
  PickledTensor tensor{.storage = static_cast<std::uint32_t>(value(arguments[0]).integer),
                       .offset = value(arguments[1]).integer,
                       .shape = {},
                       .strides = {}};
  SIGHTLINE_TRY(tensor.shape, integers(arguments[2]));
  SIGHTLINE_TRY(tensor.strides, integers(arguments[3]));
  if (tensor.shape.size() != tensor.strides.size()) return damaged("a tensor with other sizes than strides");
  if (!allowance_.take(sizeof(PickledTensor) + 16 * tensor.shape.size()))
    return damaged("it needs more memory than a file of this size may cost");
  pickle_.tensors.push_back(std::move(tensor));
  return push({.kind = Kind::tensor, .integer = static_cast<std::int64_t>(pickle_.tensors.size() - 1), .text = {}, .items = {}});
}

// (), (dict), (a list of pairs), (factory[, dict]).
Result<void> Machine::make_dict(std::span<const Reference> arguments) {
  PickledValue dict{.kind = Kind::dict, .text = {}, .items = {}};
  for (const Reference argument : arguments) {
    const PickledValue& given = value(argument);
    if (given.kind == Kind::dict) {
      dict.items = given.items;
    } else if (given.kind == Kind::list) {
      for (const Reference pair : given.items) {
        const PickledValue& both = value(pair);
        if ((both.kind != Kind::list && both.kind != Kind::tuple) || both.items.size() != 2)
          return damaged("an OrderedDict of what are no pairs");
        dict.items.insert(dict.items.end(), both.items.begin(), both.items.end());
      }
    } else if (given.kind != Kind::global && given.kind != Kind::none) {
      return damaged("an OrderedDict of what is none");
    }
  }
  return push(std::move(dict));
}

Result<void> Machine::reduce() {
  SIGHTLINE_TRY(const Reference arguments, pop());
  SIGHTLINE_TRY(const Reference called, pop());
  if (!is(arguments, Kind::tuple)) return damaged("a call without a tuple of arguments");
  if (!is(called, Kind::global)) return foreign("a call of what is no name");
  const std::string& full = value(called).text;
  const std::size_t space = full.find(' ');
  const Meaning meaning = *find_meaning(std::string_view(full).substr(0, space), std::string_view(full).substr(space + 1));
  const std::span<const Reference> given = value(arguments).items;  // its memory stays where it is when values are added
  switch (meaning) {
    case Meaning::dict: return make_dict(given);
    case Meaning::tensor_v2:
    case Meaning::tensor: return rebuild_tensor(given);
    case Meaning::parameter:
      if (given.empty() || !is(given[0], Kind::tensor)) return damaged("a parameter without a tensor");
      stack_.push_back(given[0]);
      return {};
    case Meaning::size:
      if (given.size() != 1) return damaged("torch.Size wants one argument");
      stack_.push_back(given[0]);
      return {};
    case Meaning::encode:
      if (given.empty() || !is(given[0], Kind::text)) return damaged("_codecs.encode wants a text");
      return push({.kind = Kind::bytes, .text = value(given[0]).text, .items = {}});
    case Meaning::opaque: return push({.kind = Kind::opaque, .text = {}, .items = {}});
    case Meaning::storage:
    case Meaning::plain: break;
  }
  return foreign(fmt::format("a call of {}", full));
}

// The attributes of an OrderedDict (PyTorch hangs the versions of modules there) are of no use to us; other objects cannot be here.
Result<void> Machine::build() {
  SIGHTLINE_TRY([[maybe_unused]] const Reference state, pop());
  if (stack_.empty() || !is(stack_.back(), Kind::dict)) return foreign("the state of an object");
  return {};
}

// ("storage", type, key, location, elements[, view: None or (key, offset, elements)])
Result<void> Machine::persistent_id() {
  SIGHTLINE_TRY(const Reference id, pop());
  const std::span<const Reference> parts = value(id).items;
  const bool fits = is(id, Kind::tuple) && parts.size() >= 5 && is(parts[0], Kind::text) && value(parts[0]).text == "storage" &&
                    is(parts[1], Kind::global) && is(parts[2], Kind::text) && is(parts[4], Kind::integer) && value(parts[4]).integer >= 0;
  if (!fits) return foreign("a reference that is no storage");
  const std::string& type = value(parts[1]).text;
  if (!type.starts_with("torch ") || find_storage(std::string_view(type).substr(6)) == nullptr) return foreign("a storage of type " + type);
  PickledStorage storage{.key = value(parts[2]).text, .type = type.substr(6), .begin = 0, .length = value(parts[4]).integer};
  if (parts.size() > 5 && is(parts[5], Kind::tuple)) {
    const std::vector<Reference>& view = value(parts[5]).items;
    if (view.size() != 3 || !is(view[1], Kind::integer) || !is(view[2], Kind::integer) || value(view[1]).integer < 0 ||
        value(view[2]).integer < 0)
      return damaged("a view of a storage is not (key, offset, elements)");
    storage.begin = value(view[1]).integer;
    storage.length = value(view[2]).integer;
  }
  if (!allowance_.take(sizeof(PickledStorage) + storage.key.size()))
    return damaged("it needs more memory than a file of this size may cost");
  pickle_.storages.push_back(std::move(storage));
  return push({.kind = Kind::storage, .integer = static_cast<std::int64_t>(pickle_.storages.size() - 1), .text = {}, .items = {}});
}

// Numbers, text and names.
Result<void> Machine::step_text(unsigned char opcode, bool& known) {
  const auto text = [&](std::size_t width, Kind kind) -> Result<void> {
    SIGHTLINE_TRY(const std::string_view bytes, counted(width));
    return push({.kind = kind, .text = std::string(bytes), .items = {}});
  };
  switch (opcode) {
    case 'N': return push({.kind = Kind::none, .text = {}, .items = {}});
    case 0x88: return push({.kind = Kind::boolean, .integer = 1, .text = {}, .items = {}});
    case 0x89: return push({.kind = Kind::boolean, .integer = 0, .text = {}, .items = {}});
    case 'J':
      if (!have(4)) return damaged("it ends within a number");
      return push(
          {.kind = Kind::integer, .integer = static_cast<std::int32_t>(little<std::uint32_t>(take(4), 0)), .text = {}, .items = {}});
    case 'K':
      if (!have(1)) return damaged("it ends within a number");
      return push({.kind = Kind::integer, .integer = little<std::uint8_t>(take(1), 0), .text = {}, .items = {}});
    case 'M':
      if (!have(2)) return damaged("it ends within a number");
      return push({.kind = Kind::integer, .integer = little<std::uint16_t>(take(2), 0), .text = {}, .items = {}});
    case 0x8a:
    case 0x8b: {
      SIGHTLINE_TRY(const std::string_view digits, counted(opcode == 0x8a ? 1 : 4));
      return push_long(digits);
    }
    case 'G': {
      if (!have(8)) return damaged("it ends within a number");
      std::uint64_t bits = 0;  // big endian, as nothing else in a pickle
      for (const char byte : take(8)) bits = bits << 8U | static_cast<unsigned char>(byte);
      return push({.kind = Kind::real, .real = std::bit_cast<double>(bits), .text = {}, .items = {}});
    }
    case 'X': return text(4, Kind::text);
    case 0x8c: return text(1, Kind::text);
    case 0x8d: return text(8, Kind::text);
    case 'T': return text(4, Kind::text);
    case 'U': return text(1, Kind::text);
    case 'B': return text(4, Kind::bytes);
    case 'C': return text(1, Kind::bytes);
    case 0x8e: return text(8, Kind::bytes);
    case 'c': {
      SIGHTLINE_TRY(const std::string_view module, line());
      SIGHTLINE_TRY(const std::string_view name, line());
      return push_global(module, name);
    }
    case 0x93: {
      SIGHTLINE_TRY(const Reference name, pop());
      SIGHTLINE_TRY(const Reference module, pop());
      if (!is(name, Kind::text) || !is(module, Kind::text)) return damaged("a name that is no text");
      return push_global(std::string(value(module).text), std::string(value(name).text));
    }
    default: known = false; return {};
  }
}

Result<void> Machine::step_container(unsigned char opcode, bool& known) {
  const auto tuple_of = [&](std::size_t count) -> Result<void> {
    PickledValue tuple{.kind = Kind::tuple, .text = {}, .items = std::vector<Reference>(count)};
    for (std::size_t i = count; i-- > 0;) {
      SIGHTLINE_TRY(tuple.items[i], pop());
    }
    return push(std::move(tuple));
  };
  const auto from_mark = [&](Kind kind) -> Result<void> {
    SIGHTLINE_TRY(std::vector<Reference> items, pop_to_mark());
    if (kind == Kind::dict && items.size() % 2 != 0) return damaged("a key has no value");
    return push({.kind = kind, .text = {}, .items = std::move(items)});
  };
  const auto add = [&](bool pairs, bool many) -> Result<void> {
    std::vector<Reference> items;
    if (many) {
      SIGHTLINE_TRY(items, pop_to_mark());
    } else {
      items.resize(pairs ? 2 : 1);
      for (std::size_t i = items.size(); i-- > 0;) {
        SIGHTLINE_TRY(items[i], pop());
      }
    }
    if (stack_.empty()) return damaged("the stack is empty");
    return append(stack_.back(), items, pairs);
  };
  switch (opcode) {
    case '(': marks_.push_back(stack_.size()); return {};
    case ')': return tuple_of(0);
    case 0x85: return tuple_of(1);
    case 0x86: return tuple_of(2);
    case 0x87: return tuple_of(3);
    case 't': return from_mark(Kind::tuple);
    case ']': return push({.kind = Kind::list, .text = {}, .items = {}});
    case 'l': return from_mark(Kind::list);
    case '}': return push({.kind = Kind::dict, .text = {}, .items = {}});
    case 'd': return from_mark(Kind::dict);
    case 0x8f: return push({.kind = Kind::list, .text = {}, .items = {}});  // a set; nobody asks which
    case 'a': return add(false, false);
    case 'e':
    case 0x90: return add(false, true);
    case 's': return add(true, false);
    case 'u': return add(true, true);
    case '0': {
      SIGHTLINE_TRY([[maybe_unused]] const Reference top, pop());
      return {};
    }
    case '1': {
      SIGHTLINE_TRY([[maybe_unused]] const auto items, pop_to_mark());
      return {};
    }
    case '2':
      if (stack_.empty()) return damaged("the stack is empty");
      stack_.push_back(stack_.back());
      return {};
    default: known = false; return {};
  }
}

Result<void> Machine::step_memo(unsigned char opcode, bool& known) {
  std::uint64_t index = memo_.size();
  const bool wide = opcode == 'r' || opcode == 'j', narrow = opcode == 'q' || opcode == 'h';
  if (!wide && !narrow && opcode != 0x94) {
    known = false;
    return {};
  }
  if (wide || narrow) {
    if (!have(wide ? 4 : 1)) return damaged("it ends within an operation");
    index = wide ? little<std::uint32_t>(take(4), 0) : little<std::uint8_t>(take(1), 0);
  }
  if (opcode == 'h' || opcode == 'j') {
    const auto found = memo_.find(index);
    if (found == memo_.end()) return damaged(fmt::format("nothing is remembered as {}", index));
    stack_.push_back(found->second);
    return {};
  }
  if (stack_.empty()) return damaged("the stack is empty");
  memo_[index] = stack_.back();
  return {};
}

Result<void> Machine::step(unsigned char opcode) {
  for (const auto family : {&Machine::step_text, &Machine::step_container, &Machine::step_memo}) {
    bool known = true;
    SIGHTLINE_CHECK((this->*family)(opcode, known));
    if (known) return {};
  }
  switch (opcode) {
    case 0x80: {
      if (!have(1)) return damaged("it ends within an operation");
      const unsigned protocol = little<std::uint8_t>(take(1), 0);
      if (protocol < 2 || protocol > 5)
        return Error{ErrorKind::unsupported, fmt::format("the pickle has protocol {}; 2 to 5 are read", protocol)};
      return {};
    }
    case 0x95:  // FRAME: a hint for readers of streams
      if (!have(8)) return damaged("it ends within an operation");
      take(8);
      return {};
    case 'R': return reduce();
    case 'b': return build();
    case 'Q': return persistent_id();
    case '.': stopped_ = true; return {};
    case 0x81:
    case 0x92:
    case 'i':
    case 'o': return foreign("an object");
    default: return foreign(fmt::format("the operation 0x{:02x}", opcode));
  }
}

Result<Pickle> Machine::run() {
  while (!stopped_) {
    at_ = next_;
    if (!have(1)) return damaged("it has no end");
    SIGHTLINE_CHECK(step(static_cast<unsigned char>(take(1)[0])));
    // The stack, marks and memo grow by one entry of a few words for one or two bytes; the values' own cost is counted where they are made.
    if ((next_ & 0xfffU) < (at_ & 0xfffU) && !allowance_.take(4096))
      return damaged("it needs more memory than a file of this size may cost");
  }
  SIGHTLINE_TRY(pickle_.root, pop());
  pickle_.length = next_;
  return std::move(pickle_);
}

}  // namespace

Result<Pickle> read_pickle(std::string_view bytes, Allowance& allowance) { return Machine(bytes, allowance).run(); }

bool dtype_of_storage(const std::string& type, Dtype& dtype, std::uint64_t& item_size) {
  const StorageRow* row = find_storage(type);
  if (row == nullptr) return false;
  dtype = row->dtype;
  item_size = row->item_size;
  return row->ours;
}

}  // namespace sightline::weights
