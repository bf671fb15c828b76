// SPDX-License-Identifier: Apache-2.0
// How the data of PostgreSQL's COPY look: what its options say (sql), and what takes the data apart (protocol).
#pragma once

#include <cstdint>
#include <string>

namespace sallyport::model {

/// Source: PostgreSQL documentation, COPY.
struct CopyLayout {
  enum class Format : uint8_t { text, csv, binary };
  Format format = Format::text;
  char delimiter = '\t';
  char quote = '"';   ///< csv
  char escape = '"';  ///< csv
  std::string null = "\\N";
  bool header = false;  ///< the first row names the columns
};

}  // namespace sallyport::model
