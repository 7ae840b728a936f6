// The labels that a kubelet gives its node (pkg/kubelet, initialNode), and that pods choose nodes by. The forms with
// beta. are from before Kubernetes 1.14; kubelets still set them. Roles are set by whoever installs a cluster.

/** What `name`'s kubelet would set; `architecture` in Go's words: amd64, arm64 … */
export function kubeletLabels(name: string, architecture: string): Record<string, string> {
  return {
    "beta.kubernetes.io/arch": architecture,
    "beta.kubernetes.io/os": "linux",
    "kubernetes.io/arch": architecture,
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
  };
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  ia32: "386",
  loong64: "loong64",
  ppc64: "ppc64le", // Node.js runs on the little-endian one only
  x64: "amd64",
};

/** Node.js' name of a machine's architecture in Go's words. */
export function goArchitecture(arch: string): string {
  return ARCHITECTURES[arch] ?? arch;
}
