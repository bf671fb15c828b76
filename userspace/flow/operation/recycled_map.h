// SPDX-License-Identifier: Apache-2.0
// A hash map of things that come and go all the time: a node that is erased is used again, so that an operation
// costs no allocation. Of nodes that wait, no more than kSpareMax are kept.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sallyport::flow {

template <class Key, class Value>
class RecycledMap {
 public:
  /// A new value at `key`, which must be free. The reference holds until it is erased.
  Value& emplace(Key key) {
    if (spare_.empty()) return map_[key];
    auto node = std::move(spare_.back());
    spare_.pop_back();
    node.key() = key;
    return map_.insert(std::move(node)).position->second;
  }
  void erase(Key key) {
    auto node = map_.extract(key);
    if (!node || spare_.size() >= kSpareMax) return;
    node.mapped() = Value();
    spare_.push_back(std::move(node));
  }
  /// nullptr: not there.
  Value* find(Key key) {
    auto found = map_.find(key);
    return found == map_.end() ? nullptr : &found->second;
  }
  auto begin() { return map_.begin(); }
  auto end() { return map_.end(); }
  bool empty() const { return map_.empty(); }

 private:
  static constexpr size_t kSpareMax = 4;
  using Map = std::unordered_map<Key, Value>;
  Map map_;
  std::vector<typename Map::node_type> spare_;
};

}  // namespace sallyport::flow
