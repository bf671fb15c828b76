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
  std::unique_ptr<Detector> (*make)(const Wanted&);  ///< null: one of id_rules(), for all of which there is one detector
  TextKind kind = TextKind::any;
};

/// Every type there is, by name.
std::span<const DetectorKind> detector_kinds();

}  // namespace sallyport::mask
