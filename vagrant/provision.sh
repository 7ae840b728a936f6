#!/usr/bin/env bash
# Makes a Debian 12 machine, on which packages.sh has run, a podwire node with two demo pods: provision.sh NODE_NAME
# NODE_ADDRESS. May be run again at any time. Where there is no systemd it says what would be started.
set -euo pipefail
node_name=$1
node_address=$2
target=/opt/podwire

say() { printf 'podwire: %s\n' "$*"; }

[ ! -e /etc/kubernetes ] || { say "this machine is of PODWIRE_LAB=cluster: vagrant destroy comes first"; exit 1; }
rm -rf /etc/podwire/manifests
cp -r "$target/vagrant/manifests" /etc/podwire/manifests
"$target/vagrant/agent-config.sh" "$node_name" "$node_address" '{ files: [/etc/podwire/manifests] }'
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
