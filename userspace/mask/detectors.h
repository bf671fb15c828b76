// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "mask/detector.h"

namespace sallyport::mask {

/// A type of findings.
struct DetectorKind {
  std::string_view type;
  /// Null: it is one of id_rules() or iban, for all of which there is one detector.
  std::unique_ptr<Detector> (*make)(const Wanted&);
  TextKind kind = TextKind::any;
};

/// Every type there is, by name.
std::span<const DetectorKind> detector_kinds();

}  // namespace sallyport::mask
