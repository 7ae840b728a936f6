// The conntrack tuple's words have names (src/dataplane/table/connection/tuple.ts): in the data plane nothing is indexed
// by a bare number but an array's first element, and what is known to be a tuple not even by that, or a sum. Nor are
// protocol numbers written down again.
import type { Node } from "typescript/unstable/ast";
import * as is from "typescript/unstable/ast/is";
import { Protocol } from "../../base/protocols.ts";
import { at, eachChild, type Finding, type Sources, withParsed } from "./source-tree.ts";

/** Name of an array → why a bare number says what it holds there. */
export type PlainArrays = Readonly<Record<string, string>>;

const DATAPLANE = /^src\/dataplane\/(?!.*\.test\.ts$)/;
/** What tuples are called, by whom they are of: a packet, scratch, a quote, a connection's other end. */
const TUPLES: readonly string[] = ["key", "to", "keyA", "keyB", "k", "sent", "own", "other"];
/** A step of so many leads out of the address that was named, into another part of the tuple. */
const ADDRESS_WORDS = 4;

function isNumber(node: Node, from: number): boolean {
  return is.isNumericLiteral(node) && Number(node.text) >= from;
}

const HOT = /^src\/(?:dataplane|wire)\/(?!.*\.test\.ts$)/;
const PROTOCOL_NUMBER = new RegExp(
  `^(?:export )?const (?:PROTO_)?(?:${Object.keys(Protocol).join("|")})(?:_PROTO)? = \\d|\\bproto [!=]== \\d`,
);

/** Protocol numbers of a file's own; their home is src/base/protocols.ts. */
export function findOwnProtocols(sources: Sources): Finding[] {
  return Object.entries(sources)
    .filter(([path]) => HOT.test(path))
    .flatMap(([path, text]) =>
      text
        .split("\n")
        .flatMap((line, i) =>
          PROTOCOL_NUMBER.test(line) ? [`${path}:${i + 1}: take the number from base/protocols.ts`] : [],
        ),
    );
}

/** Every such index in src/dataplane. */
export function findBareIndices(sources: Sources, plain: PlainArrays): Finding[] {
  const findings: Finding[] = [];
  const hot = Object.fromEntries(Object.entries(sources).filter(([path]) => DATAPLANE.test(path)));
  withParsed(hot, (path, file) => {
    const visit = (node: Node): void => {
      if (is.isElementAccessExpression(node)) {
        const array = node.expression.getText(file);
        const name = array.slice(array.lastIndexOf(".") + 1);
        const index = node.argumentExpression;
        const sum = is.isBinaryExpression(index) && TUPLES.includes(name) ? [index.left, index.right] : [];
        const isBare =
          isNumber(index, TUPLES.includes(name) ? 0 : 1) || sum.some((part) => isNumber(part, ADDRESS_WORDS));
        if (isBare && !(name in plain)) {
          findings.push(at(path, file, node, `${node.getText(file)}: a bare number, name it (tuple.ts)`));
        }
      }
      eachChild(node, visit);
    };
    visit(file);
  });
  return findings;
}

/** Names of `plain` that no array in src/dataplane bears. */
export function findStalePlain(sources: Sources, plain: PlainArrays): Finding[] {
  const text = Object.entries(sources)
    .filter(([path]) => DATAPLANE.test(path))
    .map(([, code]) => code)
    .join("\n");
  return Object.keys(plain)
    .filter((name) => !new RegExp(`\\b${name}\\[\\d\\]`).test(text))
    .map((name) => `${name}: is excused, but not indexed by a number anywhere`);
}
