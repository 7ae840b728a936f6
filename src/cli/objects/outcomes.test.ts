import t from "tap";
import { notFound, outcome } from "../../cluster/outcome.ts";
import { kindNamed } from "../../kube/kinds.ts";
import { outcomeText } from "./outcomes.ts";

t.test("what became of an object is told in kubectl's words", async (t) => {
  const text = (kind: string, name: string, action: "created" | "deleted"): string => {
    const info = kindNamed(kind);
    const { apiVersion } = info;
    return outcomeText(outcome(info, { apiVersion, kind, metadata: { name, namespace: "default" } }, action));
  };
  t.equal(text("Service", "web", "created"), "service/web created");
  t.equal(text("Service", "web", "deleted"), 'service "web" deleted');
  t.equal(text("Deployment", "api", "deleted"), 'deployment.apps "api" deleted');
});

t.test("what is not there, and the file that named it", (t) => {
  const info = kindNamed("Pod");
  t.equal(notFound(info, "z"), 'Error from server (NotFound): pods "z" not found');
  const when = 'error when deleting "STDIN": pods "z" not found';
  t.equal(notFound(info, "z", "-"), `Error from server (NotFound): ${when}`);
  t.end();
});
