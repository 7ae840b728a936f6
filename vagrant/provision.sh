#!/usr/bin/env bash
# Makes a Debian 12 machine a podwire node: provision.sh NODE_NAME NODE_ADDRESS. May be run again at any time.
set -euo pipefail
node_name=$1
node_address=$2
source_dir=/vagrant
target=/opt/podwire

say() { printf 'podwire: %s\n' "$*"; }

# The NIC of the private network: the one that carries no default route.
uplink() {
  local with_default
  with_default=$(ip -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
  ls /sys/class/net | grep -vxE "lo|host0|${with_default:-none}" | sort | head -n 1
}

say "system packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends ca-certificates curl rsync socat >/dev/null

say "building in $target"
mkdir -p "$target"
left_out=(--exclude .git --exclude node_modules --exclude .node --exclude build --exclude .vagrant)
rsync -a --delete "${left_out[@]}" "$source_dir"/ "$target"/
(cd "$target" && scripts/install-deps && scripts/with-node npm run --silent build)
ln -sfn "$target/podwire" /usr/local/bin/podwire

say "configuring $node_name ($node_address), uplink $(uplink)"
mkdir -p /etc/podwire
rm -rf /etc/podwire/manifests
cp -r "$target/vagrant/manifests" /etc/podwire/manifests
cat >/etc/podwire/node.env <<ENV
NODE_NAME=$node_name
ENV
cat >/etc/podwire/agent.yaml <<YAML
apiVersion: podwire.dev/v1alpha1
kind: AgentConfiguration
nodeName: $node_name
clusterCIDR: 10.244.0.0/16
serviceCIDR: 10.96.0.0/12
overlay: { type: vxlan, vni: 1, port: 8472 }
uplink: { interface: $(uplink) }
socket: /run/podwire/agent.sock
source: { files: [/etc/podwire/manifests] }
YAML

install -m 0755 "$target/vagrant/demo-pods" /usr/local/sbin/podwire-demo-pods
install -m 0755 "$target/vagrant/pod-http" /usr/local/sbin/podwire-pod-http
install -m 0644 "$target/vagrant/podwire-agent.service" /etc/systemd/system/podwire-agent.service
install -m 0644 "$target/vagrant/podwire-pod@.service" /etc/systemd/system/podwire-pod@.service
systemctl daemon-reload
systemctl enable --quiet podwire-agent.service
systemctl restart podwire-agent.service
for pod in $(/usr/local/sbin/podwire-demo-pods list); do
  systemctl enable --quiet "podwire-pod@$pod.service"
  systemctl restart "podwire-pod@$pod.service"
done
say "$node_name is ready: curl http://10.96.0.80/ here reaches a pod on either node"
