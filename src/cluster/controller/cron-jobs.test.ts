// CronJobs by a clock that is set: when Jobs begin, what is missed, who waits for whom, what is kept.
import t from "tap";
import type { CronJob, Event, Job } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";

const MINUTE_MS = 60_000;

class World {
  nowMs = Date.parse("2026-01-01T00:00:30Z");
  readonly cluster = makeCluster({ nowMs: () => this.nowMs, events: true });

  apply(spec: string): void {
    const text = `{ apiVersion: batch/v1, kind: CronJob, metadata: { name: tidy }, spec: { schedule: "*/2 * * * *", ${spec}
      jobTemplate: { metadata: { labels: { from: cron } }, spec: { template: { spec: { restartPolicy: Never,
      containers: [ { name: a, image: a } ] } } } } } }`;
    this.cluster.apply([{ file: "a.yaml", text }]);
  }

  wait(minutes: number): void {
    this.nowMs += minutes * MINUTE_MS;
    this.cluster.tick();
  }

  get jobs(): string[] {
    return this.cluster.list("Job").map(({ metadata }) => metadata.name);
  }

  get status(): NonNullable<CronJob["status"]> {
    return (this.cluster.get("CronJob", "default/tidy") as CronJob).status ?? {};
  }

  /** What was told of the CronJob, in any order. */
  get told(): string[] {
    const events = this.cluster.list("Event") as Event[];
    return events
      .filter((e) => e.involvedObject.kind === "CronJob")
      .map((e) => e.reason ?? "")
      .sort();
  }

  end(type: "Complete" | "Failed", name = this.jobs[0]): void {
    const job = this.cluster.get("Job", `default/${name}`) as Job;
    const time = new Date(this.nowMs).toISOString().replace(".000", "");
    const conditions = [{ type, status: "True", lastTransitionTime: time }];
    const status = { ...job.status, ...(type === "Complete" ? { completionTime: time } : {}), conditions };
    this.cluster.update({ ...job, status } as Job);
  }
}

const nameAt = (time: string): string => `tidy-${Date.parse(time) / MINUTE_MS}`;

t.test("a Job at each time of the schedule, named for its minute, with the template's labels", async (t) => {
  const w = new World();
  w.apply("");
  t.same(w.jobs, [], "nothing before its time");
  w.wait(2);
  t.same(w.jobs, [nameAt("2026-01-01T00:02:00Z")]);
  t.match(w.cluster.list("Job")[0].metadata, {
    labels: { from: "cron" },
    annotations: { "batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-01-01T00:02:00Z" },
    ownerReferences: [{ kind: "CronJob", name: "tidy", controller: true }],
  });
  t.equal(w.cluster.list("Pod").length, 1);
  t.match(w.status, { lastScheduleTime: "2026-01-01T00:02:00Z", active: [{ name: w.jobs[0] }] });
  w.end("Complete");
  t.match(w.status, { active: [], lastSuccessfulTime: "2026-01-01T00:02:30Z" });
  t.same(w.told, ["SawCompletedJob", "SuccessfulCreate"]);
  deleteNamed(w.cluster, "cj", "default", ["tidy"]);
  t.same(w.jobs, []);
});

t.test("of several times that were missed the last one counts, and none that is too long ago", async (t) => {
  const w = new World();
  w.apply("");
  w.wait(9);
  t.same(w.jobs, [nameAt("2026-01-01T00:08:00Z")]);
  const late = new World();
  late.apply("startingDeadlineSeconds: 20,");
  late.wait(3);
  t.same(late.jobs, [], "the one of 00:02 is 90 s late");
  late.wait(0.6);
  t.same(late.jobs, [nameAt("2026-01-01T00:04:00Z")]);
});

t.test("suspended it rests", async (t) => {
  const w = new World();
  w.apply("suspend: true,");
  w.wait(10);
  t.same(w.jobs, []);
  w.apply("suspend: false,");
  t.same(w.jobs, [nameAt("2026-01-01T00:10:00Z")]);
});

t.test("Allow, Forbid and Replace", async (t) => {
  const counts: Record<string, number> = { Allow: 2, Forbid: 1, Replace: 1 };
  for (const [policy, count] of Object.entries(counts)) {
    const w = new World();
    w.apply(`concurrencyPolicy: ${policy},`);
    w.wait(2);
    const [first] = w.jobs;
    w.wait(2);
    t.equal(w.jobs.length, count, policy);
    t.equal(w.jobs.includes(first), policy !== "Replace", policy);
    t.equal(w.told.includes("JobAlreadyActive"), policy === "Forbid", policy);
  }
});

t.test("finished Jobs are kept as many as are wanted", async (t) => {
  const w = new World();
  w.apply("successfulJobsHistoryLimit: 2, failedJobsHistoryLimit: 0,");
  for (let i = 0; i < 4; i++) {
    w.wait(2);
    w.end("Complete", w.jobs.at(-1));
  }
  t.same(w.jobs, [nameAt("2026-01-01T00:06:00Z"), nameAt("2026-01-01T00:08:00Z")]);
  w.wait(2);
  w.end("Failed", w.jobs.at(-1));
  t.equal(w.jobs.length, 2);
});

t.test("a time zone's hours", async (t) => {
  const w = new World();
  const text = `{ apiVersion: batch/v1, kind: CronJob, metadata: { name: tidy }, spec: { schedule: "0 9 * * *",
    timeZone: Europe/Berlin, jobTemplate: { spec: { template: { spec: { restartPolicy: Never,
    containers: [ { name: a, image: a } ] } } } } } }`;
  w.cluster.apply([{ file: "a.yaml", text }]);
  w.wait(60 * 8);
  t.same(w.jobs, [nameAt("2026-01-01T08:00:00Z")]);
});

t.test("what is no schedule is refused with the field", async (t) => {
  const w = new World();
  const refused = (spec: string): string => {
    const template = "template: { spec: { restartPolicy: Never, containers: [ { name: a, image: a } ] } }";
    const text = `{ apiVersion: batch/v1, kind: CronJob, metadata: { name: c }, spec: { ${spec}, jobTemplate: { spec: { ${template} } } } }`;
    try {
      w.cluster.apply([{ file: "a.yaml", text }]);
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  t.match(refused('schedule: "60 * * * *"'), /spec\.schedule: Invalid value: "60 \* \* \* \*"/);
  t.match(refused('schedule: "0 0 L * *"'), /spec\.schedule: Invalid value/);
  t.match(refused('schedule: "TZ=UTC 0 * * * *"'), /use timeZone field instead/);
  t.match(
    refused('schedule: "@hourly", timeZone: Mars/X'),
    /spec\.timeZone: Invalid value: "Mars\/X": unknown time zone/,
  );
  t.match(refused("suspend: true"), /spec\.schedule: Required value/);
  const job = '{ schedule: "@daily", jobTemplate: { spec: { template: { spec: { containers: [] } } } } }';
  t.throws(
    () =>
      w.cluster.apply([
        {
          file: "a.yaml",
          text: `{ apiVersion: batch/v1, kind: CronJob, metadata: { name: c }, spec: ${job} }`,
        },
      ]),
    /spec\.jobTemplate\.spec\.template\.spec\.containers: Required value/,
  );
});
