// Expressions of rules in CEL, what they are about, and those that mean nothing: for the test of our own evaluation, and
// for a real API server, which has to say the same.
const integer = { type: "integer" };
const text = { type: "string", maxLength: 40 };
const items = (item: object, more: object = {}): object => ({
  type: "array",
  maxItems: 6,
  items: item,
  ...more,
});

/** Properties of what the expressions call self. */
export const CEL_FIELDS = {
  ...{ n: integer, d: { type: "number" }, b: { type: "boolean" }, s: text, e: text },
  ...{ list: items(integer), texts: items(text), set: items(text, { "x-kubernetes-list-type": "set" }) },
  either: { "x-kubernetes-int-or-string": true },
  ...{ at: { type: "string", format: "date-time" }, time: { type: "string", format: "duration" } },
  ...{ raw: { type: "string", format: "byte", maxLength: 40 }, "a-b.c": integer, namespace: text },
  map: { type: "object", maxProperties: 6, additionalProperties: integer },
  objects: items({ type: "object", properties: { k: text, v: integer } }),
  free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  nullable: { ...text, nullable: true },
} as const;

export const CEL_SELF = {
  ...{
    n: 5,
    d: 1.5,
    b: true,
    s: "héllo",
    list: [3, 1, 2],
    texts: ["a", "b"],
    set: ["x", "y"],
    either: "50%",
  },
  ...{
    at: "2024-02-29T12:30:00Z",
    time: "90m",
    raw: "aGk=",
    "a-b.c": 7,
    namespace: "ns",
    map: { a: 1, b: 2 },
  },
  ...{ objects: [{ k: "p", v: 1 }, { k: "q" }], free: { anything: [1] }, nullable: null },
} as const;

const TRUE = `
self.n == 5 && self.n != 6 && self.n > 4 && self.n >= 5 && self.n < 5.5
self.n + 1 == 6 && self.n - 6 == -1 && self.n * 2 == 10 && self.n / 2 == 2 && self.n % 2 == 1 && -self.n == -5
-7 / 2 == -3 && -7 % 2 == -1
self.d == 1.5 && self.d * 2.0 == 3.0
self.b && !(!self.b)
self.b ? self.n == 5 : false
self.s.size() == 5 && size(self.s) == 5
self.s.indexOf('l') == 2 && self.s.lastIndexOf('l') == 3 && self.s.indexOf('l', 3) == 3 && self.s.indexOf('z') == -1
self.s.substring(1) == 'éllo' && self.s.substring(1, 3) == 'él' && self.s.charAt(1) == 'é'
self.s.startsWith('hé') && self.s.endsWith('lo') && self.s.contains('ll')
self.s.matches('^h.llo$') && matches(self.s, 'l+') && !self.s.matches('(?i)^H$')
self.s.upperAscii() == 'HéLLO' && 'ABÉ'.lowerAscii() == 'abÉ'
self.s.replace('l', 'L') == 'héLLo' && self.s.replace('l', 'L', 1) == 'héLlo'
self.s.split('l') == ['hé', '', 'o'] && 'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b']
' a '.trim() == 'a' && self.texts.join('-') == 'a-b' && self.texts.join() == 'ab'
'%s %d %.2f %x'.format([dyn(self.s), dyn(self.n), dyn(self.d), dyn(255)]) == 'héllo 5 1.50 ff'
'%X'.format(['hi']) == '6869' && '%X'.format([255]) == 'FF'
'%b %o'.format([5, 8]) == '101 10' && '%b'.format([true]) == '1' && '%e'.format([1234.5]) == '1.234500×10⁰³'
'%.1e'.format([0.015]) == '1.500000×10⁻⁰²'
'%s'.format([[dyn(1), dyn('a'), dyn({'k': true})]]) == '[1, "a", {"k":true}]' && '100%%'.format([]) == '100%'
'%.1f %s'.format([dyn(12345.67), dyn(1.5)]) == '12,345.7 1.5'
strings.quote('a"b') == '"a\\\\"b"'
self.s.find('l+') == 'll' && self.s.find('z') == '' && 'a1b22'.findAll('[0-9]+') == ['1', '22']
'a1b2'.findAll('[0-9]', 1) == ['1']
self.list.size() == 3 && 1 in self.list && !(4 in self.list)
self.list.all(x, x > 0) && self.list.exists(x, x == 3) && self.list.exists_one(x, x == 3)
self.list.map(x, x * 2) == [6, 2, 4] && self.list.map(x, x > 1, x * 2) == [6, 4]
self.list.filter(x, x > 1) == [3, 2]
self.list.sum() == 6 && self.list.min() == 1 && self.list.max() == 3 && !self.list.isSorted() && [1, 2].isSorted()
self.list.indexOf(1) == 1 && self.list.lastIndexOf(9) == -1
self.list.sort() == [1, 2, 3] && self.list.reverse() == [2, 1, 3] && [1, 1, 2].distinct() == [1, 2]
self.list.slice(0, 2) == [3, 1]
[[1], [2, 3]].flatten() == [1, 2, 3] && lists.range(3) == [0, 1, 2]
self.objects.sortBy(o, o.k)[0].k == 'p'
self.list.first().value() == 3 && self.list.last().orValue(0) == 2 && !self.list.filter(x, x > 9).first().hasValue()
self.list + [4] == [3, 1, 2, 4]
self.set == ['y', 'x'] && self.set + ['y', 'z'] == ['x', 'y', 'z']
sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1], [1, 2])
!sets.intersects([1], [2])
self.list.all(i, v, i < 3 && v > 0) && self.list.exists(i, v, i == 1 && v == 1)
self.list.existsOne(i, v, i == v && i == 1)
self.list.transformList(i, v, i + v) == [3, 2, 4] && self.map.transformMap(k, v, v + 1) == {'a': 2, 'b': 3}
self.map.transformMapEntry(k, v, {v: k}) == {1: 'a', 2: 'b'}
self.map.all(k, k in ['a', 'b']) && self.map.size() == 2 && self.map['a'] == 1 && self.map.b == 2 && 'a' in self.map
self.map.all(k, v, v > 0) && has(self.map.a) && !has(self.map.z)
self.either == '50%' && type(self.either) == string
type(self.either) == string ? self.either == '50%' : self.either == 50
has(self.s) && !has(self.e) && has(self.objects[0].v) && !has(self.objects[1].v)
self.objects.exists(o, o.k == 'q' && !has(o.v))
self.?e.orValue('none') == 'none' && self.?s.value() == 'héllo' && !self.?e.hasValue()
self.objects[?5].?k.orValue('x') == 'x'
self.?s.optMap(x, x + '!').value() == 'héllo!' && self.?e.optMap(x, x).orValue('-') == '-'
optional.of(1).value() == 1 && optional.none().or(optional.of(2)).value() == 2
optional.ofNonZeroValue('').orValue('z') == 'z'
!has(self.nullable)
'%s is %d and %s'.format([self.s, self.n, [1, 'a']]) == 'héllo is 5 and [1, "a"]'
self.at.getFullYear() == 2024 && self.at.getMonth() == 1 && self.at.getDate() == 29 && self.at.getDayOfMonth() == 28
self.at.getHours() == 12 && self.at.getMinutes() == 30 && self.at.getHours('+02:00') == 14
self.at.getDayOfWeek() == 4
self.at.getDayOfYear() == 59 && self.at.getHours('Europe/Berlin') == 13
self.at < timestamp('2024-03-01T00:00:00Z') && self.at + duration('1h') == timestamp('2024-02-29T13:30:00Z')
timestamp('2024-03-01T00:00:00Z') - self.at == duration('11h30m') && string(self.at) == '2024-02-29T12:30:00Z'
self.time == duration('1h30m') && self.time.getMinutes() == 90 && self.time.getHours() == 1
string(self.time) == '5400s'
self.time > duration('1s') && self.time.getMilliseconds() == 5400000 && duration('1.5s') == duration('1500ms')
self.raw == b'hi' && string(self.raw) == 'hi' && self.raw.size() == 2 && bytes('hi') == self.raw
self.a__dash__b__dot__c == 7 && self.__namespace__ == 'ns'
int('5') == 5 && int(5.9) == 5 && int(2u) == 2 && double('1.5') == 1.5 && string(5) == '5' && string(1.5) == '1.5'
string(true) == 'true'
string(1e21) == '1e+21' && string(123456789.5) == '1.234567895e+08' && string(1e-7) == '1e-07'
string(999999.5) == '999999.5'
'%s'.format([[dyn(1.5), dyn(2u), dyn(b'x'), dyn(true)]]) == '[1.500000, 2, b"x", true]'
'%s'.format([[dyn(duration('1s')), dyn(int)]]) == '[duration("1s"), int]'
uint(5) == 5u && 5u + 1u == 6u && bool('true') && dyn(1) == 1
dyn(1) == 1.0 && 1 < 1.5 && 2u > 1 && dyn(1u) == 1.0
type(1) == int && type('a') == string && type([]) == list && type({}) == map && type(null) == null_type
type(self.at) == google.protobuf.Timestamp
'a' < 'b' && 'a' + 'b' == 'ab' && [1] + [2] == [1, 2] && b'a' < b'b' && false < true
{'a': 1}.a == 1 && {'a': 1}['a'] == 1 && {1: 'x'}[1] == 'x' && {'a': dyn(1)} == {'a': dyn(1.0)}
[1, 2, 3][1] == 2 && [1, 2] != [2, 1] && 2 in [1, 2] && 'a' in {'a': 1}
true || self.list[9] == 1
self.list[9] == 1 || true
!(self.list[9] == 1 && false)
self.list.exists(x, x == 3 || self.list[9] == 1)
isQuantity('1.5Gi') && !isQuantity('x') && quantity('1Ki').compareTo(quantity('1024')) == 0
quantity('1') == quantity('1000m')
quantity('2').isGreaterThan(quantity('1.9')) && quantity('1').isLessThan(quantity('2')) && sign(quantity('-1')) == -1
quantity('2').add(quantity('1')).asInteger() == 3 && quantity('2').sub(1) == quantity('1')
!quantity('1.5').isInteger()
quantity('1.5').asApproximateFloat() == 1.5 && quantity('50k').isInteger()
isURL('https://user:p@example.com:80/a b?x=1&x=2#f') && !isURL('example.com') && isURL('/path')
url('https://example.com:80/p').getHost() == 'example.com:80'
url('https://example.com:80/p').getHostname() == 'example.com'
url('https://[::1]:80/').getHostname() == '::1' && url('https://example.com:80/p').getPort() == '80'
url('HTTPS://example.com/with space').getEscapedPath() == '/with%20space'
url('HTTPS://example.com/').getScheme() == 'https'
url('https://example.com/?k=a&k=b').getQuery() == {'k': ['a', 'b']}
isIP('10.0.0.1') && isIP('::1') && !isIP('10.0.0.256') && !isIP('::ffff:10.0.0.1') && !isIP('fe80::1%eth0')
ip('10.0.0.1').family() == 4 && ip('2001:db8::1').family() == 6 && ip('127.0.0.1').isLoopback()
ip('0.0.0.0').isUnspecified()
ip('169.254.0.1').isLinkLocalUnicast() && ip('224.0.0.1').isLinkLocalMulticast() && ip('10.1.2.3').isGlobalUnicast()
!ip('255.255.255.255').isGlobalUnicast() && !ip('ff00::1').isGlobalUnicast()
ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1') && string(ip('::1')) == '::1'
ip('::1') == ip('0:0::1')
isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0') && cidr('10.0.0.0/8').containsIP('10.1.2.3')
!cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))
cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))
cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3')
cidr('10.0.0.0/8').prefixLength() == 8
string(cidr('10.1.2.3/8')) == '10.1.2.3/8'
!format.dns1123Label().validate('a-b').hasValue() && format.dns1123Label().validate('A').hasValue()
format.named('uuid').hasValue() && !format.named('nope').hasValue() && !format.labelValue().validate('').hasValue()
format.named('dns1123Subdomain').value().validate('a..b').value().size() == 1
isSemver('1.2.3') && !isSemver('v1.2') && semver('1.2.3').isLessThan(semver('1.10.0'))
semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))
semver('v1.2', true).minor() == 2 && semver('1.2.3').compareTo(semver('1.2.3')) == 0 && semver('1.2.3').major() == 1
self.free == self.free
`;

/** Each holds of CEL_SELF: those of one line together, and each for itself. */
export const CEL_TRUE: readonly string[] = TRUE.split("\n").flatMap((line) =>
  line === "" ? [] : [line, ...parts(line)],
);

/** What stands between "&&" on the first level. */
function parts(line: string): string[] {
  const found = line.split(" && ");
  const isWhole = (part: string): boolean =>
    ["()", "[]", "{}"].every(([a, b]) => part.split(a).length === part.split(b).length);
  return found.length > 1 && found.every(isWhole) && !/\?|\|\|/.test(line) ? found : [];
}

/** They compile, and of CEL_SELF they have no value. */
export const CEL_FAILING: readonly string[] = [
  "self.list[3] == 1",
  "self.n / 0 == 1",
  "self.n % 0 == 1",
  "9223372036854775807 + self.n > 0",
  "self.objects[1].v == 1",
  "self.map['z'] == 1",
  "self.either > 5",
  "self.s.substring(9) == ''",
  "self.s.substring(3, 2) == ''",
  "self.s.charAt(9) == 'x'",
  "[].min() == 1 || self.list.filter(x, x > 9).max() == 1",
  "quantity('1.5').asInteger() == 1",
  "quantity(self.s).isInteger()",
  "optional.none().value() == 1",
  "self.list.slice(2, 9) == []",
  "isIP(self.s) || ip('::ffff:10.0.0.1').family() == 4",
  "ip('fe80::1%eth0').family() == 6",
  "duration(self.s) == duration('1s')",
];

/** They mean nothing. */
export const CEL_WRONG: readonly string[] = [
  "self.x == 1",
  "self.n == 'a'",
  "selff.n == 1",
  "self.s.startsWith(1)",
  "self.n && true",
  "self.n.all(x, x > 1)",
  "self.n.foo()",
  "foo(self.n) == 1",
  "1 == 1.0",
  "self.b ? 1 : 'a'",
  "(self.b ? 1 : 2) == 'a'",
  "self.n + self.s == 1",
  "self.list[0] == 'x'",
  "self.map.a == 'x'",
  "self.objects[0].z == 1",
  "!self.n",
  "-self.s == 1",
  "self.n in self.texts",
  "size(self.n) == 1",
  "self.list.exists(x, x)",
  "[1, 'a'] == []",
  "self.list.includes(1)",
  "1 in [1, '%s'.format([1])]",
  "self.n.m == 1",
  "has(self.zz)",
  "self.free.anything == 1",
  "self.n",
];
