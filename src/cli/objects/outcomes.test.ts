import t from "tap";
import { nameOnly, outcome } from "../../cluster/outcome.ts";
import { kindNamed } from "../../kube/kinds.ts";
import { outcomeText } from "./outcomes.ts";

t.test("what became of an object is told in kubectl's words", async (t) => {
  const text = (kind: string, key: string, action: "created" | "deleted"): string => {
    const info = kindNamed(kind);
    return outcomeText(outcome(info, nameOnly(info, key), action));
  };
  t.equal(text("Service", "default/web", "created"), "service/web created");
  t.equal(text("Service", "default/web", "deleted"), 'service "web" deleted');
  t.equal(text("Deployment", "default/api", "deleted"), 'deployment.apps "api" deleted');
});
