// SPDX-License-Identifier: Apache-2.0
#include "edges/runtimes/api_socket.h"

#include <curl/curl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "sallyport/base/limits.h"
#include "sallyport/base/log.h"

namespace sallyport::edges {
namespace {

struct Closed {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

struct Body {
  std::string text;
  bool too_long = false;
};

bool is_ours(uid_t uid) { return uid == 0 || uid == geteuid(); }

size_t on_bytes(char* bytes, size_t size, size_t count, void* to) {
  auto& body = *static_cast<Body*>(to);
  if (body.text.size() + size * count > limits::kRuntimeFileBytesMax) {
    body.too_long = true;
    return 0;
  }
  body.text.append(bytes, size * count);
  return size * count;
}

int on_progress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(stop)->load() ? 1 : 0;
}

/// Only root listens where a connection leads to.
struct Peer {
  curl_socket_t fd = CURL_SOCKET_BAD;
  std::optional<uid_t> stranger;
};

int on_socket(void* to, curl_socket_t fd, curlsocktype) {
  static_cast<Peer*>(to)->fd = fd;
  return CURL_SOCKOPT_OK;
}

/// Connected, nothing sent yet.
int on_connected(void* to, char*, char*, int, int) {
  auto& peer = *static_cast<Peer*>(to);
  ucred who{.pid = 0, .uid = uid_t(-1), .gid = gid_t(-1)};
  socklen_t size = sizeof who;
  if (getsockopt(peer.fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && is_ours(who.uid)) return CURL_PREREQFUNC_OK;
  peer.stranger = who.uid;
  return CURL_PREREQFUNC_ABORT;
}

ApiAnswer read_answer(long status, const std::string& text, const std::string& socket, const std::string& id) {
  using Is = ApiAnswer::Is;
  if (status == 404) return {Is::useless, {}, fmt::format("{} knows no container {}", socket, id)};
  if (status != 200) return {Is::unreachable, {}, fmt::format("{} answers with status {}", socket, status)};
  auto body = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto said = body.is_object() ? body.find("Id") : body.end();
  if (!body.is_object() || said == body.end() || *said != id)
    return {Is::useless, {}, fmt::format("what {} answers is not of container {}", socket, id)};
  return {Is::answered, std::move(body), {}};
}

}  // namespace

Result<bool> is_roots_socket(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (path.empty() || path[0] != '/') return fail(fmt::format("{} is no absolute path", path));
  // Links above it count for what they lead to: /var/run is one.
  const std::unique_ptr<char, void (*)(void*)> real(realpath(slash == 0 ? "/" : path.substr(0, slash).c_str(), nullptr),
                                                    free);
  if (!real && (errno == ENOENT || errno == ENOTDIR)) return false;
  if (!real) return fail_errno(path);
  struct stat status {};
  for (std::string folder = real.get();; folder.resize(folder.rfind('/'))) {
    if (stat(folder.empty() ? "/" : folder.c_str(), &status) != 0) return fail_errno(folder);
    // With the sticky bit nobody renames or removes what is another's.
    if (!is_ours(status.st_uid) || ((status.st_mode & 022) != 0 && (status.st_mode & S_ISVTX) == 0))
      return fail(fmt::format("{}: others than root can write in {}", path, folder), "see who made it");
    if (folder.size() <= 1) break;
  }
  if (lstat(path.c_str(), &status) != 0) return errno == ENOENT ? Result<bool>(false) : fail_errno(path);
  if (!S_ISSOCK(status.st_mode) || !is_ours(status.st_uid))
    return fail(fmt::format("{} is no socket of root's", path), "see who made it");
  return true;
}

ApiAnswer ask_for_container(const std::string& socket, const std::string& id, const std::atomic<bool>& stop) {
  using Is = ApiAnswer::Is;
  if (id.empty() || id.find_first_not_of("0123456789abcdef") != std::string::npos)
    return {Is::useless, {}, fmt::format("`{}` is no container's id", printable(id))};
  const auto there = is_roots_socket(socket);
  if (!there) return {Is::unreachable, {}, there.error().what};
  if (!*there) return {};
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, Closed> handle(ready == CURLE_OK ? curl_easy_init() : nullptr);
  if (!handle) return {Is::unreachable, {}, "no memory"};
  Body body;
  Peer peer;
  const auto set = [&](CURLoption option, auto value) { (void)curl_easy_setopt(handle.get(), option, value); };
  const std::string url = fmt::format("http://runtime/containers/{}/json", id);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  set(CURLOPT_SOCKOPTFUNCTION, &on_socket);
  set(CURLOPT_SOCKOPTDATA, &peer);
  set(CURLOPT_PREREQFUNCTION, &on_connected);
  set(CURLOPT_PREREQDATA, &peer);
  set(CURLOPT_PROTOCOLS_STR, "http");
  set(CURLOPT_NOPROXY, "*");  // whatever the environment says
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(limits::kRuntimeAnswerMs));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, "sallyport");
  set(CURLOPT_MAXFILESIZE, static_cast<long>(limits::kRuntimeFileBytesMax));
  set(CURLOPT_WRITEFUNCTION, &on_bytes);
  set(CURLOPT_WRITEDATA, &body);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  set(CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(&stop));
  const CURLcode code = curl_easy_perform(handle.get());
  if (body.too_long || code == CURLE_FILESIZE_EXCEEDED)
    return {Is::useless,
            {},
            fmt::format("what {} says of {} is larger than {} bytes", socket, id, limits::kRuntimeFileBytesMax)};
  if (peer.stranger) return {Is::unreachable, {}, fmt::format("uid {} listens on {}", *peer.stranger, socket)};
  if (code != CURLE_OK) return {Is::unreachable, {}, fmt::format("{}: {}", socket, curl_easy_strerror(code))};
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  return read_answer(status, body.text, socket, id);
}

}  // namespace sallyport::edges
