#!/usr/bin/env bash
# Installs podwire on a Debian 12 machine, from its sources, and whatever else of Debian is named: packages.sh SOURCES
# [PACKAGE…]. Downloads nothing but packages, Debian's and npm's. May be run again at any time.
set -euo pipefail
source_dir=$1
shift
target=/opt/podwire

say() { printf 'podwire: %s\n' "$*"; }

say "system packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends binutils ca-certificates curl nftables rsync socat \
  tcpdump util-linux "$@" >/dev/null

say "building in $target"
mkdir -p "$target"
left_out=(--exclude .git --exclude node_modules --exclude .node --exclude build --exclude .vagrant)
rsync -a --delete "${left_out[@]}" "$source_dir"/ "$target"/
cd "$target"
scripts/install-deps --runtime
scripts/deb build/podwire.deb >/dev/null

say "installing podwire"
apt-get install -qq -y --no-install-recommends --reinstall ./build/podwire.deb >/dev/null
podwire cni install --bin-dir /usr/lib/cni
