#!/usr/bin/env bash
# Writes the configuration of a lab machine's agent: agent-config.sh NODE_NAME NODE_ADDRESS SOURCE. What SOURCE may be
# docs/agent.md tells.
set -euo pipefail
uplink=$(ip -o -4 addr show to "$2" | awk '{ print $2 }')
[ -n "$uplink" ] || { printf 'podwire: no device of this machine has the address %s\n' "$2"; exit 1; }
printf 'podwire: configuring %s (%s), uplink %s, shared with the kernel\n' "$1" "$2" "$uplink"
cat >/etc/podwire/agent.yaml <<YAML
apiVersion: podwire.dev/v1alpha1
kind: AgentConfiguration
nodeName: $1
clusterCIDR: 10.244.0.0/16
serviceCIDR: 10.96.0.0/12
overlay: { type: vxlan, vni: 1, port: 8472 }
uplink: { interface: $uplink, mode: shared }
source: $3
cni: {}
YAML
