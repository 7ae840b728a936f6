// What Nodes of a lab say of their machine.
import { totalmem } from "node:os";
import t from "tap";
import {
  isMemoryShort,
  nodeCapacity,
  osName,
  pressureConditions,
  readPressure,
  systemInfo,
} from "./machine.ts";

t.test("its system and its size, as a kubelet tells them", async (t) => {
  const info = systemInfo("9.8.7");
  t.match(info, {
    operatingSystem: "linux",
    containerRuntimeVersion: "podwire://9.8.7",
    kubeletVersion: /^v1\./,
  });
  for (const field of ["kernelVersion", "osImage", "architecture", "bootID"] as const)
    t.not(info[field], "", field);
  const { memory, cpu, pods, ...rest } = nodeCapacity();
  t.equal(memory, `${Math.floor(totalmem() / 1024)}Ki`);
  t.ok(Number(cpu) >= 1);
  t.equal(pods, "110");
  t.match(rest["ephemeral-storage"], /^[1-9]\d*Ki$/);
  for (const [name, size] of Object.entries(rest)) t.match(size, /^\d+(Ki|Mi|Gi)?$/, name);
});

t.test("the name of its system, quoted or not, or none", async (t) => {
  t.equal(
    osName('NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'),
    "Debian GNU/Linux 12 (bookworm)",
  );
  t.equal(osName("PRETTY_NAME='Alpine Linux v3.20'"), "Alpine Linux v3.20");
  t.equal(osName("PRETTY_NAME=Void"), "Void");
  t.equal(osName(""), "Linux");
});

t.test("memory is short below kubelet's limit, not at it", async (t) => {
  t.equal(isMemoryShort("MemTotal:  1 kB\nMemAvailable:   102399 kB\n"), true);
  t.equal(isMemoryShort("MemAvailable:   102400 kB\n"), false);
  t.equal(isMemoryShort(""), false);
  t.match(readPressure(), { memory: Boolean, disk: Boolean, pids: false });
});

t.test("each condition has a word for both cases", async (t) => {
  const said = pressureConditions({ memory: true, disk: false, pids: false });
  t.same(
    said.map(({ type, status, reason }) => `${type} ${status} ${reason}`),
    [
      "MemoryPressure True KubeletHasInsufficientMemory",
      "DiskPressure False KubeletHasNoDiskPressure",
      "PIDPressure False KubeletHasSufficientPID",
    ],
  );
});
