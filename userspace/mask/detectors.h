// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "mask/detector.h"

namespace sallyport::mask {

struct DetectorKind {
  std::string_view type;
  std::unique_ptr<Detector> (*make)();
};

/// Every kind there is, by name.
std::span<const DetectorKind> detector_kinds();

}  // namespace sallyport::mask
