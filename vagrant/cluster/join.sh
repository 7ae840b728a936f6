#!/usr/bin/env bash
# Makes a Debian 12 machine, on which packages.sh has run, a node of the lab's cluster: join.sh NODE_NAME NODE_ADDRESS.
# containerd and runc are Debian's, podwire is its package; kubelet is what vagrant/cluster/prepare built.
set -euo pipefail
node_name=$1
node_address=$2
given=/vagrant-cluster
vagrant=/opt/podwire/vagrant
READY_SEC=300

say() { printf 'podwire: %s\n' "$*"; }
fail() { say "$*"; exit 1; }

[ -x $given/bin/kubelet ] || fail "$given has no kubelet: vagrant/cluster/prepare makes it"
[ ! -e /etc/podwire/manifests ] || fail "this machine is of the lab that is fed by files: vagrant destroy comes first"
install -m 755 $given/bin/kubelet /usr/local/bin/
install -d -m 700 /etc/kubernetes
install -m 600 $given/ca.crt $given/kubelet.* /etc/kubernetes/
install -m 600 $given/podwire.kubeconfig /etc/podwire/kubeconfig

# The lab's own machine manages control groups by systemd; where something else is the first process, nobody does.
driver=systemd
grouping=""
if [ "$(cat /proc/1/comm)" != systemd ]; then
  driver=cgroupfs
  grouping=$'cgroupsPerQOS: false\nenforceNodeAllocatable: []'
fi
cat >/etc/containerd/config.toml <<TOML
version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/podwire-lab:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = $([ $driver = systemd ] && echo true || echo false)
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
TOML
cat >/etc/kubernetes/kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_address
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: $driver
$grouping
failSwapOn: false
failCgroupV1: false
makeIPTablesUtilChains: false
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
resolvConf: "" # names of the cluster alone: what is beyond the private network is not for its pods
tlsCertFile: /etc/kubernetes/kubelet.crt
tlsPrivateKeyFile: /etc/kubernetes/kubelet.key
authentication: { anonymous: { enabled: false }, x509: { clientCAFile: /etc/kubernetes/ca.crt } }
YAML
printf 'NODE=%s\nADDRESS=%s\n' "$node_name" "$node_address" >/etc/default/kubelet
install -m 644 $vagrant/cluster/units/kubelet.service /etc/systemd/system/
$vagrant/agent-config.sh "$node_name" "$node_address" '{ kubernetes: { kubeconfig: /etc/podwire/kubeconfig } }'

systemctl daemon-reload
systemctl enable --quiet containerd podwire-agent kubelet
systemctl restart containerd
$vagrant/cluster/image localhost/podwire-lab:1 $given/bin/pod $given/bin/coredns
systemctl restart podwire-agent kubelet
for ((i = 0; i < READY_SEC; i++)); do
  ready=$(kubectl --kubeconfig /etc/kubernetes/kubelet.kubeconfig get node "$node_name" \
    -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null || true)
  [ "$ready" != True ] || break
  sleep 1
done
[ "$ready" = True ] || fail "$node_name is not ready after $READY_SEC s: journalctl -u kubelet, podwire status"
say "$node_name is ready: sudo kubectl get pods -o wide on the first machine; curl http://10.96.0.80/ on either"
