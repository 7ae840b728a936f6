// Rules by what they would cost at most: lists and texts with and without bounds, in all the ways in which such values
// are gone through. For the test of our own estimate, and for a real API server, which has to come to the same number.
const integer = { type: "integer" };
const text = { type: "string" };
const short = { type: "string", maxLength: 20 };
const list = (items: object, more: object = {}): object => ({ type: "array", items, ...more });
const map = (of: object, more: object = {}): object => ({
  ...{ type: "object", additionalProperties: of, ...more },
});

/** Properties of what the rules call self. */
export const COST_FIELDS = {
  ...{ n: integer, d: { type: "number" }, b: { type: "boolean" }, text, short },
  chosen: { type: "string", enum: ["a", "bcd", "ef"] },
  ...{ either: { "x-kubernetes-int-or-string": true }, raw: { type: "string", format: "byte" } },
  ...{ at: { type: "string", format: "date-time" }, time: { type: "string", format: "duration" } },
  ...{ numbers: list(integer), few: list(integer, { maxItems: 5 }), texts: list(text, { maxItems: 9 }) },
  ...{ shorts: list(short, { maxItems: 9 }), flags: list({ type: "boolean" }, { maxItems: 9 }) },
  ...{
    table: map(short),
    small: map(integer, { maxProperties: 8 }),
    pages: map(list(short), { maxProperties: 3 }),
  },
  rows: list(
    {
      type: "object",
      required: ["name", "kind"],
      properties: {
        ...{
          name: { ...short, minLength: 1 },
          kind: text,
          port: integer,
          labels: map(short, { maxProperties: 4 }),
        },
        cells: list({ type: "object", properties: { name: short, value: text } }, { maxItems: 7 }),
        more: list(short, { maxItems: 300 }),
      },
    },
    { maxItems: 16 },
  ),
  open: list({ type: "object", properties: { name: short, inner: list(short) } }),
  one: { type: "object", properties: { name: short, list: list(integer, { maxItems: 3 }) } },
  nested: list(list(integer, { maxItems: 4 }), { maxItems: 6 }),
  embedded: {
    type: "object",
    "x-kubernetes-embedded-resource": true,
    "x-kubernetes-preserve-unknown-fields": true,
  },
} as const;

interface Costing {
  readonly rule: string;
  /** Of kube-apiserver 1.37; more than 2^53 it is not told exactly. */
  readonly cost: number;
}

/** Each rule is a bool and asks for nothing that was there before; in front of it what it costs at most. */
export const COSTS: readonly Costing[] = `
2 self.n == 1
3 self.text == 'a'
314577 self.text == self.text
12 self.text == self.short
314582 self.chosen == self.text && self.raw == self.raw
15 self.text < self.short || self.raw < b'a'
8 self.text.size() > 1 && size(self.numbers) > 1
314580 self.text.startsWith('abc') && self.text.endsWith(self.text)
314575 self.text.contains('abc')
68 self.short.contains(self.short)
98956172333 self.text.contains(self.text)
629148 self.text.matches('^[a-z]+$')
7077892 matches(self.short, self.text)
247390273540 self.text.matches(self.text)
629149 self.text.find('[a-z]') == 'a'
22 self.short.findAll('[a-z]').size() == 1
505 self.short.findAll(self.short, 2).all(x, x == 'a')
314607 self.short.lowerAscii() == self.text && self.text.upperAscii() == 'A' && self.short.trim() == 'a'
1258296 self.text.trim().lowerAscii().substring(1) == self.text
44 self.short.replace('a', 'bcd') == self.text
53 self.short.replace('', 'bcd') == self.text
28 self.short.replace('abc', 'd') == self.text
314597 self.short.replace(self.short, self.text) == self.text
943725 self.text.replace('a', self.short, 2) == self.text
16357779 self.text.split(',').all(x, x.startsWith('a'))
629161 self.text.split(',', 3).all(x, x == 'a')
579 self.short.split(',').exists(x, x == self.short)
3145732 self.texts.join(',') == self.text
148 self.shorts.join() == self.text
276 self.shorts.join(self.short).contains('a')
314587 self.short.indexOf('a') == 1 && self.text.lastIndexOf('a', 2) == 1
4 self.short.charAt(1) == 'a'
29 strings.quote(self.short) == self.text
314590 '%s is %s'.format([self.text, self.short]) == self.text
314597 self.short.format([self.n]) == self.text
629194 bytes(self.short) == self.raw && string(self.raw) == self.text
314582 string(self.n) == self.text && int(self.text) == 1
38 self.short + self.short == self.text
629150 self.text + 'a' == self.text
943725 self.raw + self.raw == self.raw
8 self.numbers + self.few == self.few
7864346 (self.numbers + self.few).all(x, x > 1)
74 (self.shorts + ['abcdef']).all(x, x == self.text)
1572867 self.n in self.numbers
29 'a' in self.texts || 'a' in self.table || self.n in [1, 2, 3]
7864318 self.numbers.all(x, x > 1)
85 self.few.all(x, x > 1) && self.few.exists(x, x > 1) && self.few.exists_one(x, x > 1)
7864318 self.numbers.exists(x, x == 1)
47185919 self.few.exists_one(x, self.numbers.exists(y, x == y))
48758756 self.numbers.all(x, self.few.all(y, x != y))
85 self.few.all(i, x, i != x) && self.few.exists(i, x, i == x) && self.few.existsOne(i, x, i == x)
2359371 self.small.all(k, k == 'a') && self.small.all(k, v, v > 1) && self.table.exists(k, v, v == k)
3145723 self.table.all(k, self.table[k] == 'a')
5557460 self.table.a == self.text && self.small['a'] == 1 && self.pages['a'].all(x, x == 'a')
15728652 self.pages.all(k, self.pages[k].all(x, x.startsWith(k)))
94 self.few.map(x, x * 2) == [1]
119 self.few.map(x, x > 1, x * 2).all(y, y > 1)
2831342 self.texts.map(x, x + 'a').all(y, y == self.text)
194 self.shorts.map(x, x).exists(y, y == self.text)
2831450 self.shorts.map(x, [x]).exists(y, y[0] == self.text)
2831630 self.shorts.map(x, {'a': x}).exists(y, y.a == self.text)
203 self.shorts.filter(x, x == 'a').all(y, y == self.text)
366 self.rows.filter(r, r.name == 'a').all(r, r.kind == 'b')
318 self.rows.map(r, r.name).all(n, n.startsWith('a'))
318 self.rows.map(r, r.cells).all(cs, cs.all(c, c.name == 'a'))
266 self.shorts.transformList(i, v, v + 'b').all(x, x == self.text)
203 self.shorts.transformList(i, v, i > 1, v).all(x, x == self.text)
7471119 self.table.transformMap(k, v, v + 'a').all(k, v, v == self.text)
83 self.small.transformMap(k, v, v > 1, v).size() == 1
354 self.small.transformMapEntry(k, v, {v: k}).all(k, v, v == self.text)
19299 self.rows.all(r, r.cells.all(c, c.name == r.name))
15833319761379 self.rows.all(r, r.cells.all(c, r.kind == c.value))
20131 self.rows.all(r, r.cells.exists(c, c.name == 'a') || r.more.exists(m, m == r.name))
704642723 self.rows.all(r, r.more.all(m, m != r.kind))
659 self.rows.all(r, r.port > 1 && r.more.size() > 1 && r.cells.all(c, has(c.name)))
3699 self.rows.all(r, self.rows.exists_one(s, s.name == r.name))
80536435 self.rows.all(r, self.rows.exists_one(s, s.name == r.name && s.port == r.port && s.kind == r.kind))
611 self.rows.all(r, r.labels.all(k, r.labels[k] == k))
855637571 self.rows.all(r, r.labels.all(k, v, v == r.name && k == r.kind))
1180695453 self.open.all(o, o.inner.all(i, i == o.name))
16492649250828 self.open.all(a, self.open.all(b, a.name == b.name))
7340028 self.open.exists(o, o.name == 'a')
9 self.open.size() > 0 ? self.open[0].name == 'a' : self.few[0] == 1
18 self.rows[0].cells[1].name == self.rows[1].kind
1505 self.rows[0].more.all(m, m == 'a')
157 self.nested.all(l, l.all(x, x > 1)) && self.nested[0][1] == 1
50 self.nested.flatten().all(x, x > 1)
1572888 self.few.sum() == self.numbers.sum() && self.few.min() == self.few.max()
5662421 self.texts.max() == 'a' && self.shorts.isSorted() && self.texts.indexOf('a') == 1
14 !!self.b && !(!self.b) && -(-self.n) > 1 && --self.n > 1
314642 '%s is %d'.format([self.text, self.n]) == self.text && '%s'.format([[1, 'a', {'a': 1, 'b': 'c'}]]) == 'a'
253 self.few.sort() == self.few && self.shorts.sort() == self.shorts
189 self.few.sort().all(x, x > 1)
233 self.few.reverse().all(x, x > 1) && self.few.distinct().all(x, x > 1)
26 self.few.slice(0, 2).all(x, x > 1)
40 self.few.slice(1, self.n).all(x, x > 1)
72 lists.range(10).all(x, x > 1)
9 self.few.first().hasValue() && self.few.last().orValue(1) == 1
775 self.rows.sortBy(r, r.port)[0].name == 'a'
2335 self.rows.sortBy(r, r.name).all(r, r.port > 1)
103 sets.contains(self.few, self.few) && sets.intersects(self.few, [1]) && sets.equivalent(self.few, self.few)
31 sets.contains(self.shorts, ['a', 'b'])
5 has(self.text) && has(self.one.name) && has(self.table.a)
21 !has(self.one) || self.one.list.all(x, x > 1)
10 self.one == self.one && self.rows == self.rows
314578 self.?text.orValue('a') == self.text
8 self.?short.hasValue() && self.?one.?name.orValue('') == 'a'
6 self.one.?list[?0].orValue(1) == 1
1844674407371270000 self.?short.optMap(x, x + 'a').orValue('b') == self.text
314594 self.?one.optFlatMap(o, o.?name).orValue('b') == self.text
18446744073709552000 self.?few.orValue([]).all(x, x > 1)
314579 optional.of(self.text).value() == self.text
7 self.either == '50%' && type(self.either) == string
943725 type(self.either) == int ? self.either > 5 : self.either.matches('^[0-9]+%$')
629151 self.either + self.either == 5
35 dyn(self.text) == dyn(self.n) && dyn(self.few).all(x, x > 1)
12 self.at < timestamp('2024-03-01T00:00:00Z') && self.at.getFullYear() == 2024 && self.time > duration('1s')
314586 string(self.at) == self.text && self.at == self.at
629154 isURL(self.text) && url(self.text).getHost() == self.text
14 url(self.short) == url('https://a.example')
629164 isIP(self.text) && ip(self.short) == ip('10.0.0.1') && ip(self.text).family() == 4
943734 ip.isCanonical(self.text) && string(ip(self.short)) == self.text
629178 cidr(self.short).containsIP(self.text) && cidr(self.short).containsIP(ip(self.text))
314610 cidr(self.short).containsCIDR('10.0.0.0/8') && cidr(self.short).containsCIDR(cidr(self.text))
314600 cidr(self.text).ip() == ip('10.0.0.1') && cidr(self.short).masked() == cidr(self.short)
629164 quantity(self.short) == quantity('1') && isQuantity(self.text) && quantity(self.text).add(1).isInteger()
629164 semver(self.short) == semver('1.2.3') && isSemver(self.text) && semver(self.text).major() == 1
261 !format.dns1123Label().validate(self.short).hasValue()
10066342 !format.named('uuid').value().validate(self.text).hasValue()
9 format.uri() == format.uri()
12 -self.n < -5 && !(!self.b) && self.d * 2.0 > -1.5
34 ['a', 'bcdef', self.short].exists(x, x == self.text)
43 {'a': 1, 'bcd': 2}.all(k, k == self.text)
39 {'a': self.short}.all(k, v, v == self.text)
41 [[1, 2], [3]].all(l, l.all(x, x in self.few))
27 [self.short, self.short].all(x, x.contains(self.short))
314686 self.embedded.metadata.name == self.text && self.embedded.kind == self.text
106 self.embedded.metadata.name.matches('^a')
314579 (self.b ? self.text : self.short) == self.text
7864320 (self.b ? self.few : self.numbers).all(x, x > 1)
19 (self.b ? ['a'] : ['bcd']).all(x, x == self.text)
7864351 self.b && (self.few.all(x, x > 1) || self.numbers.all(x, x > 1)) && self.n > 1
`
  .trim()
  .split("\n")
  .map((line) => ({ cost: Number(line.split(" ", 1)[0]), rule: line.slice(line.indexOf(" ") + 1) }));
