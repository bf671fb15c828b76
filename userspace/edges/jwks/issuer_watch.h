// SPDX-License-Identifier: Apache-2.0
// One Issuer's keys and the thread that keeps them fresh.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "sallyport/edges/jwks.h"

namespace sallyport::edges {

class IssuerWatch {
 public:
  IssuerWatch(IssuerSource source, const JwksTimes& times, const std::function<void()>& changed);
  ~IssuerWatch();

  const IssuerSource& source() const { return source_; }
  Result<std::shared_ptr<const identity::Jwks>> keys() const;
  void miss(std::string_view key_id);
  IssuerStatus status() const;

 private:
  void run();
  bool refresh();
  bool store(const std::string& text, int64_t fresh_ms);
  void failed(std::string why);
  bool due(int64_t now_ms) const;
  int64_t next_look_ms(int64_t now_ms) const;
  bool run_out(int64_t now_ms);

  const IssuerSource source_;
  const JwksTimes times_;
  const std::function<void()>& changed_;
  mutable std::mutex mutex_;  ///< of all below but stop_
  std::condition_variable wake_;
  std::shared_ptr<const identity::Jwks> set_;
  std::string text_;         ///< of set_
  std::string fingerprint_;  ///< of the file
  std::string trouble_ = "they have not been asked for yet";
  int64_t fetched_ms_ = 0, fetched_wall_ns_ = 0;  ///< the last time it went well
  int64_t refresh_at_ms_ = 0;
  int64_t asked_ms_ = 0;  ///< the last attempt
  int64_t retry_ms_ = 0;  ///< 0: the last attempt went well
  uint64_t fetches_ = 0;
  bool missed_ = false;                            ///< somebody waits for a key
  bool poked_ = false;                             ///< the thread is to look again what is due
  std::map<std::string, int64_t> vain_, waiting_;  ///< key id -> until when not to ask again; since when it is missed
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace sallyport::edges
