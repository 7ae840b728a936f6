import t from "tap";
import { withoutNumeric } from "./capture-arguments.ts";

t.test("-n with a namespace is kubectl's, any other tcpdump's", async (t) => {
  const cases: [words: string, wanted: string][] = [
    ["capture -n prod web-1 tcp port 80", "capture -n prod web-1 tcp port 80"],
    ["capture -nprod web-1", "capture -nprod web-1"],
    ["capture --namespace host web-1", "capture --namespace host web-1"],
    ["--lab x capture -nn", "--lab x capture"],
    ["capture web-1 -nn tcp port 80", "capture web-1 tcp port 80"],
    ["capture -nnn web-1", "capture web-1"],
    ["capture web-1 -n", "capture web-1"],
    ["capture -n -i eth0 port 80", "capture -i eth0 port 80"],
    ["capture -ni eth0 -c 3", "capture -i eth0 -c 3"],
    ["capture -nni eth0", "capture -i eth0"],
    ["capture -nnv web-1", "capture -v web-1"],
    ["capture -n tcp port 80", "capture tcp port 80"],
    ["capture -n 10.0.0.1", "capture 10.0.0.1"],
    ["trace -nn tcp port 80", "trace tcp port 80"],
    ["trace -n prod --from pod/web-1", "trace -n prod --from pod/web-1"],
    ["capture -w -nn", "capture -w -nn"],
    ["capture web-1 -- -nn", "capture web-1 -- -nn"],
    ["capture -nnginx web-1", "capture -nnginx web-1"],
  ];
  for (const [words, wanted] of cases) t.equal(withoutNumeric(words.split(" ")).join(" "), wanted, words);
});
