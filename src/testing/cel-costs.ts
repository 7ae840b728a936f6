// Rules by what they would cost at most: lists and texts with and without bounds, in all the ways in which such values are
// gone through. For the test of our own estimate, and for a real API server, which has to come to the same number.
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
  ...{ table: map(short), small: map(integer, { maxProperties: 8 }), pages: map(list(short), { maxProperties: 3 }) },
  rows: list(
    {
      type: "object",
      required: ["name", "kind"],
      properties: {
        ...{ name: { ...short, minLength: 1 }, kind: text, port: integer, labels: map(short, { maxProperties: 4 }) },
        cells: list({ type: "object", properties: { name: short, value: text } }, { maxItems: 7 }),
        more: list(short, { maxItems: 300 }),
      },
    },
    { maxItems: 16 },
  ),
  open: list({ type: "object", properties: { name: short, inner: list(short) } }),
  one: { type: "object", properties: { name: short, list: list(integer, { maxItems: 3 }) } },
  nested: list(list(integer, { maxItems: 4 }), { maxItems: 6 }),
  embedded: { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
} as const;

/** Each is a bool, and none asks for what was there before. */
export const COSTS = `
self.n == 1
self.text == 'a'
self.text == self.text
self.text == self.short
self.chosen == self.text && self.raw == self.raw
self.text < self.short || self.raw < b'a'
self.text.size() > 1 && size(self.numbers) > 1
self.text.startsWith('abc') && self.text.endsWith(self.text)
self.text.contains('abc')
self.short.contains(self.short)
self.text.contains(self.text)
self.text.matches('^[a-z]+$')
matches(self.short, self.text)
self.text.matches(self.text)
self.text.find('[a-z]') == 'a'
self.short.findAll('[a-z]').size() == 1
self.short.findAll(self.short, 2).all(x, x == 'a')
self.short.lowerAscii() == self.text && self.text.upperAscii() == 'A' && self.short.trim() == 'a'
self.text.trim().lowerAscii().substring(1) == self.text
self.short.replace('a', 'bcd') == self.text
self.short.replace('', 'bcd') == self.text
self.short.replace('abc', 'd') == self.text
self.short.replace(self.short, self.text) == self.text
self.text.replace('a', self.short, 2) == self.text
self.text.split(',').all(x, x.startsWith('a'))
self.text.split(',', 3).all(x, x == 'a')
self.short.split(',').exists(x, x == self.short)
self.texts.join(',') == self.text
self.shorts.join() == self.text
self.shorts.join(self.short).contains('a')
self.short.indexOf('a') == 1 && self.text.lastIndexOf('a', 2) == 1
self.short.charAt(1) == 'a'
strings.quote(self.short) == self.text
'%s is %d'.format([self.text, self.n]) == self.text
self.short.format([self.n]) == self.text
bytes(self.short) == self.raw && string(self.raw) == self.text
string(self.n) == self.text && int(self.text) == 1
self.short + self.short == self.text
self.text + 'a' == self.text
self.raw + self.raw == self.raw
self.numbers + self.few == self.few
(self.numbers + self.few).all(x, x > 1)
(self.shorts + ['abcdef']).all(x, x == self.text)
self.n in self.numbers
'a' in self.texts || 'a' in self.table || self.n in [1, 2, 3]
self.numbers.all(x, x > 1)
self.few.all(x, x > 1) && self.few.exists(x, x > 1) && self.few.exists_one(x, x > 1)
self.numbers.exists(x, x == 1)
self.few.existsOne(x, self.numbers.exists(y, x == y))
self.numbers.all(x, self.few.all(y, x != y))
self.few.all(i, x, i != x) && self.few.exists(i, x, i == x) && self.few.existsOne(i, x, i == x)
self.small.all(k, k == 'a') && self.small.all(k, v, v > 1) && self.table.exists(k, v, v == k)
self.table.all(k, self.table[k] == 'a')
self.table.a == self.text && self.small['a'] == 1 && self.pages['a'].all(x, x == 'a')
self.pages.all(k, self.pages[k].all(x, x.startsWith(k)))
self.few.map(x, x * 2) == [1]
self.few.map(x, x > 1, x * 2).all(y, y > 1)
self.texts.map(x, x + 'a').all(y, y == self.text)
self.shorts.map(x, x).exists(y, y == self.text)
self.shorts.map(x, [x]).exists(y, y[0] == self.text)
self.shorts.map(x, {'a': x}).exists(y, y.a == self.text)
self.shorts.filter(x, x == 'a').all(y, y == self.text)
self.rows.filter(r, r.name == 'a').all(r, r.kind == 'b')
self.rows.map(r, r.name).all(n, n.startsWith('a'))
self.rows.map(r, r.cells).all(cs, cs.all(c, c.name == 'a'))
self.shorts.transformList(i, v, v + 'b').all(x, x == self.text)
self.shorts.transformList(i, v, i > 1, v).all(x, x == self.text)
self.table.transformMap(k, v, v + 'a').all(k, v, v == self.text)
self.small.transformMap(k, v, v > 1, v).size() == 1
self.small.transformMapEntry(k, v, {v: k}).all(k, v, v == self.text)
self.rows.all(r, r.cells.all(c, c.name == r.name))
self.rows.all(r, r.cells.all(c, r.kind == c.value))
self.rows.all(r, r.cells.exists(c, c.name == 'a') || r.more.exists(m, m == r.name))
self.rows.all(r, r.more.all(m, m != r.kind))
self.rows.all(r, r.port > 1 && r.more.size() > 1 && r.cells.all(c, has(c.name)))
self.rows.all(r, self.rows.exists_one(s, s.name == r.name))
self.rows.all(r, self.rows.exists_one(s, s.name == r.name && s.port == r.port && s.kind == r.kind))
self.rows.all(r, r.labels.all(k, r.labels[k] == k))
self.rows.all(r, r.labels.all(k, v, v == r.name && k == r.kind))
self.open.all(o, o.inner.all(i, i == o.name))
self.open.all(a, self.open.all(b, a.name == b.name))
self.open.exists(o, o.name == 'a')
self.open.size() > 0 ? self.open[0].name == 'a' : self.few[0] == 1
self.rows[0].cells[1].name == self.rows[1].kind
self.rows[0].more.all(m, m == 'a')
self.nested.all(l, l.all(x, x > 1)) && self.nested[0][1] == 1
self.nested.flatten().all(x, x > 1)
self.few.sum() == self.numbers.sum() && self.few.min() == self.few.max()
self.texts.max() == 'a' && self.shorts.isSorted() && self.texts.indexOf('a') == 1
self.few.includes(1)
self.few.sort() == self.few && self.shorts.sort() == self.shorts
self.few.sort().all(x, x > 1)
self.few.reverse().all(x, x > 1) && self.few.distinct().all(x, x > 1)
self.few.slice(0, 2).all(x, x > 1)
self.few.slice(1, self.n).all(x, x > 1)
lists.range(10).all(x, x > 1)
self.few.first().hasValue() && self.few.last().orValue(1) == 1
self.rows.sortBy(r, r.port)[0].name == 'a'
self.rows.sortBy(r, r.name).all(r, r.port > 1)
sets.contains(self.few, self.few) && sets.intersects(self.few, [1]) && sets.equivalent(self.few, self.few)
sets.contains(self.shorts, ['a', 'b'])
has(self.text) && has(self.one.name) && has(self.table.a)
!has(self.one) || self.one.list.all(x, x > 1)
self.one == self.one && self.rows == self.rows
self.?text.orValue('a') == self.text
self.?short.hasValue() && self.?one.?name.orValue('') == 'a'
self.one.?list[?0].orValue(1) == 1
self.?short.optMap(x, x + 'a').orValue('b') == self.text
self.?one.optFlatMap(o, o.?name).orValue('b') == self.text
self.?few.orValue([]).all(x, x > 1)
optional.of(self.text).value() == self.text
self.either == '50%' && type(self.either) == string
type(self.either) == int ? self.either > 5 : self.either.matches('^[0-9]+%$')
self.either + self.either == 5
dyn(self.text) == dyn(self.n) && dyn(self.few).all(x, x > 1)
self.at < timestamp('2024-03-01T00:00:00Z') && self.at.getFullYear() == 2024 && self.time > duration('1s')
string(self.at) == self.text && self.at == self.at
isURL(self.text) && url(self.text).getHost() == self.text
url(self.short) == url('https://a.example')
isIP(self.text) && ip(self.short) == ip('10.0.0.1') && ip(self.text).family() == 4
ip.isCanonical(self.text) && string(ip(self.short)) == self.text
cidr(self.short).containsIP(self.text) && cidr(self.short).containsIP(ip(self.text))
cidr(self.short).containsCIDR('10.0.0.0/8') && cidr(self.short).containsCIDR(cidr(self.text))
cidr(self.text).ip() == ip('10.0.0.1') && cidr(self.short).masked() == cidr(self.short)
quantity(self.short) == quantity('1') && isQuantity(self.text) && quantity(self.text).add(1).isInteger()
semver(self.short) == semver('1.2.3') && isSemver(self.text) && semver(self.text).major() == 1
!format.dns1123Label().validate(self.short).hasValue()
!format.named('uuid').value().validate(self.text).hasValue()
format.uri() == format.uri()
-self.n < -5 && !(!self.b) && self.d * 2.0 > -1.5
['a', 'bcdef', self.short].exists(x, x == self.text)
{'a': 1, 'bcd': 2}.all(k, k == self.text)
{'a': self.short}.all(k, v, v == self.text)
[[1, 2], [3]].all(l, l.all(x, x in self.few))
[self.short, self.short].all(x, x.contains(self.short))
self.embedded.metadata.name == self.text && self.embedded.kind == self.text
self.embedded.metadata.name.matches('^a')
(self.b ? self.text : self.short) == self.text
(self.b ? self.few : self.numbers).all(x, x > 1)
(self.b ? ['a'] : ['bcd']).all(x, x == self.text)
self.b && (self.few.all(x, x > 1) || self.numbers.all(x, x > 1)) && self.n > 1
`
  .trim()
  .split("\n");
