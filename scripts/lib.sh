# SPDX-License-Identifier: Apache-2.0
# What the scripts share. Source it; it changes to the top of the checkout.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
top=$PWD
jobs=$(nproc)
# ccache finds what another checkout or build folder has compiled.
export CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "needs root: sudo scripts/$(basename "$0") $*"; }

# What the build needs, then what the tests need beside it. Debian 12 names.
build_packages="build-essential g++ ccache cmake ninja-build pkg-config clang-14 llvm-14 bpftool libbpf-dev libelf-dev
  zlib1g-dev libssl-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libcli11-dev libfyaml-dev libboost-dev
  libpg-query-dev libpq-dev postgresql-server-dev-15 libre2-dev libphonenumber-dev libprotobuf-dev libidn-dev libseccomp-dev libcap-dev libcurl4-openssl-dev"
test_packages="libgtest-dev libbenchmark-dev liburing-dev postgresql-15 postgresql-client-15 python3 python3-psycopg
  python3-asyncpg python3-psycopg2 python3-alembic python3-jsonschema python3-requests python3-yaml jq curl nginx openssl iproute2 procps util-linux clang-19 default-jdk-headless
  libpostgresql-jdbc-java nodejs npm sqlsmith crun podman"
vm_packages="qemu-system-x86 cpio busybox-static xz-utils iproute2"
quickstart_packages="postgresql-15 postgresql-client-15 python3-psycopg openssl util-linux"

# install_packages NAME... : only what is missing, so that a second run takes no time.
install_packages() {
  local missing=() name
  for name in "$@"; do
    [ "$name" = nodejs ] || [ "$name" = npm ] && command -v node >/dev/null && command -v npm >/dev/null && continue
    [[ $name == default-j* ]] && command -v javac >/dev/null && continue
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] && return 0
  [ "$(id -u)" = 0 ] || die "these packages are missing, install them as root: ${missing[*]}"
  say "installing ${#missing[@]} packages"
  apt-get update -qq
  # PostgreSQL's package would start a server of its own, which nobody asked for.
  local no_cluster=/etc/postgresql-common/createcluster.conf made=
  if [ ! -e $no_cluster ]; then
    mkdir -p "${no_cluster%/*}" && echo 'create_main_cluster = false' > $no_cluster && made=yes
  fi
  # So would nginx's.
  local no_start=/usr/sbin/policy-rc.d quiet=
  [ -e $no_start ] || { printf '#!/bin/sh\nexit 101\n' > $no_start && chmod 755 $no_start && quiet=yes; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null || die "apt-get could not install: ${missing[*]}"
  [ -z "$made" ] || rm -f $no_cluster
  [ -z "$quiet" ] || rm -f $no_start
}

# build DIR TYPE TARGETS [CMAKE OPTIONS...] : TARGETS is one word list.
build() {
  local dir=$1 type=$2 targets=$3
  shift 3
  cmake -S . -B "$dir" -G Ninja -DCMAKE_BUILD_TYPE="$type" -DSALLYPORT_TESTS=ON "$@" >"$dir.cmake.log" 2>&1 ||
    { tail -20 "$dir.cmake.log" >&2; die "cmake failed, see $dir.cmake.log"; }
  # shellcheck disable=SC2086
  NINJA_STATUS='[%f/%t %es] ' ninja -C "$dir" -j "$jobs" $targets
}
