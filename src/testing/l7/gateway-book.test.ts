// The evaluator and the book say the same of random Gateways, HTTPRoutes and requests.
import t from "tap";
import { GatewayBook } from "./gateway-book.ts";
import { randomRoutes } from "./random-gateway.ts";
import { sameAsBook } from "./same-as-book.ts";

t.test("random routes and requests: the evaluator says what the book says", async (t) => {
  sameAsBook(t, {
    random: randomRoutes,
    book: (objects) => new GatewayBook(objects),
    asked: ({ target, host }) => `${target} ${host}`,
    kinds: ["one", "several", "301", "302", "404", "500", "503"],
    atLeast: 20,
  });
});
