// Which container of a pod is meant, and what is said where none can be.
import type { Container, Pod } from "../../kube/objects.ts";
import { badRequest } from "../status.ts";

/** Throws a StatusError. `given`: as the client has it. */
export function chooseContainer({ metadata, spec }: Pod, given: string | null): string {
  const name = given ?? "";
  const { containers, initContainers = [] } = spec;
  const ephemeral = (spec as { ephemeralContainers?: Container[] }).ephemeralContainers ?? [];
  if (name !== "") {
    if ([...containers, ...initContainers, ...ephemeral].some((each) => each.name === name)) return name;
    throw badRequest(`container ${name} is not valid for pod ${metadata.name}`);
  }
  if (containers.length === 1) return containers[0].name;
  const names = (list: { name: string }[]): string => `[${list.map((each) => each.name).join(" ")}]`;
  const init = initContainers.length === 0 ? "" : ` or one of the init containers: ${names(initContainers)}`;
  throw badRequest(
    `a container name must be specified for pod ${metadata.name}, choose one of: ${names(containers)}${init}`,
  );
}

/** Throws a StatusError where no node has it. */
export function needNode({ metadata, spec }: Pod): void {
  if ((spec.nodeName ?? "") === "") throw badRequest(`pod ${metadata.name} does not have a host assigned`);
}
