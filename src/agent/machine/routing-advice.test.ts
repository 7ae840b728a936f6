import t from "tap";
import { PodwireError } from "../../base/errors.ts";
import { ip } from "../../base/ip.ts";
import { lackOf, NO_ROOM, routingAdvice } from "./routing-advice.ts";
import { runIn } from "./run-ip.ts";

const failed = (argv: string[]): Promise<Error> =>
  runIn("", argv).then(
    () => t.fail(`${argv.join(" ")} did not fail`) as never,
    (error: Error) => error,
  );

t.test("who lacks a program is told to install it, others what becomes of it", async (t) => {
  const none = await failed(["/no/such/ip", "-6"]);
  t.match(none.message, "/no/such/ip -6: ");
  t.match(routingAdvice(none), /^install iproute2/);
  const behind = await failed(["sh", "-c", "echo 'nsenter: failed to execute ip' >&2; exit 127"]);
  t.match(routingAdvice(behind), /^install iproute2/);
  const refused = await failed(["sh", "-c", "echo 'Error: Invalid source address.' >&2; exit 2"]);
  t.equal(
    refused.message,
    "sh -c echo 'Error: Invalid source address.' >&2; exit 2: Error: Invalid source address.",
  );
  t.match(routingAdvice(refused), /^it is tried again each second/);
  t.match(routingAdvice(new PodwireError("a rule", { code: NO_ROOM })), /^give it another one/);
});

t.test("addresses that no device has are named, and how they get there", async (t) => {
  const wanted = ["192.168.50.11", "fd00:50::11", "10.244.1.1"].map(ip);
  t.equal(lackOf("host0", wanted, [...wanted, ip("fe80::1")]), "");
  t.equal(
    lackOf("host0", wanted, [ip("10.244.1.1")]),
    "host0: the node's own programs do not reach all services: no device has 192.168.50.11, fd00:50::11: " +
      "ip addr add 192.168.50.11/32 dev host0; ip addr add fd00:50::11/128 dev host0 nodad",
  );
});
