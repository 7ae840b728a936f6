// Two podwire nodes: Services, paths and streams with real programs.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { standardObjects } from "../../src/testing/lab/objects.ts";
import { pathScenario } from "../support/path-scenario.ts";
import { serviceScenario } from "../support/service-scenario.ts";
import { trafficScenario } from "../support/traffic-scenario.ts";

const skip = cannotRun("curl", "ping", "traceroute", "tracepath", "socat", "iperf3");
t.test("two podwire nodes", { skip }, async (t) => {
  const lab = await TestLab.up("service", { objects: standardObjects() });
  t.teardown(() => lab.down());
  serviceScenario(t, () => lab);
  pathScenario(t, () => lab);
  trafficScenario(t, () => lab);
});
