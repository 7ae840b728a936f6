// Which Ingresses are podwire's to serve: by their class, as the API server's admission and ingress-nginx say it.
import { type Ingress, type IngressClass, type KubeObject, keyOf } from "../../kube/objects.ts";
import { byAge } from "../by-age.ts";

const CLASS_ANNOTATION = "kubernetes.io/ingress.class";
const DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class";
/** Who serves the same annotations, so that objects written for it mean the same here. */
const CONTROLLERS = ["podwire.dev/ingress", "k8s.io/ingress-nginx"];
/** Classes of these names are ours without an IngressClass that says so. */
const NAMES = ["podwire", "nginx"];

export interface OwnIngresses {
  /** The oldest first, then by name: who comes first has what two claim. */
  readonly own: readonly Ingress[];
  /** "Ingress shop/web: …" of each that is left to others. */
  readonly others: readonly string[];
}

export function ownIngresses(objects: readonly KubeObject[]): OwnIngresses {
  const classes = objects.filter((object): object is IngressClass => object.kind === "IngressClass");
  const own: Ingress[] = [];
  const others: string[] = [];
  for (const ingress of objects) {
    if (ingress.kind !== "Ingress") continue;
    const why = whyNot(ingress as Ingress, classes);
    if (why === undefined) own.push(ingress as Ingress);
    else others.push(`Ingress ${keyOf(ingress)}: ${why}`);
  }
  return { own: own.sort(byAge), others };
}

/** Is its class podwire's own, and not one of ingress-nginx', who may be there as well? */
export function isPodwires(ingress: Ingress, objects: readonly KubeObject[]): boolean {
  const classes = objects.filter((object): object is IngressClass => object.kind === "IngressClass");
  const wanted = classNameOf(ingress);
  const found = wanted === "" ? defaultOf(classes) : classes.find(({ metadata }) => metadata.name === wanted);
  return found === undefined ? wanted === NAMES[0] : found.spec?.controller === CONTROLLERS[0];
}

function classNameOf({ metadata, spec }: Ingress): string {
  return spec.ingressClassName ?? metadata.annotations?.[CLASS_ANNOTATION] ?? "";
}

/** Undefined: it is ours. */
function whyNot(ingress: Ingress, classes: readonly IngressClass[]): string | undefined {
  const wanted = classNameOf(ingress);
  if (wanted === "") {
    if (classes.length === 0) return undefined; // nobody else is there
    const chosen = defaultOf(classes);
    if (chosen === undefined) return "has no class, and no IngressClass is the default: nobody serves it";
    return isOwn(chosen) ? undefined : `its class, the default, is ${chosen.metadata.name}: somebody else's`;
  }
  const named = classes.find((each) => each.metadata.name === wanted);
  if (named !== undefined)
    return isOwn(named) ? undefined : `its class ${wanted} is ${named.spec?.controller}'s: not served here`;
  return NAMES.includes(wanted) ? undefined : `there is no IngressClass ${wanted}: not served here`;
}

/** Of several the youngest, as admission chooses. */
function defaultOf(classes: readonly IngressClass[]): IngressClass | undefined {
  const defaults = classes.filter(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === "true");
  return [...defaults].sort((a, b) => byAge(b, a) || (a.metadata.name < b.metadata.name ? -1 : 1))[0];
}

function isOwn({ spec }: IngressClass): boolean {
  return CONTROLLERS.includes(spec?.controller ?? "");
}
