// SPDX-License-Identifier: Apache-2.0
// Collects what is wrong with policy files, and finds the word that was meant.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/policy/document.h"

namespace sallyport::policy {

class Findings {
 public:
  /// Later findings are about this file.
  void enter(std::string path) { path_ = std::move(path); }
  const std::string& path() const { return path_; }
  Place place(int line, int column) const { return {path_, line, column}; }

  void error(const Place& at, std::string message, std::string hint = {});
  void warning(const Place& at, std::string message, std::string hint = {});
  void error_at(int line, int column, std::string message, std::string hint = {}) {
    error(place(line, column), std::move(message), std::move(hint));
  }

  bool has_errors() const { return errors_ > 0; }
  /// By path, line, column; a last one says how many were left out.
  std::vector<Diagnostic> take();

 private:
  void add(const Place& at, std::string message, std::string hint, bool error);

  std::string path_;
  std::vector<Diagnostic> list_;
  size_t errors_ = 0;
  size_t left_out_ = 0;
};

/// The word of `words` that `typed` was most likely meant to be; empty: none is near.
std::string_view nearest(std::string_view typed, std::span<const std::string_view> words);

/// "did you mean `x`?", or the list of what is known.
std::string meant(std::string_view typed, std::span<const std::string_view> words);

}  // namespace sallyport::policy
