#!/usr/bin/env bash
# Makes a Debian 12 machine, on which packages.sh has run, the control plane of the lab's cluster: control-plane.sh
# ADDRESS. etcd is Debian's; other programs and certificates are what vagrant/cluster/prepare made, in /vagrant-cluster.
set -euo pipefail
address=$1
given=/vagrant-cluster
here=/opt/podwire/vagrant/cluster
export KUBECONFIG=/etc/kubernetes/admin.kubeconfig
servers=(kube-apiserver kube-controller-manager kube-scheduler)
READY_SEC=180

say() { printf 'podwire: %s\n' "$*"; }
fail() { say "$*"; exit 1; }

[ -x $given/bin/kube-apiserver ] || fail "$given has no control plane: vagrant/cluster/prepare makes it"
[ ! -e /etc/podwire/manifests ] || fail "this machine is of the lab that is fed by files: vagrant destroy comes first"
say "control plane on $address"
install -m 755 "${servers[@]/#/$given/bin/}" /usr/local/bin/
install -d -m 700 /etc/kubernetes
install -m 600 $given/*.crt $given/*.key $given/*.pub $given/*.kubeconfig /etc/kubernetes/
printf 'ADDRESS=%s\n' "$address" >/etc/default/kube-apiserver
install -d -m 700 /root/.kube
ln -sf $KUBECONFIG /root/.kube/config # sudo kubectl …
# etcd 3.4 starts on other processors only when it is told that they are meant.
[ "$(dpkg --print-architecture)" = amd64 ] || echo "ETCD_UNSUPPORTED_ARCH=$(dpkg --print-architecture)" >/etc/default/etcd
for server in "${servers[@]}"; do install -m 644 "$here/units/$server.service" /etc/systemd/system/; done
systemctl daemon-reload
systemctl enable --quiet etcd "${servers[@]}"
systemctl restart etcd "${servers[@]}"
for ((i = 0; i < READY_SEC; i++)); do
  [ "$(kubectl get --raw /readyz 2>/dev/null)" != ok ] || break
  sleep 1
done
[ "$(kubectl get --raw /readyz)" = ok ] ||
  fail "kube-apiserver is not ready after $READY_SEC s: journalctl -u kube-apiserver"

say "what agents may: the role of podwire install, for the certificate podwire"
podwire install --print --api-server "https://$address:6443" |
  awk 'BEGIN { RS = "---\n" } /\nkind: ClusterRole\n/' | kubectl apply --validate=false -f -
kubectl create clusterrolebinding podwire --clusterrole=podwire --user=podwire --dry-run=client -o yaml |
  kubectl apply --validate=false -f -
say "names of services, and the demo's pods and Services"
kubectl apply --validate=false -f $here/manifests
