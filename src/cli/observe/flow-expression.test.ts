import t from "tap";
import { flowExpression } from "./flow-expression.ts";

t.test("flags become an expression", async (t) => {
  const web = [{ address: "10.244.1.2" }];
  const service = [{ address: "10.96.0.1" }, { address: "10.244.2.2", port: 8080 }];
  const cases = [
    { name: "nothing", wish: { from: [], to: [], filter: "" }, want: "" },
    { name: "a filter alone", wish: { from: [], to: [], filter: "tcp port 80" }, want: "tcp port 80" },
    { name: "a source", wish: { from: web, to: [], filter: "" }, want: "src host 10.244.1.2" },
    {
      name: "a network",
      wish: { from: [{ address: "10.244.0.0/16" }], to: [], filter: "" },
      want: "src net 10.244.0.0/16",
    },
    {
      name: "a port alone",
      wish: { from: [], to: [], port: 53, protocol: "udp", filter: "" },
      want: "(udp) and (dst port 53)",
    },
    {
      name: "a service with its endpoints",
      wish: { from: web, to: service, port: 80, filter: "" },
      want:
        "src host 10.244.1.2 and ((dst host 10.96.0.1 and dst port 80) or " +
        "(dst host 10.244.2.2 and dst port 8080))",
    },
    {
      name: "both ways, and a filter",
      wish: {
        from: web,
        to: [{ address: "10.244.1.3" }],
        port: 80,
        both: true,
        protocol: "tcp",
        filter: "len > 60",
      },
      want:
        "(tcp) and ((src host 10.244.1.2 and dst host 10.244.1.3 and dst port 80) or " +
        "(dst host 10.244.1.2 and src host 10.244.1.3 and src port 80)) and (len > 60)",
    },
  ];
  for (const c of cases) t.equal(flowExpression(c.wish), c.want, c.name);
});
