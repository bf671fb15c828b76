# SPDX-License-Identifier: Apache-2.0
"""A real OpenID provider for tests, over HTTPS with a certificate authority of its own."""

import json
import shutil
import subprocess

import harness


def make_certificates(folder, host="localhost"):
    """ca.pem, and server.pem with server.key for `host`, signed by it."""
    folder.mkdir(exist_ok=True)
    openssl = ["openssl"]
    harness.run(openssl + ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                           "-subj", "/CN=test authority", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout",
                           str(folder / "ca.key"), "-out", str(folder / "ca.pem")])
    harness.run(openssl + ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                           f"/CN={host}", "-keyout", str(folder / "server.key"), "-out", str(folder / "server.csr")])
    (folder / "names").write_text(f"subjectAltName=DNS:{host}\n")
    harness.run(openssl + ["x509", "-req", "-in", str(folder / "server.csr"), "-CA", str(folder / "ca.pem"), "-CAkey",
                           str(folder / "ca.key"), "-CAcreateserial", "-days", "2", "-extfile", str(folder / "names"),
                           "-out", str(folder / "server.pem")])
    for made in folder.iterdir():
        made.chmod(0o644)


class Issuer:
    def __init__(self, folder, port, host="localhost"):
        make_certificates(folder, host)
        self.url = f"https://{host}" + ("" if port == 443 else f":{port}")
        self.ca = folder / "ca.pem"
        self.process = subprocess.Popen(
            [shutil.which("node"), str(harness.SOURCE / "issuer.mjs"), str(harness.CACHE), str(port),
             str(folder / "server.pem"), str(folder / "server.key"), str(self.ca), host],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(folder / "issuer.log", "w"), text=True)
        while "ready" not in (line := self._line()):
            pass

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the provider ended: see issuer.log")
        return line

    def ask(self, **order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        while not (line := self._line()).startswith("{"):
            pass
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer

    def token(self, client="bot", seconds=60):
        return self.ask(do="token", client=client, seconds=seconds)["token"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
