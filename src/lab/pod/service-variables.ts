// Variables that say where Services are, as kubelet writes them: WEB_SERVICE_HOST and WEB_SERVICE_PORT, and those of
// docker's links, WEB_PORT_80_TCP_ADDR (pkg/kubelet/envvars). What a container says itself comes over them.
import { formatHostPort } from "../../config/host-port.ts";
import { keyOf, type Service } from "../../kube/objects.ts";

const API_SERVICE = "default/kubernetes";

/** `hasLinks`: of the pod's namespace too, not of the API alone. */
export function serviceVariables(
  services: readonly Service[],
  namespace: string,
  hasLinks: boolean,
): Record<string, string> {
  const wanted = services.filter(
    (each) => keyOf(each) === API_SERVICE || (hasLinks && each.metadata.namespace === namespace),
  );
  // Where its own namespace has one of that name, too, this is what the pod is told of.
  const byName = new Map<string, Service>();
  for (const each of wanted)
    if (!byName.has(each.metadata.name) || each.metadata.namespace === namespace)
      byName.set(each.metadata.name, each);
  return Object.fromEntries([...byName.values()].flatMap(variablesOf));
}

function variablesOf({ metadata, spec }: Service): [name: string, value: string][] {
  const { clusterIP = "", ports = [] } = spec;
  if (clusterIP === "" || clusterIP === "None" || ports.length === 0) return [];
  const name = nameOf(metadata.name);
  return [
    [`${name}_SERVICE_HOST`, clusterIP],
    [`${name}_SERVICE_PORT`, `${ports[0].port}`],
    ...ports.flatMap(({ name: port = "", port: number }): [string, string][] =>
      port === "" ? [] : [[`${name}_SERVICE_PORT_${nameOf(port)}`, `${number}`]],
    ),
    ...ports.flatMap(({ port, protocol = "TCP" }, i): [string, string][] => {
      const url = `${protocol.toLowerCase()}://${formatHostPort({ address: clusterIP, port })}`;
      const link = `${name}_PORT_${port}_${protocol.toUpperCase()}`;
      return [
        ...(i === 0 ? [[`${name}_PORT`, url] as [string, string]] : []),
        ...([
          [link, url],
          [`${link}_PROTO`, protocol.toLowerCase()],
          [`${link}_PORT`, `${port}`],
          [`${link}_ADDR`, clusterIP],
        ] as [string, string][]),
      ];
    }),
  ];
}

function nameOf(name: string): string {
  return name.replaceAll("-", "_").toUpperCase();
}
