#!/usr/bin/env bash
# Makes a Debian 12 machine, on which packages.sh has run, a podwire node with two demo pods: provision.sh NODE_NAME
# NODE_ADDRESS. May be run again at any time. Where there is no systemd it says what would be started.
set -euo pipefail
node_name=$1
node_address=$2
target=/opt/podwire

say() { printf 'podwire: %s\n' "$*"; }

uplink=$(ip -o -4 addr show to "$node_address" | awk '{ print $2 }')
[ -n "$uplink" ] || { say "no device of this machine has the address $node_address"; exit 1; }

say "configuring $node_name ($node_address), uplink $uplink, shared with the kernel"
rm -rf /etc/podwire/manifests
cp -r "$target/vagrant/manifests" /etc/podwire/manifests
cat >/etc/podwire/agent.yaml <<YAML
apiVersion: podwire.dev/v1alpha1
kind: AgentConfiguration
nodeName: $node_name
clusterCIDR: 10.244.0.0/16
serviceCIDR: 10.96.0.0/12
overlay: { type: vxlan, vni: 1, port: 8472 }
uplink: { interface: $uplink, mode: shared }
source: { files: [/etc/podwire/manifests] }
cni: {}
YAML
install -m 0755 "$target/vagrant/pod" /usr/local/sbin/podwire-pod
install -m 0755 "$target/vagrant/pod-http" /usr/local/sbin/podwire-pod-http
install -m 0644 "$target/vagrant/podwire-pod@.service" /etc/systemd/system/podwire-pod@.service

units=(podwire-agent.service "podwire-pod@web-${node_name#node}.service" "podwire-pod@client-${node_name#node}.service")
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable --quiet "${units[@]}"
  systemctl restart "${units[@]}"
else
  say "no systemd here: nobody starts ${units[*]}"
fi
say "$node_name is ready: curl http://10.96.0.80/ here reaches a pod on either node"
