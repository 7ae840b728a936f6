// The evaluator and the book say the same of random Ingresses and requests; and the book is no echo of it.
import t from "tap";
import { IngressBook } from "./ingress-book.ts";
import { ingress, objectsOf, served } from "./objects.ts";
import { randomRouting } from "./random-ingress.ts";
import { sameAsBook } from "./same-as-book.ts";

t.test("random Ingresses and requests: the evaluator says what the book says", async (t) => {
  sameAsBook(t, {
    random: randomRouting,
    book: (objects) => new IngressBook(objects),
    asked: ({ target }) => target,
    kinds: ["one", "several", "301", "302", "308", "400", "404", "503"],
    atLeast: 5,
  });
});

t.test("the book tells two worlds apart", async (t) => {
  const { requests } = randomRouting(1, 1);
  const world = (to: string): IngressBook =>
    new IngressBook(
      objectsOf(...served("one"), ...served("two"), ingress({ hosts: { "": [{ path: "/", to }] } })),
    );
  const request = { ...requests[0], host: "a.example", target: "/", scheme: "http" } as const;
  t.equal(world("one").answer(request), "shop/one:80 /");
  t.equal(world("two").answer(request), "shop/two:80 /");
});
