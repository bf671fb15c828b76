# SPDX-License-Identifier: Apache-2.0
"""scripts/tidy.py finds what it is there to find: each habit is broken once."""

import importlib.util
import pathlib
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
BROKEN = [  # path, a line, what is said of it
    *[("userspace/policy/x.cc", f"#include <{header}>", "policy is pure") for header in (
        "unistd.h", "fcntl.h", "poll.h", "sys/socket.h", "sys/epoll.h", "sys/stat.h", "netinet/in.h", "netdb.h",
        "thread", "mutex", "fstream", "filesystem", "linux/bpf.h")],
    *[(f"userspace/{module}/x.cc", "  UniqueFd fd;", "is pure") for module in (
        "model", "protocol", "sql", "policy", "mask", "identity", "flow/operation", "flow/front", "flow/postgres")],
    ("include/sallyport/flow/x.h", "  virtual UniqueFd dial() = 0;", "flow is pure"),
    ("userspace/mask/x.cc", "  auto now = std::chrono::steady_clock::now();", "mask is pure"),
    ("userspace/sql/x.cc", '#include "sallyport/kernel/kernel.h"', "sql may not use kernel"),
    ("userspace/net/x.cc", '#include "kernel/enrol.h"', "net may not use kernel"),
    ("userspace/flow/postgres/x.cc", '#include "sallyport/net/worker.h"', "flow/postgres may not use net"),
    ("userspace/net/x.cc", "// " + "x" * 130, "columns"),
    ("userspace/net/x.cc", "// TO" + "DO: later", "unfinished"),
    ("tests/net/x.cc", "  GTEST_" + "SKIP();", "a test that skips"),
]
FINE = [
    ("userspace/net/x.cc", "#include <sys/socket.h>"), ("userspace/node/x.cc", "  std::mutex mutex_;"),
    ("userspace/sql/x.cc", '#include "sallyport/base/limits.h"'), ("userspace/flow/front/x.cc", "// no UniqueFd here"),
]


class Tidy(unittest.TestCase):
    def check(self, path, line):
        with tempfile.TemporaryDirectory() as folder:
            spec = importlib.util.spec_from_file_location("tidy", TOP / "scripts/tidy.py")
            tidy = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(tidy)
            tidy.top = pathlib.Path(folder)
            file = tidy.top / path
            file.parent.mkdir(parents=True)
            file.write_text(SPDX + line + "\n")
            tidy.check_file(pathlib.Path(path))
            return tidy.findings

    def test_what_is_broken_is_found(self):
        for path, line, said in BROKEN:
            with self.subTest(path, line=line):
                self.assertEqual([said in finding for finding in self.check(path, line)], [True])

    def test_what_is_fine_is_left_alone(self):
        for path, line in FINE:
            with self.subTest(path, line=line):
                self.assertEqual(self.check(path, line), [])


if __name__ == "__main__":
    unittest.main()
